package identity

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"github.com/ingotcloud/ingot/internal/db"
)

// The parameters of time-based one-time passwords (RFC 6238) that Keystone and the usual apps have.
const (
	totpStep  = 30 * time.Second
	totpEarly = 1 // how many earlier steps are still good
)

// totpLock holds where the rules for passwords have no lock: six digits are soon guessed.
var totpLock = lock{after: 10, span: time.Minute}

// totp is the six digits of RFC 6238 (SHA-1) at a time.
func totp(secret []byte, at time.Time) string {
	var counter [8]byte
	binary.BigEndian.PutUint64(counter[:], uint64(at.Unix()/int64(totpStep/time.Second)))
	mac := hmac.New(sha1.New, secret)
	mac.Write(counter[:])
	sum := mac.Sum(nil)
	code := binary.BigEndian.Uint32(sum[sum[len(sum)-1]&0xf:]) & 0x7fffffff
	return fmt.Sprintf("%06d", code%1_000_000)
}

// passcodeIs compares with what the user's credentials of type totp say now. Each passcode is good once.
func (s *Service) passcodeIs(ctx context.Context, u User, passcode string) (bool, error) {
	found, err := s.Credentials(ctx, CredentialFilter{UserID: u.ID, Type: "totp"})
	if err != nil {
		return false, err
	}
	now := s.Clock.Now()
	for _, c := range found {
		secret, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.TrimRight(strings.ToUpper(c.Blob), "="))
		if err != nil {
			continue // not a key; it was checked when it was stored, so another version of this program stored it
		}
		for early := range totpEarly + 1 {
			at := now.Add(-time.Duration(early) * totpStep)
			if subtle.ConstantTimeCompare([]byte(totp(secret, at)), []byte(passcode)) == 1 {
				return s.useOnce(ctx, c.ID, at)
			}
		}
	}
	return false, nil
}

// useOnce notes the step of a right passcode and reports whether it is later than the last one used (RFC 6238, 5.2).
func (s *Service) useOnce(ctx context.Context, credentialID string, at time.Time) (bool, error) {
	step := at.Unix() / int64(totpStep/time.Second)
	n, err := db.Changed(s.db.ExecContext(ctx, `UPDATE identity_credential SET used_step = $2 WHERE id = $1 AND used_step < $2`, credentialID, step))
	return n == 1, err
}
