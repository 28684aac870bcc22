package machine

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/ingotcloud/ingot/internal/clock"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/workflow"
)

// Sealer keeps secrets in the database (internal/secret).
type Sealer interface {
	Seal(purpose string, plain []byte) string
	Unseal(purpose, sealed string) ([]byte, error)
}

// Access is where machines in quarantine find the control plane.
type Access struct {
	URL        string                  // of the agent listener
	Pin        string                  // of its certificate: agentapi.Boot
	Kernel     string                  // more kernel parameters: console=ttyS0
	Media      func(key string) string // URL of a boot's ISO image, for BMCs
	HTTP       func(key string) string // URL of a boot's unified kernel image, for firmware
	Rescue     bool                    // these are there with the rescue system, too
	Quarantine Range
	// BootTimeout is how long a machine may take from the order to the agent's first word; 0: DefaultBootTimeout.
	BootTimeout time.Duration
}

// DefaultBootTimeout leaves time for the POST of servers with much memory, which takes minutes.
const DefaultBootTimeout = 15 * time.Minute

// Range of addresses in the quarantine network.
type Range struct {
	First, Last netip.Addr
	Bits        int
}

// Service is the machines' domain.
type Service struct {
	db      *db.DB
	clock   clock.Clock
	log     *slog.Logger
	engine  *workflow.Engine
	secrets Sealer
	dial    Dial
	access  Access
	bells   bells
	silent  suspects
}

// New makes the service and registers its flows.
func New(d *db.DB, c clock.Clock, log *slog.Logger, engine *workflow.Engine, secrets Sealer, dial Dial, access Access) *Service {
	s := &Service{db: d, clock: c, log: log, engine: engine, secrets: secrets, dial: dial, access: access, bells: bells{waiting: map[string]chan struct{}{}}, silent: suspects{boots: map[string]suspect{}}}
	workflow.Register(engine, s.VerifyFlow())
	workflow.Register(engine, s.InspectFlow())
	workflow.Register(engine, s.CleanFlow())
	workflow.Register(engine, s.WarmFlow())
	workflow.Register(engine, s.PowerFlow())
	workflow.Register(engine, s.AdoptFlow())
	workflow.Register(engine, s.PretendFlow())
	workflow.Register(engine, s.AllocateFlow())
	return s
}

// Resource is the name under which workflows hold a machine.
func Resource(machine string) string { return "machine/" + machine }

// Dial opens the driver of a machine's BMC. The caller closes it.
func (s *Service) Dial(ctx context.Context, m *Machine) (Driver, error) {
	var sealed string
	if err := s.db.QueryRowContext(ctx, `SELECT bmc_password FROM machine WHERE id = $1`, m.ID).Scan(&sealed); err != nil {
		return nil, err
	}
	password, err := s.secrets.Unseal(passwordOf(m.ID), sealed)
	if err != nil {
		return nil, err
	}
	bmc := m.BMC
	bmc.Machine, bmc.Password = m.ID, string(password)
	bmc.HostKeys = hostKeys{s, m.ID, bmc.Address}
	return s.dial(bmc)
}

// hostKeys keep the key of the BMC that a machine has at an address.
type hostKeys struct {
	s                *Service
	machine, address string
}

// Keep implements HostKeys.
func (h hostKeys) Keep(ctx context.Context, key string) error {
	return h.s.db.Tx(ctx, func(tx *db.Tx) error {
		m, err := h.s.Get(ctx, tx, h.machine)
		switch {
		case err != nil || m.BMC.HostKey == key:
			return err
		case m.BMC.HostKey != "" || m.BMC.Address != h.address:
			return fault.New(fault.Conflict, "Another SSH host key of the machine's BMC was kept meanwhile.")
		}
		m.BMC.HostKey = key
		h.s.log.Info("the BMC's SSH host key is trusted from now on", "machine", m.ID, "name", m.Name, "key", key)
		return h.s.save(ctx, tx, m)
	})
}

// bells wake the long polls of agents in this process; those of other processes notice within a second.
type bells struct {
	sync.Mutex
	waiting map[string]chan struct{} // one per machine, shared by all who wait
}

func (b *bells) wait(machine string) <-chan struct{} {
	b.Lock()
	defer b.Unlock()
	if b.waiting[machine] == nil {
		b.waiting[machine] = make(chan struct{})
	}
	return b.waiting[machine]
}

func (b *bells) ring(machine string) {
	b.Lock()
	defer b.Unlock()
	if bell := b.waiting[machine]; bell != nil {
		close(bell)
		delete(b.waiting, machine)
	}
}
