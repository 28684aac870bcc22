package image

import (
	"fmt"
	"regexp"
)

var keyPattern = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9._-]{0,199}$`)

// CheckKey reports a key that Blobs does not allow. Drivers call it first, so that no key reaches outside their store.
func CheckKey(key string) error {
	if !keyPattern.MatchString(key) {
		return fmt.Errorf("%q cannot be the key of a blob", key)
	}
	return nil
}
