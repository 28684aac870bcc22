package instance

import (
	"context"

	"github.com/ingotcloud/ingot/internal/db"
)

// Images is what instances need of images. Hold keeps an image's data until Release of the holder, also when the image
// is deleted meanwhile.
type Images interface {
	Hold(ctx context.Context, q db.Querier, image, holder string) error
	Release(ctx context.Context, q db.Querier, holder string) error
}

// Port is a port of an instance, as far as instances care.
type Port struct {
	ID  string
	Own bool // made for the instance, and deleted with it
}

// Networks is what instances need of networks. All of it runs inside the caller's transaction.
type Networks interface {
	// Plan reserves what a new instance asked for: existing ports are taken, others are made.
	Plan(ctx context.Context, tx *db.Tx, instance, project, zone string, asked []NIC) error
	// Bind plugs the instance's ports into NICs of a machine, in order; it fails with fault.Exhausted when the machine
	// has too few. Unbind takes them out, and accepts that they never were in.
	Bind(ctx context.Context, tx *db.Tx, instance, host string, macs []string) error
	Unbind(ctx context.Context, tx *db.Tx, instance string) error
	// Drop deletes the ports made for the instance and frees the others.
	Drop(ctx context.Context, tx *db.Tx, instance string) error
	// NetworkData is the config drive's network_data.json, after Bind.
	NetworkData(ctx context.Context, q db.Querier, instance string) (map[string]any, error)
}

// NIC is one network that a user asked for: a port, or a network with an optional address.
type NIC struct {
	Port, Network, FixedIP string
}
