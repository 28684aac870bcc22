package server

import (
	"cmp"
	"context"
	"strings"

	"github.com/ingotcloud/ingot/internal/api/consoledoor"
	"github.com/ingotcloud/ingot/internal/api/nova"
	"github.com/ingotcloud/ingot/internal/console"
	"github.com/ingotcloud/ingot/internal/console/forensics"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/instance"
)

// consoleServers are the servers that consoles belong to.
type consoleServers struct{ *parts }

// Exists implements console.Instances.
func (c consoleServers) Exists(ctx context.Context, id string) (bool, error) {
	_, err := c.instances.Get(ctx, c.db, instance.Viewer{All: true}, id)
	if fault.Is(err, fault.NotFound) {
		return false, nil
	}
	return err == nil, err
}

// Trouble implements console.Instances: it is an action of the instance that nobody asked for.
func (c consoleServers) Trouble(ctx context.Context, id string, t forensics.Trouble) error {
	return c.instances.NoteBoot(ctx, id, t.Began, instance.Event{Name: t.Fault, Words: t.Says + " " + t.Do, Started: t.At, Ended: t.At, Failed: true})
}

// Show implements consoledoor.Servers.
func (c consoleServers) Show(ctx context.Context, project, id string) (consoledoor.Server, error) {
	i, err := c.instances.Get(ctx, c.db, instance.Viewer{Project: project}, id)
	if err != nil {
		return consoledoor.Server{}, err
	}
	return consoledoor.Server{ID: i.ID, Name: i.Name, Status: strings.ToUpper(string(i.VMState)), Task: string(i.TaskState), Power: string(i.Power)}, nil
}

// Press implements consoledoor.Servers: whoever got the console from Nova may also do what Nova lets its project do.
func (c consoleServers) Press(ctx context.Context, page *console.Session, request string, button consoledoor.Button) error {
	who, by := instance.Viewer{Project: page.Project}, instance.By{User: page.UserID, Project: page.Project, Request: request}
	switch button {
	case consoledoor.On:
		return c.instances.Start(ctx, who, page.Instance, by)
	case consoledoor.Off:
		return c.instances.Stop(ctx, who, page.Instance, by)
	case consoledoor.SoftReboot, consoledoor.HardReboot:
		return c.instances.Reboot(ctx, who, page.Instance, by, button == consoledoor.HardReboot)
	}
	return c.instances.Interrupt(ctx, who, page.Instance, by)
}

// novaConsoles are the consoles as Nova's API speaks of them.
type novaConsoles struct{ *console.Service }

// Link implements nova.RemoteConsoles.
func (n novaConsoles) Link(ctx context.Context, link nova.ConsoleLink) (string, error) {
	kind := console.Serial
	if link.Screen {
		kind = console.Screen
	}
	return n.Grant(ctx, console.Grant{Kind: kind, Instance: link.Instance, Project: link.Project, UserID: link.UserID,
		UserName: cmp.Or(link.UserName, link.UserID), Request: link.Request})
}

// Linked implements nova.RemoteConsoles.
func (n novaConsoles) Linked(ctx context.Context, token string) (string, error) {
	grant, err := n.Look(ctx, token)
	return grant.Instance, err
}
