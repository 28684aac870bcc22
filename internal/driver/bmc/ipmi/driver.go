package ipmi

import (
	"context"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/bougou/go-ipmi/pkg/client"
	"github.com/bougou/go-ipmi/pkg/types"

	"github.com/ingotcloud/ingot/internal/driver/bmc/around"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/machine"
)

const (
	defaultPort = 623 // RMCP's, registered as asf-rmcp
	maxUsername = 16  // bytes, IPMI 2.0 13.20
	maxPassword = 20  // bytes, IPMI 2.0 13.31; older BMCs take 16
)

// handshakePatience is how long each message of a login may wait for its answer, in the first and further attempts. A
// repeated message would make the BMC draw new random numbers and a slow one look like a wrong password, so a login
// is repeated as a whole.
var handshakePatience = []time.Duration{time.Second, 2 * time.Second, 4 * time.Second}

// Within a session the library sends a request up to 1+retries times; the BMC drops repetitions by their sequence number.
const (
	answerPatience = 2 * time.Second
	retries        = 2
)

// farewellPatience is how long a log-out may hold up its caller; the BMC forgets silent sessions after a minute anyway.
const farewellPatience = time.Second

// driver is one BMC.
type driver struct {
	host, username, password string
	port                     int
	around                   around.Func

	turn   chan struct{}         // holds one token: who has it may use what is below
	client *client.Client        // nil while not logged in
	suites []types.CipherSuiteID // to try; only the right one as soon as it is known
}

// The driver's capabilities beyond machine.Driver.
var (
	_ machine.Indicator     = (*driver)(nil)
	_ machine.SensorReader  = (*driver)(nil)
	_ machine.EventLogger   = (*driver)(nil)
	_ machine.SerialConsole = (*driver)(nil)
	_ machine.ConsoleTaker  = (*driver)(nil)
)

// New makes a driver for the BMC at bmc.Address (host or host:port) without talking to it yet. All calls run through
// around. Credentials that do not fit into IPMI's messages and bad addresses are fault.Invalid.
func New(bmc machine.BMC, around around.Func) (machine.Driver, error) {
	host, port, err := splitAddress(bmc.Address)
	if err != nil {
		return nil, err
	}
	if n := len(bmc.Username); n > maxUsername {
		return nil, fault.New(fault.Invalid, "The BMC's user name has %d bytes; IPMI allows at most %d.", n, maxUsername)
	}
	if n := len(bmc.Password); n > maxPassword {
		return nil, fault.New(fault.Invalid, "The BMC's password has %d bytes; IPMI 2.0 allows at most %d.", n, maxPassword)
	}
	return &driver{
		host: host, port: port, username: bmc.Username, password: bmc.Password,
		around: around,
		turn:   make(chan struct{}, 1),
		suites: []types.CipherSuiteID{types.CipherSuiteID17, types.CipherSuiteID3},
	}, nil
}

// splitAddress takes host, host:port, and IPv6 addresses with or without brackets.
func splitAddress(address string) (host string, port int, err error) {
	bad := fault.New(fault.Invalid, "%q is no IPMI address: it must be host or host:port.", address)
	host, portText, splitErr := net.SplitHostPort(address)
	if splitErr != nil { // no port
		host, portText = strings.Trim(address, "[]"), strconv.Itoa(defaultPort)
		if strings.Contains(host, ":") && net.ParseIP(host) == nil {
			return "", 0, bad
		}
	}
	port, err = strconv.Atoi(portText)
	if err != nil || port < 1 || port > 65535 || host == "" || strings.ContainsAny(host, "/@ ") {
		return "", 0, bad
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]" // the library puts a colon and the port behind it
	}
	return host, port, nil
}

// call runs f with a session. f may run twice: a session that does not answer may have ended at the BMC's side.
func (d *driver) call(ctx context.Context, op string, f func(ctx context.Context, c *client.Client) error) error {
	return d.around(ctx, op, func(ctx context.Context) error {
		if err := d.takeTurn(ctx); err != nil {
			return err
		}
		defer d.giveTurn()
		for attempt := 1; ; attempt++ {
			if err := d.ensureLogin(ctx); err != nil {
				return err
			}
			err := ended(ctx, f(ctx, d.client))
			if !unanswered(err) {
				return asFault(err)
			}
			go farewell(d.client) // should it hear us after all; the caller has waited long enough
			d.client = nil
			if attempt == 2 || end(ctx) != nil {
				return asFault(err)
			}
		}
	})
}

func (d *driver) takeTurn(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return asFault(err)
	}
	select {
	case d.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return asFault(ctx.Err())
	}
}

func (d *driver) giveTurn() { <-d.turn }

// ensureLogin wants the turn.
func (d *driver) ensureLogin(ctx context.Context) error {
	if d.client != nil {
		return nil
	}
	c, suite, err := d.logIn(ctx, d.suites)
	if err != nil {
		return err
	}
	d.client, d.suites = c, []types.CipherSuiteID{suite}
	return nil
}

// Close logs out. The driver may be used again: the next call logs in.
func (d *driver) Close() error {
	d.turn <- struct{}{}
	defer d.giveTurn()
	if d.client != nil {
		farewell(d.client)
		d.client = nil
	}
	return nil
}

// logIn opens a session with the first suite that the BMC has.
func (d *driver) logIn(ctx context.Context, suites []types.CipherSuiteID) (*client.Client, types.CipherSuiteID, error) {
	var err error
	for _, suite := range suites {
		var c *client.Client
		if c, err = d.handshake(ctx, suite); err == nil {
			return c, suite, nil
		}
		if !lacksSuite(err) {
			break
		}
	}
	return nil, 0, loginFault(err)
}

func (d *driver) handshake(ctx context.Context, suite types.CipherSuiteID) (*client.Client, error) {
	var err error
	for _, patience := range handshakePatience {
		var c *client.Client
		if c, err = client.NewClient(d.host, d.port, d.username, d.password); err != nil {
			return nil, err
		}
		c.WithCipherSuiteID(suite).WithTimeout(patience).WithRetry(0)
		if err = ended(ctx, c.Connect(ctx)); err == nil {
			return c.WithTimeout(answerPatience).WithRetry(retries), nil
		}
		abandon(c)
		if !unanswered(err) || end(ctx) != nil {
			break
		}
	}
	return nil, err
}

// farewell ends a session and frees its socket.
func farewell(c *client.Client) {
	ctx, cancel := context.WithTimeout(context.Background(), farewellPatience)
	defer cancel()
	c.Close(ctx) // a BMC that does not say goodbye is no one's concern
}

// abandon frees the socket of a client that never got a session.
func abandon(c *client.Client) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // or it would wait for an answer to its log-out
	c.Close(ctx)
}
