package ipmi

import (
	"context"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bougou/go-ipmi/pkg/client"
	"github.com/bougou/go-ipmi/pkg/command/transport"
	"github.com/bougou/go-ipmi/pkg/types"

	"github.com/ingotcloud/ingot/internal/fault"
)

const solInstance = 1

// OpenConsole activates Serial over LAN (IPMI 2.0 chapter 15), encrypted, in a session of its own. fault.Conflict when
// somebody else has the console. ctx bounds the opening; the console lives until Close, or until the BMC is lost: Read
// then fails with a fault. A reader must keep up: what waits longer than the BMC retries is lost, and ends the console.
func (d *driver) OpenConsole(ctx context.Context) (io.ReadWriteCloser, error) {
	return d.activate(ctx, "OpenConsole", false)
}

// TakeConsole is OpenConsole for a line that somebody else may have: they are cut off.
func (d *driver) TakeConsole(ctx context.Context) (io.ReadWriteCloser, error) {
	return d.activate(ctx, "TakeConsole", true)
}

func (d *driver) activate(ctx context.Context, op string, take bool) (io.ReadWriteCloser, error) {
	var opened *console
	err := d.around(ctx, op, func(ctx context.Context) error {
		if err := d.takeTurn(ctx); err != nil {
			return err
		}
		suites := d.suites
		d.giveTurn()
		c, _, err := d.logIn(ctx, suites)
		if err != nil {
			return err
		}
		if take {
			// A line that nobody has is refused here with a code of its own (table 24-3): the activation will tell.
			if _, err := c.DeactivatePayload(ctx, &transport.DeactivatePayloadRequest{PayloadType: types.PayloadTypeSOL, PayloadInstance: solInstance}); unanswered(err) {
				farewell(c)
				return asFault(err)
			}
		}
		_, err = c.ActivatePayload(ctx, &transport.ActivatePayloadRequest{
			PayloadType: types.PayloadTypeSOL, PayloadInstance: solInstance,
			EnableEncryption: true, EnableAuthentication: true,
		})
		if err != nil {
			farewell(c)
			return activationFault(err)
		}
		opened = newConsole(c)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return opened, nil
}

// activationFault knows the completion codes of Activate Payload (table 24-2).
func activationFault(err error) error {
	if answer, ok := types.IsResponseError(err); ok {
		switch answer.CompletionCode() {
		case types.CodeActivatePayloadAlreadyActive, types.CodeActivatePayloadActivationLimitReached:
			return fault.Wrap(err, fault.Conflict, "The machine's serial console is in use.")
		case types.CodeActivatePayloadTypeDisabled, types.CodeActivatePayloadCannotActivateWithEncryption:
			return fault.Wrap(err, fault.Unsupported, "The machine's BMC offers no encrypted serial console.")
		}
	}
	return asFault(err)
}

// console is an activated SOL payload: the library's stream between two pipes.
type console struct {
	io.Reader
	io.Writer
	hangUp func()      // asks the stream to end
	left   atomic.Bool // it was us who ended it
	cut    context.CancelFunc
	ended  chan struct{} // closed when the session is gone
	once   sync.Once
}

func newConsole(c *client.Client) *console {
	keys, typed := io.Pipe()
	shown, output := io.Pipe()
	ctx, cut := context.WithCancel(context.Background())
	s := &console{
		Reader: shown, Writer: typed, cut: cut, ended: make(chan struct{}),
		hangUp: func() { shown.Close(); typed.Close() },
	}
	go func() {
		defer close(s.ended)
		err := c.SOLStream(ctx, keys, output, nil)
		if err != nil {
			err = fault.Wrap(err, fault.Unavailable, "The serial console was cut off.")
		}
		keys.CloseWithError(err)   // nil: io.ErrClosedPipe
		output.CloseWithError(err) // nil: io.EOF
		leave, cancel := context.WithTimeout(context.Background(), farewellPatience)
		defer cancel()
		// Ending the session frees the console too; saying it is quicker with BMCs that clean up late. A console that was cut
		// off may be somebody else's by now, who would be cut off in turn.
		if s.left.Load() {
			c.DeactivatePayload(leave, &transport.DeactivatePayloadRequest{PayloadType: types.PayloadTypeSOL, PayloadInstance: solInstance})
		}
		farewell(c)
	}()
	return s
}

// Close frees the console for others and returns when that is done, or after a few seconds when the BMC is silent.
func (s *console) Close() error {
	s.once.Do(func() {
		s.left.Store(true)
		s.hangUp()
		select {
		case <-s.ended:
		case <-time.After(answerPatience):
			s.cut()
			<-s.ended
		}
		s.cut()
	})
	return nil
}
