package ramdisk

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
)

// Command is `ingot ramdisk`.
func Command() *cobra.Command {
	var o Options
	var out string
	build := &cobra.Command{
		Use:   "build",
		Short: "Build the agent's RAM disk and unified kernel image",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Logger = slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil))
			a, err := Build(cmd.Context(), o)
			if err != nil {
				return err
			}
			files := []*string{&a.Kernel, &a.Initrd, &a.UKI, &a.RescueInitrd, &a.RescueUKI}
			if out != "" {
				for _, file := range files {
					if *file, err = copyInto(out, *file); err != nil {
						return err
					}
				}
			}
			fmt.Fprintf(cmd.OutOrStdout(), "Linux %s\n", a.KernelVersion)
			for _, file := range files {
				fmt.Fprintln(cmd.OutOrStdout(), *file)
			}
			return nil
		},
	}
	build.Flags().StringVar(&o.Kernel, "kernel", Cloud, `"cloud" for virtual machines, "full" for real hardware`)
	build.Flags().StringVar(&o.Agent, "agent", "", "the agent's program (default: ingot-agent beside this program)")
	build.Flags().StringVar(&out, "out", "", "copy the files to this folder (default: name them in the cache)")

	group := &cobra.Command{Use: "ramdisk", Short: "What machines boot while no tenant owns them"}
	group.AddCommand(build)
	return group
}

func copyInto(dir, file string) (string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	in, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer in.Close()
	copied := filepath.Join(dir, filepath.Base(file))
	out, err := os.Create(copied)
	if err != nil {
		return "", err
	}
	defer out.Close() // a second Close after success is harmless
	if _, err := io.Copy(out, in); err != nil {
		return "", err
	}
	return copied, out.Close()
}
