package console

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/singleflight"

	"github.com/ingotcloud/ingot/internal/clock"
	"github.com/ingotcloud/ingot/internal/console/forensics"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/machine"
)

// Config of the consoles. The zero values of all but Folder are defaults.
type Config struct {
	Folder         string        // for the recordings: home/consoles
	Keep           int64         // bytes of each recording at most; 0: 4 MiB
	URL            string        // where other processes reach this one: http://host:port
	TokenLife      time.Duration // of an unused token; 0: 10 minutes
	Settle         time.Duration // for how long a new connection's output may be a replay; 0: a second
	TakeAfter      time.Duration // for how long somebody else may have a line before it is taken back; 0: 10 minutes
	LookEvery      time.Duration // at the machines that instances have; 0: a second
	ScreenPatience time.Duration // how long a screenshot may take: BMCs encode it with small processors; 0: 30 s
	HardwareEvery  time.Duration // a machine's hardware log is read, unless a boot goes wrong; 0: 15 minutes
}

func (c Config) withDefaults() Config {
	set := func(d *time.Duration, value time.Duration) {
		if *d == 0 {
			*d = value
		}
	}
	if c.Keep == 0 {
		c.Keep = 4 << 20
	}
	set(&c.TokenLife, 10*time.Minute)
	set(&c.Settle, time.Second)
	set(&c.TakeAfter, 10*time.Minute)
	set(&c.LookEvery, time.Second)
	set(&c.ScreenPatience, 30*time.Second)
	set(&c.HardwareEvery, 15*time.Minute)
	return c
}

// Service is the consoles' domain.
type Service struct {
	db        *db.DB
	clock     clock.Clock
	log       *slog.Logger
	config    Config
	wires     Wires
	instances Instances
	peers     Peers
	holder    string // this process, in leases

	mu       sync.Mutex
	lines    map[string]*line // by instance
	powers   map[string]machine.PowerState
	renewed  time.Time // by the process's own clock, which no one sets
	watching map[string]*Session
	reports  reports

	shots   singleflight.Group // of screenshots, by machine
	readers chan struct{}      // of hardware logs at work
	reading sync.WaitGroup
}

// New makes the service; Run lets it work.
func New(d *db.DB, c clock.Clock, log *slog.Logger, config Config, wires Wires, instances Instances, peers Peers) *Service {
	return &Service{
		db: d, clock: c, log: log, config: config.withDefaults(), wires: wires, instances: instances, peers: peers, holder: rand.Text(),
		lines: map[string]*line{}, powers: map[string]machine.PowerState{}, watching: map[string]*Session{},
		readers: make(chan struct{}, hardwareReaders),
	}
}

// flushEvery is how much of a recording a crash costs at most.
const flushEvery = 500 * time.Millisecond

// sweepEvery is how often what is left over is cleared away.
const sweepEvery = time.Minute

// Run records the consoles of all instances that no other process records, until ctx ends.
func (s *Service) Run(ctx context.Context) {
	var running sync.WaitGroup
	running.Go(func() { s.every(ctx, flushEvery, func() error { s.flush(); return nil }) })
	running.Go(func() { s.every(ctx, sweepEvery, func() error { return s.sweep(ctx) }) })
	running.Go(func() { s.every(ctx, s.config.LookEvery, func() error { s.readHardware(ctx); return nil }) })
	s.every(ctx, s.config.LookEvery, func() error { return s.look(ctx) })
	running.Wait()
	s.reading.Wait()
	s.mu.Lock()
	var all []string
	for instance := range s.lines {
		all = append(all, instance)
	}
	s.mu.Unlock()
	leave, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaseFor)
	defer cancel()
	var leaving sync.WaitGroup // a BMC that is slow to say goodbye does not hold up the others
	for _, instance := range all {
		leaving.Go(func() {
			s.stop(instance)
			if err := s.release(leave, instance); err != nil {
				s.log.Error("release a console", "instance", instance, "error", err)
			}
		})
	}
	leaving.Wait()
}

func (s *Service) every(ctx context.Context, interval time.Duration, do func() error) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		if err := do(); err != nil && ctx.Err() == nil {
			s.log.Error("consoles", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// look compares the lines that are held with the machines that instances have, and mends the difference.
func (s *Service) look(ctx context.Context) error {
	mine, err := s.renew(ctx)
	if err != nil {
		s.letGoOfLate()
		return err
	}
	s.mu.Lock()
	s.renewed = time.Now()
	s.mu.Unlock()
	loans, err := s.wires.Lent(ctx)
	if err != nil {
		return err
	}
	foreign, err := s.foreign(ctx)
	if err != nil {
		return err
	}
	want := map[string]machine.Loan{}
	for _, loan := range loans {
		want[loan.Instance] = loan
	}
	for instance, l := range s.held() {
		if loan, ok := want[instance]; !ok || loan.Machine != l.machine {
			s.stop(instance)
			err = errors.Join(err, s.left(ctx, instance))
		} else if _, ok := mine[instance]; !ok {
			s.log.Warn("another process has taken a console over", "instance", instance)
			s.stop(instance)
		}
	}
	held := s.held()
	for _, loan := range loans {
		if l := held[loan.Instance]; l != nil {
			s.seePower(l, loan.Power)
			err = errors.Join(err, s.tellTroubles(ctx, l))
		} else if !foreign[loan.Instance] {
			err = errors.Join(err, s.hold(ctx, loan))
		}
	}
	return err
}

// letGoOfLate stops recording when the leases may have run out without our knowing: the next tenant of a machine must not
// meet a viewer of the last one.
func (s *Service) letGoOfLate() {
	s.mu.Lock()
	late := time.Since(s.renewed) > leaseFor*2/3
	s.mu.Unlock()
	if !late {
		return
	}
	for instance := range s.held() {
		s.stop(instance)
	}
}

func (s *Service) held() map[string]*line {
	s.mu.Lock()
	defer s.mu.Unlock()
	held := make(map[string]*line, len(s.lines))
	for instance, l := range s.lines {
		held[instance] = l
	}
	return held
}

// hold begins to record a console, if no other process is quicker.
func (s *Service) hold(ctx context.Context, loan machine.Loan) error {
	got, inherited, err := s.acquire(ctx, loan)
	if err != nil || !got {
		return err
	}
	l, err := newLine(s, loan.Instance, loan.Machine)
	if err != nil {
		return errors.Join(err, s.release(ctx, loan.Instance))
	}
	ctx, l.cancel = context.WithCancel(ctx)
	s.mu.Lock()
	s.lines[loan.Instance] = l
	s.powers[loan.Instance] = loan.Power
	s.mu.Unlock()
	go l.run(ctx, inherited)
	return nil
}

// stop ends a line and returns when its machine is let go of.
func (s *Service) stop(instance string) {
	s.mu.Lock()
	l := s.lines[instance]
	delete(s.lines, instance)
	delete(s.powers, instance)
	s.mu.Unlock()
	if l != nil {
		l.cancel()
		<-l.ended
	}
}

// left lets go of a console whose instance has no machine any more, and forgets it when there is no instance either.
func (s *Service) left(ctx context.Context, instance string) error {
	if err := s.release(ctx, instance); err != nil {
		return err
	}
	return s.wipeIfGone(ctx, instance)
}

func (s *Service) wipeIfGone(ctx context.Context, instance string) error {
	there, err := s.instances.Exists(ctx, instance)
	if err != nil || there {
		return err
	}
	return os.RemoveAll(s.dir(instance))
}

func (s *Service) dir(instance string) string { return filepath.Join(s.config.Folder, instance) }

// seePower notes that a machine was switched on: a boot begins there.
func (s *Service) seePower(l *line, power machine.PowerState) {
	s.mu.Lock()
	was := s.powers[l.instance]
	s.powers[l.instance] = power
	s.mu.Unlock()
	if was == machine.PowerOff && power == machine.PowerOn {
		l.note(powerOn, "")
		l.troubles.heard(forensics.Chunk{At: s.clock.Now(), PowerOn: true})
	}
}

func (s *Service) flush() {
	for _, l := range s.held() {
		l.flush()
	}
}

// sweep forgets recordings of instances that were deleted while nobody recorded them, leases of the dead, and tokens that
// are over; and says which sessions are still alive.
func (s *Service) sweep(ctx context.Context) error {
	entries, err := os.ReadDir(s.config.Folder)
	if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	held := s.held()
	for _, entry := range entries {
		if _, notOurs := uuid.Parse(entry.Name()); notOurs == nil && held[entry.Name()] == nil {
			err = errors.Join(err, s.wipeIfGone(ctx, entry.Name()))
		}
	}
	now := s.clock.Now()
	for _, query := range []string{`DELETE FROM console_lease WHERE until < $1`, `DELETE FROM console_token WHERE expires_at < $1`} {
		_, failed := s.db.ExecContext(ctx, query, now.Add(-time.Hour))
		err = errors.Join(err, failed)
	}
	return errors.Join(err, s.seeSessions(ctx))
}
