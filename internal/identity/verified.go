package identity

import (
	"crypto/sha256"
	"sync"
)

// maxVerified is how many tokens a process remembers: a few megabytes.
const maxVerified = 4096

// verified remembers what tokens say whose signatures were found good: clients send the same one with every request. Whether
// a token has expired or was revoked is not in its signature, and is asked each time. A key goes only when all its tokens have
// expired, so that keys need not be asked about again.
type verified struct {
	mu     sync.Mutex
	tokens map[[sha256.Size]byte]Token
}

func (v *verified) get(token string) (Token, bool) {
	key := sha256.Sum256([]byte(token))
	v.mu.Lock()
	defer v.mu.Unlock()
	t, ok := v.tokens[key]
	return t, ok
}

// put forgets all others when there are too many: those in use are back with their next request.
func (v *verified) put(token string, t Token) {
	key := sha256.Sum256([]byte(token))
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.tokens == nil || len(v.tokens) >= maxVerified {
		v.tokens = map[[sha256.Size]byte]Token{}
	}
	v.tokens[key] = t
}
