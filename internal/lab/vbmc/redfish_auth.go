package vbmc

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/ingotcloud/ingot/internal/clock"
)

// A real BMC holds few sessions; a client that forgets to log out is found by this number.
const sessionLimit = 32

// session is a login (Session.v1_7_0).
type session struct {
	id, user string
	token    string
	created  time.Time
	used     time.Time
}

// sessions are the logins that have neither been ended nor expired.
type sessions struct {
	clock clock.Clock

	mu      sync.Mutex
	next    int
	timeout time.Duration // without a request; SessionService's SessionTimeout
	all     []*session
}

func newSessions(c clock.Clock) *sessions { return &sessions{clock: c, timeout: 30 * time.Minute} }

func (s *sessions) open(user string) (session, *failure) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire()
	if len(s.all) >= sessionLimit {
		return session{}, fail("SessionLimitExceeded")
	}
	s.next++
	now := s.clock.Now()
	n := &session{id: strconv.Itoa(s.next), user: user, token: rand.Text(), created: now, used: now}
	s.all = append(s.all, n)
	return *n, nil
}

// byToken is the session of an X-Auth-Token, whose timeout it starts anew.
func (s *sessions) byToken(token string) (session, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire()
	for _, x := range s.all {
		if same(x.token, token) {
			x.used = s.clock.Now()
			return *x, true
		}
	}
	return session{}, false
}

func (s *sessions) byID(id string) (session, bool) {
	for _, x := range s.list() {
		if x.id == id {
			return x, true
		}
	}
	return session{}, false
}

func (s *sessions) list() []session {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire()
	var all []session
	for _, x := range s.all {
		all = append(all, *x)
	}
	return all
}

func (s *sessions) end(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = slices.DeleteFunc(s.all, func(x *session) bool { return x.id == id })
}

func (s *sessions) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = nil
}

func (s *sessions) idle() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.timeout
}

func (s *sessions) setIdle(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.timeout = d
}

// expire wants mu held.
func (s *sessions) expire() {
	now := s.clock.Now()
	s.all = slices.DeleteFunc(s.all, func(x *session) bool { return now.Sub(x.used) > s.timeout })
}

// same compares in a time that tells nothing of either.
func same(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

func (s *Redfish) knows(user, password string) bool {
	rightUser, rightPassword := same(user, s.opts.Username), same(password, s.opts.Password)
	return rightUser && rightPassword
}

// authenticate says who asks: by X-Auth-Token, or by HTTP basic authentication (DSP0266, "Authentication").
func (s *Redfish) authenticate(r *http.Request) (sessionID string, err *failure) {
	if token := r.Header.Get("X-Auth-Token"); token != "" {
		if x, ok := s.sessions.byToken(token); ok {
			return x.id, nil
		}
		return "", fail("NoValidSession")
	}
	if user, password, ok := r.BasicAuth(); ok && s.knows(user, password) {
		return "", nil
	}
	return "", fail("NoValidSession")
}

func getSessionService(s *Redfish, _ *call) (object, error) {
	return object{
		"ServiceEnabled": true,
		"SessionTimeout": int(s.sessions.idle() / time.Second),
		"Status":         healthy(),
		"Sessions":       link("SessionService/Sessions"),
	}, nil
}

func patchSessionService(s *Redfish, c *call) error {
	var body struct{ SessionTimeout *int }
	if err := c.decode(&body); err != nil {
		return err
	}
	if t := body.SessionTimeout; t != nil {
		if *t < 30 || *t > 86400 { // the schema's bounds
			return fail("PropertyValueNotInList", strconv.Itoa(*t), "SessionTimeout").about("SessionTimeout")
		}
		s.sessions.setIdle(time.Duration(*t) * time.Second)
	}
	return nil
}

func sessionIDs(s *Redfish) (ids []string) {
	for _, x := range s.sessions.list() {
		ids = append(ids, x.id)
	}
	return ids
}

func (x session) resource() object {
	return object{"UserName": x.user, "CreatedTime": x.created.Format(time.RFC3339), "SessionType": "Redfish"}
}

func getSession(s *Redfish, c *call) (object, error) {
	if x, ok := s.sessions.byID(c.r.PathValue("id")); ok {
		return x.resource(), nil
	}
	return nil, c.missing()
}

func login(s *Redfish, c *call) (*reply, error) {
	var body struct{ UserName, Password *string }
	if err := c.decode(&body); err != nil {
		return nil, err
	}
	switch {
	case body.UserName == nil:
		return nil, fail("PropertyMissing", "UserName").about("UserName")
	case body.Password == nil:
		return nil, fail("PropertyMissing", "Password").about("Password")
	case !s.knows(*body.UserName, *body.Password):
		return nil, fail("NoValidSession")
	}
	x, err := s.sessions.open(*body.UserName)
	if err != nil {
		return nil, err
	}
	path := root + "/SessionService/Sessions/" + x.id
	return &reply{
		status: http.StatusCreated,
		header: map[string]string{"X-Auth-Token": x.token, "Location": path},
		body:   finish(x.resource(), path, "Session.v1_7_0.Session", "Session "+x.id),
	}, nil
}

func logout(s *Redfish, c *call) error {
	id := c.r.PathValue("id")
	if _, ok := s.sessions.byID(id); !ok {
		return c.missing()
	}
	s.sessions.end(id)
	return nil
}
