// Command ingot is the whole control plane: `ingot up` to try it on one computer, `ingot serve` to run it.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/ingotcloud/ingot/internal/chassis"
	"github.com/ingotcloud/ingot/internal/config"
	"github.com/ingotcloud/ingot/internal/lab"
	"github.com/ingotcloud/ingot/internal/lab/sim"
	"github.com/ingotcloud/ingot/internal/ramdisk"
	"github.com/ingotcloud/ingot/internal/server"
	"github.com/ingotcloud/ingot/internal/up"
)

// version is set by the build.
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root := &cobra.Command{
		Use: "ingot", Version: version, SilenceUsage: true, SilenceErrors: true,
		Short: "A multi-tenant bare metal cloud with OpenStack's APIs",
	}
	root.AddCommand(up.Commands()...)
	rack := lab.Commands()
	rack.AddCommand(sim.Command())
	root.AddCommand(serve(), configuration(), rack, ramdisk.Command(), chassis.Command())
	if err := root.ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "ingot:", err)
		os.Exit(1)
	}
}

func configFlag(c *cobra.Command) *string {
	return c.Flags().StringP("config", "c", "", "the configuration file (YAML); without one: the defaults and the environment")
}

func serve() *cobra.Command {
	c := &cobra.Command{Use: "serve", Args: cobra.NoArgs, Short: "Run the control plane in the foreground until SIGTERM"}
	file := configFlag(c)
	listen := c.Flags().String("listen", "", "address of the public API (over the configuration)")
	database := c.Flags().String("database", "", `"sqlite:PATH" or "postgres://…" (over the configuration)`)
	c.RunE = func(c *cobra.Command, _ []string) error {
		settings, err := config.Load(*file)
		if err != nil {
			return err
		}
		if *listen != "" {
			settings.Listen = *listen
		}
		if *database != "" {
			settings.Database = *database
		}
		var level slog.Level
		if err := level.UnmarshalText([]byte(settings.LogLevel)); err != nil {
			return fmt.Errorf("log_level: %w", err)
		}
		log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
		return server.Run(c.Context(), settings, log, func(url string) { log.Info("ready", "url", url, "version", version) })
	}
	return c
}

func configuration() *cobra.Command {
	group := &cobra.Command{Use: "config", Short: "Look after the configuration"}
	check := &cobra.Command{Use: "check", Args: cobra.NoArgs, Short: "Name every mistake of a configuration file"}
	file := configFlag(check)
	check.RunE = func(c *cobra.Command, _ []string) error {
		if _, err := config.Load(*file); err != nil {
			return err
		}
		_, err := fmt.Fprintln(c.OutOrStdout(), "the configuration is right")
		return err
	}
	group.AddCommand(check)
	return group
}
