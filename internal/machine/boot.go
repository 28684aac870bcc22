package machine

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/ingotcloud/ingot/internal/agentapi"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/workflow"
)

const (
	// silence after which an agent counts as gone: three missed long polls.
	silence = 3*agentapi.PollWait + 5*time.Second
	// grace is how long a silent agent is watched before it is given up: one long poll and a little. A clock that jumped
	// makes all agents look silent, and each of them will speak within this time.
	grace = agentapi.PollWait + 5*time.Second
)

// orderPatience is how often a BMC that does not take the order to start the agent is asked once more: some seconds.
const orderPatience = 4

// Boot is one start of the agent on a machine, from the order to the end of its session.
type Boot struct {
	Key, Machine, Run, Session string
	Method                     Method
	Ordered                    bool
	Rescue                     bool // its RAM disk has the tools of the rescue system, too
	Armed, Seen, Ended         time.Time
	token                      string // sealed
	secretHash                 string
}

const bootColumns = `key, machine, run, method, token, secret_hash, session, ordered, armed_at, seen_at, ended_at, rescue`

func scanBoot(row db.Scanner) (*Boot, error) {
	var b Boot
	err := row.Scan(&b.Key, &b.Machine, &b.Run, &b.Method, &b.token, &b.secretHash, &b.Session, &b.Ordered, &b.Armed,
		db.NullTime(&b.Seen), db.NullTime(&b.Ended), &b.Rescue)
	return &b, err
}

func findBoot(ctx context.Context, q db.Querier, where string, arg string) (*Boot, error) {
	boot, err := scanBoot(q.QueryRowContext(ctx, `SELECT `+bootColumns+` FROM machine_boot WHERE ended_at IS NULL AND `+where, arg))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return boot, err
}

// CurrentBoot of a machine; nil when the agent neither runs nor was ordered.
func (s *Service) CurrentBoot(ctx context.Context, q db.Querier, machine string) (*Boot, error) {
	return findBoot(ctx, q, `machine = $1`, machine)
}

// Artefact is what a boot's artefacts are made of.
type Artefact struct {
	Machine *Machine
	Params  agentapi.Boot // what the agent is told
	Rescue  bool          // Boot.Rescue
}

// Artefact finds the boot that artefacts are asked for by its key.
func (s *Service) Artefact(ctx context.Context, key string) (*Artefact, error) {
	boot, err := findBoot(ctx, s.db, `key = $1`, key)
	if err != nil {
		return nil, err
	}
	if boot == nil || boot.Session != "" {
		return nil, fault.New(fault.NotFound, "There is no such boot, or it is over.")
	}
	m, err := s.Get(ctx, s.db, boot.Machine)
	if err != nil {
		return nil, err
	}
	nic, err := s.bootNIC(ctx, m.ID)
	if err != nil {
		return nil, err
	}
	token, err := s.secrets.Unseal(tokenOf(key), boot.token)
	if err != nil {
		return nil, err
	}
	params := agentapi.Boot{URL: s.access.URL, Pin: s.access.Pin, Token: string(token), MAC: nic.MAC, CIDR: nic.Address, Extra: s.access.Kernel}
	return &Artefact{Machine: m, Params: params, Rescue: boot.Rescue}, nil
}

func tokenOf(key string) string { return "boot/" + key }

// bootNIC is the NIC the agent uses: the first that may boot.
func (s *Service) bootNIC(ctx context.Context, machine string) (*NIC, error) {
	nics, err := s.NICs(ctx, s.db, machine)
	if err != nil {
		return nil, err
	}
	for _, nic := range nics {
		if nic.PXE {
			return nic, nil
		}
	}
	return nil, fault.New(fault.Conflict, "The machine has no NIC to start the agent over; create a port for it.")
}

// Live reports whether the boot's agent is there now.
func (b *Boot) Live(now time.Time) bool {
	return b != nil && b.Session != "" && b.Ended.IsZero() && now.Sub(b.Seen) < silence
}

// bootTimeout is how long a machine may take from the order to the agent's first word.
func (s *Service) bootTimeout() time.Duration {
	return cmp.Or(s.access.BootTimeout, DefaultBootTimeout)
}

// coming reports whether the boot was ordered and its agent may still call home.
func (s *Service) coming(b *Boot, now time.Time) bool {
	return b != nil && b.Session == "" && b.Ended.IsZero() && now.Sub(b.Armed) < s.bootTimeout()
}

// EnsureAgent is the body of a step that needs the agent on a machine: at once when it already runs there (fast
// track), otherwise it orders the BMC to start it and waits. It ends with late when the agent does not come.
func (s *Service) EnsureAgent(ctx context.Context, run *workflow.Run, machine string, late func(error) error) error {
	return s.ensureAgent(ctx, run, machine, false, late)
}

func (s *Service) ensureAgent(ctx context.Context, run *workflow.Run, machine string, rescue bool, late func(error) error) error {
	if fake, err := s.isFake(ctx, machine); err != nil || fake {
		return err
	}
	boot, err := s.armed(ctx, run, machine, rescue)
	if err != nil || boot.Live(s.clock.Now()) {
		return err
	}
	if boot == nil {
		return workflow.Retry(fault.New(fault.Conflict, "The work was canceled."), 0)
	}
	m, err := s.Get(ctx, s.db, machine)
	if err != nil {
		return err
	}
	if !boot.Ordered {
		if err := s.order(ctx, m, boot); err != nil {
			// A BMC in conflict is only busy: with what was ordered a moment ago, perhaps.
			if k := fault.KindOf(err); k == fault.Unauthorized || k == fault.Unsupported || run.Attempt >= orderPatience {
				return late(fault.Wrap(err, fault.KindOf(err), "The machine's BMC did not start the agent: %s", fault.Message(err)))
			}
			return err
		}
		if _, err := s.db.ExecContext(ctx, `UPDATE machine_boot SET ordered = TRUE WHERE key = $1`, boot.Key); err != nil {
			return err
		}
	}
	return workflow.Wait("the agent to start ("+string(boot.Method)+")", s.bootTimeout(),
		late(fault.New(fault.Unavailable, "The machine did not start the agent within %s of being told to (%s).", s.bootTimeout(), boot.Method)))
}

// armed gives the boot that serves the run: a live one, one on its way, or a new one. Keys and tokens are drawn here,
// inside the transaction, so that a crash before the order finds the same ones again. The rescue system's RAM disk serves
// every run; the plain one does not serve a rescue.
func (s *Service) armed(ctx context.Context, run *workflow.Run, machine string, rescue bool) (boot *Boot, err error) {
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		boot, err = s.CurrentBoot(ctx, tx, machine)
		if err != nil {
			return err
		}
		if current, err := workflow.Find(ctx, tx, run.ID); err != nil || current.Cancel != "" {
			return err // canceled a moment ago: the boot is not ours to take
		}
		now := s.clock.Now()
		// A boot that this run ordered and that never came is not ordered again: the wait for it has its deadline.
		ours := boot != nil && boot.Run == run.ID && boot.Session == ""
		serves := boot != nil && (boot.Rescue || !rescue)
		if serves && (boot.Live(now) || s.coming(boot, now) || ours) {
			boot.Run = run.ID
			_, err := tx.ExecContext(ctx, `UPDATE machine_boot SET run = $2 WHERE key = $1`, boot.Key, run.ID)
			return err
		}
		if err := s.EndBoot(ctx, tx, machine); err != nil {
			return err
		}
		m, err := s.Get(ctx, tx, machine)
		if err != nil {
			return err
		}
		nics, err := s.NICs(ctx, tx, machine)
		if err != nil {
			return err
		}
		token := rand.Text()
		boot = &Boot{Key: rand.Text(), Machine: machine, Run: run.ID, Method: m.Method(nics), Armed: now, Rescue: rescue}
		_, err = tx.ExecContext(ctx, `INSERT INTO machine_boot (key, machine, run, method, token, token_hash, secret_hash, session, ordered, armed_at, rescue)
			VALUES ($1, $2, $3, $4, $5, $6, '', '', FALSE, $7, $8)`,
			boot.Key, machine, run.ID, boot.Method, s.secrets.Seal(tokenOf(boot.Key), []byte(token)), hashSecret(token), now, rescue)
		return err
	})
	return boot, err
}

// EndBoot ends the agent's session on a machine: its credential is void, its commands are canceled.
func (s *Service) EndBoot(ctx context.Context, tx *db.Tx, machine string) error {
	now := s.clock.Now()
	if _, err := tx.ExecContext(ctx, `UPDATE machine_boot SET ended_at = $2 WHERE machine = $1 AND ended_at IS NULL`, machine, now); err != nil {
		return err
	}
	return s.cancelCommands(ctx, tx, machine)
}

// order tells the BMC to start the machine into the agent. It may be repeated: a machine told twice boots twice, into
// the same boot.
func (s *Service) order(ctx context.Context, m *Machine, boot *Boot) error {
	if _, err := s.bootNIC(ctx, m.ID); err != nil {
		return err
	}
	bmc, err := s.Dial(ctx, m)
	if err != nil {
		return err
	}
	defer bmc.Close() //nolint:errcheck // by contract it never fails a caller
	// Continuous, not once: POST of some machines restarts by itself. The device is set back before the tenant boots.
	override := BootOverride{Continuous: true, Mode: m.mode()}
	switch boot.Method {
	case ByMedia:
		media, ok := bmc.(VirtualMedia)
		if !ok {
			return fault.New(fault.Unsupported, "The BMC has no virtual media any more; verify the machine again.")
		}
		if err := media.InsertMedia(ctx, s.access.Media(boot.Key)); err != nil {
			return err
		}
		override.Device = BootCD
	case ByHTTP:
		override.Device, override.HTTPURI = BootUEFIHTTP, s.access.HTTP(boot.Key)
	case ByPXE:
		override.Device = BootNetwork
	default:
		return fault.New(fault.Unsupported, "The machine has no means to start the agent: no virtual media, no NIC to boot over.")
	}
	if err := bmc.SetBoot(ctx, override); err != nil {
		return err
	}
	return bmc.SetPower(ctx, ActionReset)
}

// ToDisk makes the machine start from its disk from now on, and takes the agent's medium out.
func (s *Service) ToDisk(ctx context.Context, machine string) error {
	m, err := s.Get(ctx, s.db, machine)
	if err != nil {
		return err
	}
	bmc, err := s.Dial(ctx, m)
	if err != nil {
		return err
	}
	defer bmc.Close() //nolint:errcheck // by contract it never fails a caller
	if media, ok := bmc.(VirtualMedia); ok && m.Abilities.VirtualMedia {
		if err := media.EjectMedia(ctx); err != nil {
			return err
		}
	}
	return bmc.SetBoot(ctx, BootOverride{Device: BootDisk, Continuous: true, Mode: m.mode()})
}

// mode is the firmware mode that goes with every override: IPMI takes its absence for BIOS.
func (m *Machine) mode() BootMode {
	if m.Abilities.UEFI {
		return ModeUEFI
	}
	return ModeBIOS
}

// Hello opens the session of a boot's agent. The token is spent by the first secret that comes with it; the same
// secret gets the same session again, any other is refused.
func (s *Service) Hello(ctx context.Context, hello agentapi.Hello) (welcome agentapi.Welcome, err error) {
	refused := fault.New(fault.Unauthorized, "This boot's token is unknown, spent or over.")
	if len(hello.Secret) < 32 {
		return welcome, fault.New(fault.Invalid, "The secret is too short.")
	}
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		boot, err := findBoot(ctx, tx, `token_hash = $1`, hashSecret(hello.Token))
		if err != nil {
			return err
		}
		hash := hashSecret(hello.Secret)
		if boot == nil || boot.secretHash != "" && boot.secretHash != hash {
			return refused
		}
		if boot.Session == "" {
			boot.Session = uuid.NewString()
		}
		welcome = agentapi.Welcome{Session: boot.Session, Now: s.clock.Now()}
		if _, err := tx.ExecContext(ctx, `UPDATE machine_boot SET session = $2, secret_hash = $3, seen_at = $4 WHERE key = $1`,
			boot.Key, boot.Session, hash, welcome.Now); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `UPDATE machine SET power = $2, updated_at = $3 WHERE id = $1`, boot.Machine, PowerOn, welcome.Now); err != nil {
			return err
		}
		return s.engine.Signal(ctx, tx, boot.Run)
	})
	return welcome, err
}

func hashSecret(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}
