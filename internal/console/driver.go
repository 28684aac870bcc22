package console

import (
	"context"
	"io"

	"github.com/ingotcloud/ingot/internal/console/forensics"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/machine"
)

// Wires are how consoles reach machines. Errors are faults: Unsupported where the BMC has no such thing, Unavailable
// where it does not answer; whoever calls tries again.
type Wires interface {
	// Lent gives the machines that instances have.
	Lent(ctx context.Context) ([]machine.Loan, error)
	// OpenSerial joins the machine's serial line. Conflict when somebody else has it; take takes it away from them. ctx
	// bounds the opening only.
	OpenSerial(ctx context.Context, machine string, take bool) (io.ReadWriteCloser, error)
	// OpenScreen opens the machine's picture as a raw RFB stream (RFC 6143).
	OpenScreen(ctx context.Context, machine string) (io.ReadWriteCloser, error)
	// ReadHardware reads the hardware log of the instance's machine and keeps what is new.
	ReadHardware(ctx context.Context, machine, instance string) error
	// HardwareEvents are what was kept of an instance, oldest first: nothing of before it had its machine, or of after.
	HardwareEvents(ctx context.Context, instance string) ([]machine.HardwareEvent, error)
}

// Instances are what consoles belong to.
type Instances interface {
	// Exists reports whether the instance is there, with a machine or without; false once it is deleted.
	Exists(ctx context.Context, instance string) (bool, error)
	// Trouble puts on record, for the instance's owner, what went wrong at a boot. Whoever tells it again, also another
	// process, adds nothing. NotFound when there is no such instance.
	Trouble(ctx context.Context, instance string, trouble forensics.Trouble) error
}

// Peers are the other processes, which hold the lines that this one does not.
type Peers interface {
	// Records fetches what the process at the URL recorded, as Service.WriteRecords writes it. The token is of kind Log.
	Records(ctx context.Context, url, token string) (io.ReadCloser, error)
}

// BMCs are the Wires of real machines.
type BMCs struct {
	*machine.Service
	DB *db.DB
}

// OpenSerial implements Wires.
func (b BMCs) OpenSerial(ctx context.Context, id string, take bool) (io.ReadWriteCloser, error) {
	return b.open(ctx, id, func(bmc machine.Driver) (io.ReadWriteCloser, error) {
		if taker, ok := bmc.(machine.ConsoleTaker); ok && take {
			return taker.TakeConsole(ctx)
		}
		if serial, ok := bmc.(machine.SerialConsole); ok {
			return serial.OpenConsole(ctx)
		}
		return nil, fault.New(fault.Unsupported, "The machine's BMC has no serial console.")
	})
}

// OpenScreen implements Wires.
func (b BMCs) OpenScreen(ctx context.Context, id string) (io.ReadWriteCloser, error) {
	return b.open(ctx, id, func(bmc machine.Driver) (io.ReadWriteCloser, error) {
		if screen, ok := bmc.(machine.ScreenConsole); ok {
			return screen.OpenScreen(ctx)
		}
		return nil, fault.New(fault.Unsupported, "The machine's BMC has no graphical console.")
	})
}

func (b BMCs) open(ctx context.Context, id string, open func(machine.Driver) (io.ReadWriteCloser, error)) (io.ReadWriteCloser, error) {
	m, err := b.Get(ctx, b.DB, id)
	if err != nil {
		return nil, err
	}
	bmc, err := b.Dial(ctx, m)
	if err != nil {
		return nil, err
	}
	stream, err := open(bmc)
	if err != nil {
		_ = bmc.Close() // by contract it never fails a caller
		return nil, err
	}
	return wire{stream, bmc}, nil
}

// wire is a stream that lasts as long as its BMC's session.
type wire struct {
	io.ReadWriteCloser
	bmc machine.Driver
}

// Close ends both.
func (w wire) Close() error {
	err := w.ReadWriteCloser.Close()
	_ = w.bmc.Close() // by contract it never fails a caller
	return err
}
