package console

import (
	"bytes"
	"context"
	"errors"
	"image/png"

	"github.com/ingotcloud/ingot/internal/console/rfb"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/machine"
)

// Picture is what a machine's screen showed.
type Picture struct {
	PNG   []byte
	Black bool // every pixel is: a blanked screen, or nothing is shown
}

// Screenshot takes a picture of the screen of an instance's machine. Conflict when no machine carries it or that one is off,
// Unsupported where the BMC has no picture, Unavailable where none comes.
func (s *Service) Screenshot(ctx context.Context, instance string) (Picture, error) {
	loans, err := s.wires.Lent(ctx)
	if err != nil {
		return Picture{}, err
	}
	for _, loan := range loans {
		switch {
		case loan.Instance != instance:
		case loan.Power == machine.PowerOff:
			return Picture{}, fault.New(fault.Conflict, "The machine is off: its screen shows nothing.")
		default:
			return s.MachineScreenshot(ctx, loan.Machine)
		}
	}
	return Picture{}, errNoMachine
}

var errNoMachine = fault.New(fault.Conflict, "No machine carries the server.")

// MachineScreenshot is Screenshot for operators, of any machine. All who ask at once get the same picture.
func (s *Service) MachineScreenshot(ctx context.Context, id string) (Picture, error) {
	shared := s.shots.DoChan(id, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.config.ScreenPatience) // one who leaves does not spoil it for the others
		defer cancel()
		return s.shoot(ctx, id)
	})
	select {
	case got := <-shared:
		return got.Val.(Picture), got.Err
	case <-ctx.Done():
		return Picture{}, ctx.Err()
	}
}

func (s *Service) shoot(ctx context.Context, id string) (Picture, error) {
	stream, err := s.wires.OpenScreen(ctx, id)
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return Picture{}, s.late(err)
	case fault.Is(err, fault.Unauthorized), fault.Is(err, fault.Forbidden), fault.Is(err, fault.Invalid): // between us and the BMC
		return Picture{}, fault.Wrap(err, fault.Unavailable, "The machine's BMC refused: %s", fault.Message(err))
	default:
		return Picture{}, err
	}
	stop := context.AfterFunc(ctx, func() { _ = stream.Close() }) // wakes the Capture below
	picture, black, err := rfb.Capture(stream, "")
	if stop() {
		_ = stream.Close() // what was wanted of it is here
	}
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return Picture{}, s.late(err)
	case errors.Is(err, rfb.ErrPassword):
		return Picture{}, fault.Wrap(err, fault.Unsupported, "The machine's screen asks for a password, which ingot does not have.")
	default:
		return Picture{}, fault.Wrap(err, fault.Unavailable, "The machine's screen cannot be read now.")
	}
	var file bytes.Buffer
	err = png.Encode(&file, picture)
	return Picture{PNG: file.Bytes(), Black: black}, err
}

func (s *Service) late(err error) error {
	return fault.Wrap(err, fault.Unavailable, "The machine's screen did not come within %s.", s.config.ScreenPatience)
}
