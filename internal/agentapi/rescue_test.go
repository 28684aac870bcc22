package agentapi

import (
	"strings"
	"testing"
)

// A long password is good to its last byte, and a short one is not padded.
func TestPasswords(t *testing.T) {
	for _, password := range []string{"s3cret", strings.Repeat("x", 200), "with a \x00 in it", "ü"} {
		hash, err := HashPassword(password)
		if err != nil {
			t.Fatal(err)
		}
		if !CheckPassword(hash, password) {
			t.Errorf("%q is refused", password)
		}
		for _, wrong := range []string{"", password + "x", password[:len(password)-1]} {
			if CheckPassword(hash, wrong) {
				t.Errorf("%q is taken for %q", wrong, password)
			}
		}
	}
	if CheckPassword("", "") {
		t.Error("without a hash anybody is let in")
	}
}
