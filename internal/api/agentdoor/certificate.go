package agentdoor

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"time"
)

// keyFile holds key and certificate, readable by its owner only.
const keyFile = "agent-door.pem"

// Certificate gives the listener's key and self-signed certificate, kept in the folder and made where there is none;
// several processes may do so at once. The pin is the hex SHA-256 of its SubjectPublicKeyInfo (agentapi.Boot): agents
// look at nothing else, so names and dates in it do not matter, and a copy of the file moves the door to another host.
func Certificate(dir string) (certificate tls.Certificate, pin string, err error) {
	path := filepath.Join(dir, keyFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := makeCertificate(path); err != nil {
			return certificate, "", fmt.Errorf("make the agent listener's key: %w", err)
		}
		text, err = os.ReadFile(path)
	}
	if err != nil {
		return certificate, "", fmt.Errorf("the agent listener's key: %w", err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return certificate, "", err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return certificate, "", fmt.Errorf("%s: its mode is %04o, so others may read it; it must be 0600", path, info.Mode().Perm())
	}
	if certificate, err = tls.X509KeyPair(text, text); err != nil {
		return certificate, "", fmt.Errorf("%s: %w", path, err)
	}
	sum := sha256.Sum256(certificate.Leaf.RawSubjectPublicKeyInfo)
	return certificate, hex.EncodeToString(sum[:]), nil
}

func makeCertificate(path string) (err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ingot agent listener"}, DNSNames: []string{"ingot"},
		NotBefore: time.Unix(0, 0), NotAfter: time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), // machines' clocks may be wrong
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(path), ".agent-door-") // 0600
	if err != nil {
		return err
	}
	defer os.Remove(file.Name()) //nolint:errcheck // a second name of what was linked
	err = errors.Join(
		pem.Encode(file, &pem.Block{Type: "PRIVATE KEY", Bytes: private}),
		pem.Encode(file, &pem.Block{Type: "CERTIFICATE", Bytes: der}),
		file.Sync(), file.Close())
	if err != nil {
		return err
	}
	// A link never replaces: of two processes that start at once, one's key wins for both.
	if err := os.Link(file.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}
