package vbmc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/bougou/go-ipmi/pkg/bmc"
	"github.com/bougou/go-ipmi/pkg/hal"
	"github.com/bougou/go-ipmi/pkg/handlers"
	"github.com/bougou/go-ipmi/pkg/server"
	"github.com/bougou/go-ipmi/pkg/transport/udp"
	"github.com/bougou/go-ipmi/pkg/types"
	"github.com/google/uuid"
)

// IPMIOptions says where a virtual BMC listens and who may log in.
type IPMIOptions struct {
	Username string // 1 to 16 bytes
	Password string // 1 to 20 bytes
	Logger   *slog.Logger
	Listen   string // UDP host:port; empty: 127.0.0.1 and a free port
}

// IPMI is one machine's IPMI 2.0 BMC on the network: RMCP+ sessions (lanplus) with cipher suites 3 and 17, one user who
// is administrator, no IPMI 1.5 sessions. The session layer, SOL, SDR and FRU access are go-ipmi's; chassis control,
// sensors and the event log are here.
type IPMI struct {
	machine Machine
	log     *slog.Logger
	conn    *udp.Conn
	server  *server.Server
	chassis *ipmiChassis
	sel     *eventLog

	ctx    context.Context // of the orders under way; ends with Close
	cancel context.CancelFunc
	unwind []func()
	work   sync.WaitGroup
}

// NewIPMI starts a BMC for the machine.
func NewIPMI(m Machine, opts IPMIOptions) (*IPMI, error) {
	if n := len(opts.Username); n < 1 || n > bmc.MaxUserNameLen {
		return nil, fmt.Errorf("an IPMI user name has 1 to %d bytes, this one %d", bmc.MaxUserNameLen, n)
	}
	if n := len(opts.Password); n < 1 || n > bmc.MaxPasswordLen {
		return nil, fmt.Errorf("an IPMI 2.0 password has 1 to %d bytes, this one %d", bmc.MaxPasswordLen, n)
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Listen == "" {
		opts.Listen = "127.0.0.1:0"
	}
	info := m.Info()
	guid, err := systemGUID(info.UUID)
	if err != nil {
		return nil, err
	}
	store, err := inventory(info)
	if err != nil {
		return nil, err
	}

	i := &IPMI{machine: m, log: opts.Logger.With("machine", info.Name), sel: newEventLog(time.Now)}
	i.ctx, i.cancel = context.WithCancel(context.Background())
	i.chassis = &ipmiChassis{ipmi: i}
	b := bmc.New(bmc.DeviceInfo{
		DeviceID:                0x20,
		DeviceRevision:          1,
		FirmwareMajor:           1,
		IPMIVersion:             0x02, // BCD with the digits swapped: 2.0
		AdditionalDeviceSupport: 0x8f, // chassis, FRU, SEL, SDR repository, sensors (IPMI 2.0 table 20-2)
	}, guid, ipmiHAL{i, store}, bmc.WithV15Disabled())
	if err := setUpUser(b, opts); err != nil {
		return nil, err
	}
	// Console output is not lost as long as the client answers within 7 × 0.5 s: SOL parameter 4, in units of 10 ms.
	if code := b.SOL.Config().SetParam(4, []byte{7, 50}); code != types.CodeOK {
		return nil, fmt.Errorf("setting the SOL retries: %w", code)
	}
	// The serial line may end and come back (a machine started anew): join it again.
	b.SOL.SetReconnectPolicy(&bmc.ReconnectPolicy{Initial: 100 * time.Millisecond, Factor: 2, Cap: 5 * time.Second})

	if i.conn, err = udp.Listen(opts.Listen); err != nil {
		return nil, fmt.Errorf("listening for IPMI: %w", err)
	}
	i.server = server.NewServer(b, i.conn, server.WithHandlerRegistry(i.registry(guid)))
	i.unwind = append(i.unwind, m.Watch(i.sel.watch(m)))
	i.work.Go(func() {
		if err := i.server.Serve(i.ctx); err != nil && !errors.Is(err, context.Canceled) {
			i.log.Error("the IPMI server ended", "error", err)
		}
	})
	return i, nil
}

// Addr is the UDP address that the BMC listens on.
func (i *IPMI) Addr() net.Addr { return i.conn.LocalAddr() }

// Close ends all sessions, and with them a console in use, and frees the port. The machine stays as it is.
func (i *IPMI) Close() error {
	i.cancel()
	err := i.server.Close()
	for _, f := range i.unwind {
		f()
	}
	i.chassis.stopBlinking()
	i.work.Wait()
	return err
}

// setUpUser makes the one account. The anonymous user 1, which every go-ipmi BMC starts with, is shut.
func setUpUser(b *bmc.BMC, opts IPMIOptions) error {
	err := b.Users.Update(1, func(u *bmc.User) error { u.Enabled = false; return nil })
	if err != nil {
		return fmt.Errorf("disabling the anonymous IPMI user: %w", err)
	}
	user, err := b.Users.Add(2, opts.Username)
	if err != nil {
		return fmt.Errorf("adding the IPMI user: %w", err)
	}
	user.SetPassword([]byte(opts.Password))
	user.Enabled = true
	const lanChannel = 1
	user.ChannelAccess[lanChannel] = bmc.UserChannelAccess{MaxPrivilege: bmc.PrivilegeLevelAdministrator, Enabled: true}
	return nil
}

// operatorOnly are orders that the library would take from any user, while IPMI 2.0 appendix G wants an operator.
var operatorOnly = map[types.CommandKey]bool{
	types.CommandChassisIdentify.Key():      true,
	types.CommandSetSystemBootOptions.Key(): true,
	types.CommandAddSELEntry.Key():          true,
	types.CommandClearSEL.Key():             true,
}

func checkOperator(next handlers.Handler) handlers.Handler {
	return handlers.HandlerFunc(func(ctx context.Context, h *handlers.HandlerContext, req []byte) ([]byte, types.CompletionCode, error) {
		if operatorOnly[h.Command.Key()] && (h.Session == nil || h.Session.PrivilegeLevel < bmc.PrivilegeLevelOperator) {
			return nil, types.CodeInsufficientPrivilege, nil
		}
		return next.Handle(ctx, h, req)
	})
}

// registry is the library's command table with our own commands put in or over.
func (i *IPMI) registry(guid [16]byte) *handlers.Registry {
	r := handlers.NewRegistry()
	r.Use(checkOperator)
	handlers.RegisterAllHandlers(r)
	own := func(c types.Command, f func(req []byte) ([]byte, types.CompletionCode)) {
		r.RegisterFunc(c, func(_ context.Context, _ *handlers.HandlerContext, req []byte) ([]byte, types.CompletionCode, error) {
			data, code := f(req)
			return data, code, nil
		})
	}
	own(types.CommandGetSystemGUID, func([]byte) ([]byte, types.CompletionCode) { return guid[:], types.CodeOK })
	r.RegisterFunc(types.CommandChassisControl, i.chassis.controlOnce)
	// The library resets the machine when the BMC is told to reset itself; ours has nothing to reset.
	own(types.CommandColdReset, unsupported)
	own(types.CommandWarmReset, unsupported)
	own(types.CommandGetSensorReading, i.sensorReading)
	own(types.CommandGetSensorThresholds, sensorThresholds)
	own(types.CommandGetSELInfo, i.sel.info)
	own(types.CommandReserveSEL, i.sel.reserve)
	own(types.CommandGetSELEntry, i.sel.entry)
	own(types.CommandAddSELEntry, i.sel.addEntry)
	own(types.CommandClearSEL, i.sel.clear)
	own(types.CommandGetSELTime, i.sel.time)
	return r
}

func unsupported([]byte) ([]byte, types.CompletionCode) { return nil, types.CodeInvalidCommand }

// systemGUID encodes a UUID as SMBIOS does (DSP0134 7.2.1: the first three fields little-endian). The IPMI
// specification wants all bytes reversed, but BMCs commonly give SMBIOS's bytes and ipmitool reads them so.
func systemGUID(id string) ([16]byte, error) {
	u, err := uuid.Parse(id)
	if err != nil {
		return u, fmt.Errorf("the machine's UUID %q: %w", id, err)
	}
	u[0], u[1], u[2], u[3] = u[3], u[2], u[1], u[0]
	u[4], u[5] = u[5], u[4]
	u[6], u[7] = u[7], u[6]
	return u, nil
}

// ipmiHAL shows the library what the machine has. What is nil the BMC does without.
type ipmiHAL struct {
	ipmi  *IPMI
	store hal.StorageHAL
}

func (h ipmiHAL) Chassis() hal.ChassisHAL { return h.ipmi.chassis }
func (h ipmiHAL) Storage() hal.StorageHAL { return h.store }
func (h ipmiHAL) Console() hal.ConsoleHAL { return ipmiConsole{h.ipmi} }
func (h ipmiHAL) Sensors() hal.SensorHAL  { return nil } // the library asks nobody; see ipmi_sensors.go
func (h ipmiHAL) Network() hal.NetworkHAL { return nil }
func (h ipmiHAL) GPIO() hal.GPIOHAL       { return nil }
func (h ipmiHAL) I2C() hal.I2CHAL         { return nil }
func (h ipmiHAL) Close() error            { return nil }

var _ io.Closer = (*IPMI)(nil)
