package console

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/ingotcloud/ingot/internal/fault"
)

// Session is an open console: a page, or a websocket. It is on record with who, when and for how long.
type Session struct {
	ID string
	Grant
	Peer   string
	Opened time.Time
	Typed  atomic.Int64 // bytes, by a websocket's user

	s *Service
}

// pageIdle is after how long without a sign of life a page has to be opened anew, and pageLife after how long in any case.
const (
	pageIdle = 15 * time.Minute
	pageLife = 12 * time.Hour
)

// Open uses a token up and opens a websocket's session of the token's kind. The caller closes it.
func (s *Service) Open(ctx context.Context, token, peer string) (*Session, error) {
	g, err := s.redeem(ctx, token)
	if err != nil {
		return nil, err
	}
	if g.Kind != Serial && g.Kind != Screen {
		return nil, errToken
	}
	session := &Session{ID: uuid.NewString(), Grant: g, Peer: peer, Opened: s.clock.Now(), s: s}
	if err := s.record(ctx, session, ""); err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.watching[session.ID] = session
	s.mu.Unlock()
	return session, nil
}

// OpenPage uses a token up and opens a page. The key is what the page shows from then on.
func (s *Service) OpenPage(ctx context.Context, token, peer string) (session *Session, key string, err error) {
	g, err := s.redeem(ctx, token)
	if err != nil {
		return nil, "", err
	}
	if g.Session != "" || g.Kind == Log {
		return nil, "", errToken
	}
	g.Kind = Page
	session, key = &Session{ID: uuid.NewString(), Grant: g, Peer: peer, Opened: s.clock.Now(), s: s}, rand.Text()+rand.Text()
	return session, key, s.record(ctx, session, digest(key))
}

func (s *Service) record(ctx context.Context, n *Session, hash string) error {
	_, err := s.db.ExecContext(ctx, `INSERT INTO console_session (id, hash, parent, kind, instance, project, user_id, user_name, request, peer, typed, opened_at, seen_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0, $11, $11)`,
		n.ID, hash, n.Session, n.Kind, n.Instance, n.Project, n.UserID, n.UserName, n.Request, n.Peer, n.Opened)
	if err == nil {
		s.log.Info("a console was opened", "session", n.ID, "kind", n.Kind, "instance", n.Instance, "project", n.Project,
			"user", n.UserID, "name", n.UserName, "peer", n.Peer, "request_id", n.Request)
	}
	return err
}

// Page finds the page that shows the key. Unauthorized when there is none, or it was silent for too long.
func (s *Service) Page(ctx context.Context, key string) (*Session, error) {
	now := s.clock.Now()
	n := &Session{s: s}
	err := s.db.QueryRowContext(ctx, `UPDATE console_session SET seen_at = $2 WHERE hash = $1 AND hash <> '' AND closed_at IS NULL AND seen_at > $3 AND opened_at > $4
		RETURNING id, instance, project, user_id, user_name, peer, opened_at`, digest(key), now, now.Add(-pageIdle), now.Add(-pageLife)).
		Scan(&n.ID, &n.Instance, &n.Project, &n.UserID, &n.UserName, &n.Peer, &n.Opened)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, errToken
	}
	if err != nil {
		return nil, err
	}
	n.Kind, n.Session = Page, n.ID
	there, err := s.instances.Exists(ctx, n.Instance)
	if err == nil && !there {
		err = fault.New(fault.NotFound, "The server does not exist any more.")
	}
	return n, err
}

// GrantMore gives a page a token for a websocket.
func (s *Service) GrantMore(ctx context.Context, page *Session, kind Kind, request string) (string, error) {
	if kind != Serial && kind != Screen {
		return "", fault.New(fault.Invalid, "A console is serial or screen, not %q.", kind)
	}
	g := page.Grant
	g.Kind, g.Request, g.Session = kind, request, page.ID
	return s.Grant(ctx, g)
}

// Close puts the session's end on record, also when the program is ending.
func (n *Session) Close() {
	s := n.s
	s.mu.Lock()
	delete(s.watching, n.ID)
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	now := s.clock.Now()
	if _, err := s.db.ExecContext(ctx, `UPDATE console_session SET closed_at = $2, seen_at = $2, typed = $3 WHERE id = $1`, n.ID, now, n.Typed.Load()); err != nil {
		s.log.Error("the end of a console session is not on record", "session", n.ID, "error", err)
	}
	s.log.Info("a console was closed", "session", n.ID, "kind", n.Kind, "instance", n.Instance, "user", n.UserID, "name", n.UserName,
		"open for", now.Sub(n.Opened).Round(time.Second).String(), "typed bytes", n.Typed.Load())
}

// seeSessions keeps the length of sessions on record, should this process die, and closes pages that fell silent.
func (s *Service) seeSessions(ctx context.Context) error {
	s.mu.Lock()
	open := make([]*Session, 0, len(s.watching))
	for _, n := range s.watching {
		open = append(open, n)
	}
	s.mu.Unlock()
	now := s.clock.Now()
	var err error
	for _, n := range open {
		_, failed := s.db.ExecContext(ctx, `UPDATE console_session SET seen_at = $2, typed = $3 WHERE id = $1`, n.ID, now, n.Typed.Load())
		err = errors.Join(err, failed)
	}
	// The sessions of a process that died, and pages: their end is when they were last seen.
	_, failed := s.db.ExecContext(ctx, `UPDATE console_session SET closed_at = seen_at WHERE closed_at IS NULL AND seen_at < $1`, now.Add(-pageIdle))
	return errors.Join(err, failed)
}
