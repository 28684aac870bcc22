package agentapi

import (
	"crypto/sha256"
	"encoding/base64"

	"golang.org/x/crypto/bcrypt"
)

// Rescue is all that the agent takes with it when it becomes its tenant's rescue system. Whatever else it knows, it forgets.
type Rescue struct {
	Hostname     string   `json:"hostname"`
	Keys         []string `json:"keys,omitempty"` // who may log in as root, as lines of authorized_keys(5)
	PasswordHash string   `json:"password_hash"`  // of root, by HashPassword
}

// HashPassword condenses root's password for the way to a rescue system: bcrypt, which knows 72 bytes of a password only,
// over SHA-256 in base 64, which takes any length.
func HashPassword(password string) (string, error) {
	hash, err := bcrypt.GenerateFromPassword(digest(password), bcrypt.DefaultCost)
	return string(hash), err
}

// CheckPassword reports whether it is the password of a HashPassword.
func CheckPassword(hash, password string) bool {
	return bcrypt.CompareHashAndPassword([]byte(hash), digest(password)) == nil
}

func digest(password string) []byte {
	sum := sha256.Sum256([]byte(password))
	return []byte(base64.StdEncoding.EncodeToString(sum[:]))
}
