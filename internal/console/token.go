package console

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"time"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
)

// Kind of what a token opens.
type Kind string

// The kinds. A page may be opened with Serial and Screen alike.
const (
	Serial Kind = "serial" // the serial line, over a websocket
	Screen Kind = "screen" // the picture, over a websocket
	Page   Kind = "page"   // of a session: the console page
	Log    Kind = "log"    // the recording, for another process
)

// Grant is what a token stands for: one console of one instance, for one user.
type Grant struct {
	Kind             Kind
	Instance         string
	Project          string // whose instance it is
	UserID, UserName string
	Request          string
	Session          string // the page it was given to; empty: it came from the API
}

// pageTokenLife is for a token that a page asks for and uses at once.
const pageTokenLife = time.Minute

// errToken is the same for all that is wrong with a token: whoever guesses learns nothing.
var errToken = fault.New(fault.Unauthorized, "This console link is unknown, used up or too old; open the console anew.")

// digest is what the database has of a secret.
func digest(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// Grant makes a token. It is good once, for a short while.
func (s *Service) Grant(ctx context.Context, g Grant) (token string, err error) {
	token = rand.Text() + rand.Text()
	life := s.config.TokenLife
	if g.Session != "" || g.Kind == Log {
		life = pageTokenLife
	}
	_, err = s.db.ExecContext(ctx, `INSERT INTO console_token (hash, kind, instance, project, user_id, user_name, request, session, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		digest(token), g.Kind, g.Instance, g.Project, g.UserID, g.UserName, g.Request, g.Session, s.clock.Now().Add(life))
	return token, err
}

const grantColumns = `kind, instance, project, user_id, user_name, request, session`

func scanGrant(row db.Scanner) (g Grant, err error) {
	err = row.Scan(&g.Kind, &g.Instance, &g.Project, &g.UserID, &g.UserName, &g.Request, &g.Session)
	if errors.Is(err, sql.ErrNoRows) {
		err = errToken
	}
	return g, err
}

// Look tells what a token that is good would open, and leaves it good. Unauthorized for any other.
func (s *Service) Look(ctx context.Context, token string) (Grant, error) {
	return scanGrant(s.db.QueryRowContext(ctx, `SELECT `+grantColumns+` FROM console_token WHERE hash = $1 AND used_at IS NULL AND expires_at > $2`,
		digest(token), s.clock.Now()))
}

// redeem uses a token up. Of several who try at once, one succeeds. The instance must still be there.
func (s *Service) redeem(ctx context.Context, token string) (Grant, error) {
	g, err := scanGrant(s.db.QueryRowContext(ctx, `UPDATE console_token SET used_at = $2 WHERE hash = $1 AND used_at IS NULL AND expires_at > $2
		RETURNING `+grantColumns, digest(token), s.clock.Now()))
	if err != nil {
		return g, err
	}
	there, err := s.instances.Exists(ctx, g.Instance)
	if err == nil && !there {
		err = errToken
	}
	return g, err
}
