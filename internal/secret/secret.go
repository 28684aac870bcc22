// Package secret seals what must not be readable from the database: BMC passwords, signing keys, CHAP secrets.
//
// The keys live in a file beside the database, never in it, and never leave this package. A sealed text names its key,
// so keys rotate: new texts use the file's first key, old ones open as long as their key is still in the file.
package secret

import (
	"bufio"
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// Keyring holds the keys of one file. It is safe for concurrent use.
type Keyring struct {
	path string

	mu      sync.Mutex
	current string // id of the key that seals
	keys    map[string]cipher.AEAD
}

const (
	keySize = 32 // AES-256
	idSize  = 4  // only tells keys apart
	prefix  = "s1"
)

var encoding = base64.RawURLEncoding

// Open reads the key file, and makes one with a fresh key, readable by its owner only, where there is none. Several
// processes may do so at once. A file that others may read is refused.
func Open(path string) (*Keyring, error) {
	k := &Keyring{path: path}
	err := k.load()
	if errors.Is(err, fs.ErrNotExist) {
		if err := writeKeys(path, []byte(newLine()), os.Link); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, fmt.Errorf("make the key file: %w", err)
		}
		err = k.load()
	}
	if err != nil {
		return nil, fmt.Errorf("key file %s: %w", path, err)
	}
	return k, nil
}

// Rotate puts a fresh key first in the file. Old keys stay: what they sealed still opens. Running processes go on with
// the keys they know, and read the file again when they meet a text of the new one.
func Rotate(path string) error {
	old, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return writeKeys(path, append([]byte(newLine()), old...), os.Rename)
}

// Seal encrypts and authenticates the text. The purpose ("bmc-password <machine id>") is bound to it: a sealed text that
// somebody moves to another row does not open there.
func (k *Keyring) Seal(purpose string, plain []byte) string {
	k.mu.Lock()
	defer k.mu.Unlock()
	sealed := k.keys[k.current].Seal(nil, nil, plain, bound(k.current, purpose))
	return strings.Join([]string{prefix, k.current, encoding.EncodeToString(sealed)}, ".")
}

// Unseal opens a text that Seal made for the same purpose. It fails when the key is not in the file, and when the text
// was changed or belongs to another purpose.
func (k *Keyring) Unseal(purpose, sealed string) ([]byte, error) {
	parts := strings.Split(sealed, ".")
	if len(parts) != 3 || parts[0] != prefix {
		return nil, errors.New("not a sealed text")
	}
	text, err := encoding.DecodeString(parts[2])
	if err != nil {
		return nil, fmt.Errorf("sealed text: %w", err)
	}
	key, err := k.key(parts[1])
	if err != nil {
		return nil, err
	}
	plain, err := key.Open(nil, nil, text, bound(parts[1], purpose))
	if err != nil {
		return nil, fmt.Errorf("the sealed text was changed or is not for %q: %w", purpose, err)
	}
	return plain, nil
}

// Stale reports whether the text was sealed by another key than the current one and wants to be sealed again.
func (k *Keyring) Stale(sealed string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return !strings.HasPrefix(sealed, prefix+"."+k.current+".")
}

func (k *Keyring) key(id string) (cipher.AEAD, error) {
	k.mu.Lock()
	key := k.keys[id]
	k.mu.Unlock()
	if key != nil {
		return key, nil
	}
	if err := k.load(); err != nil { // another process may have rotated
		return nil, fmt.Errorf("key file %s: %w", k.path, err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if key = k.keys[id]; key == nil {
		return nil, fmt.Errorf("key %s is not in %s", id, k.path)
	}
	return key, nil
}

func (k *Keyring) load() error {
	info, err := os.Stat(k.path)
	if err != nil {
		return err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("its mode is %04o, so others may read it; it must be 0600", info.Mode().Perm())
	}
	text, err := os.ReadFile(k.path)
	if err != nil {
		return err
	}
	current, keys := "", map[string]cipher.AEAD{}
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		if lines.Text() == "" {
			continue
		}
		id, encoded, _ := strings.Cut(lines.Text(), " ")
		raw, err := encoding.DecodeString(encoded)
		if err != nil || len(raw) != keySize || id == "" {
			return errors.New("it holds a line that is no key")
		}
		block, err := aes.NewCipher(raw)
		if err != nil {
			return err
		}
		if keys[id], err = cipher.NewGCMWithRandomNonce(block); err != nil {
			return err
		}
		if current == "" {
			current = id
		}
	}
	if current == "" {
		return errors.New("it holds no key")
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.current, k.keys = current, keys
	return nil
}

func bound(id, purpose string) []byte { return []byte(prefix + "." + id + "." + purpose) }

func newLine() string {
	raw := make([]byte, idSize+keySize)
	_, _ = rand.Read(raw) // never fails (crypto/rand)
	return hex.EncodeToString(raw[:idSize]) + " " + encoding.EncodeToString(raw[idSize:]) + "\n"
}

// writeKeys writes a whole file and then puts it in place, by link (fails when there is one) or rename.
func writeKeys(path string, text []byte, place func(from, to string) error) (err error) {
	file, err := os.CreateTemp(filepath.Dir(path), ".keys-") // 0600
	if err != nil {
		return err
	}
	defer os.Remove(file.Name()) //nolint:errcheck // renamed, or a second name
	_, err = file.Write(text)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := place(file.Name(), path); err != nil {
		return err
	}
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
