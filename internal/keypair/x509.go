package keypair

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // the fingerprint that clients know is this one
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/ingotcloud/ingot/internal/fault"
)

// lifetime of the certificates made here: Nova's ten years.
const lifetime = 3650 * 24 * time.Hour

// readCertificate takes one certificate in PEM and gives it as it is kept, with its fingerprint.
func readCertificate(text string) (kept, fingerprint string, err error) {
	block, rest := pem.Decode([]byte(text))
	if block == nil || block.Type != "CERTIFICATE" || len(strings.TrimSpace(string(rest))) > 0 {
		return "", "", fault.New(fault.Invalid, "Keypair data is invalid: failed to generate X509 fingerprint: the public key must be one certificate in PEM.")
	}
	if _, err := x509.ParseCertificate(block.Bytes); err != nil {
		return "", "", fault.Wrap(err, fault.Invalid, "Keypair data is invalid: failed to generate X509 fingerprint. Error message: %s", err)
	}
	return string(pem.EncodeToMemory(block)), certificateFingerprint(block.Bytes), nil
}

// certificateFingerprint is SHA-1 over the DER form, as in "c3:d2:…".
func certificateFingerprint(der []byte) string {
	sum := sha1.Sum(der) //nolint:gosec // see the import
	pairs := make([]string, len(sum))
	for i, b := range sum {
		pairs[i] = fmt.Sprintf("%02x", b)
	}
	return strings.Join(pairs, ":")
}

// makeCertificate makes a key, and a certificate by which a user of Windows logs in with it over WinRM: the user's
// principal name is <user>@localhost, as Nova has it (nova/crypto.py, generate_winrm_x509_certificate).
func makeCertificate(userID string, now time.Time) (certificate, private string, err error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return "", "", err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return "", "", err
	}
	name, err := principalName(userID + "@localhost")
	if err != nil {
		return "", "", err
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: userID}, NotBefore: now, NotAfter: now.Add(lifetime),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, ExtraExtensions: []pkix.Extension{name},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return "", "", err
	}
	bytes, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", "", err
	}
	certificate = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return certificate, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: bytes})), nil
}

var (
	subjectAltName    = asn1.ObjectIdentifier{2, 5, 29, 17}                    // RFC 5280, 4.2.1.6
	userPrincipalName = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 20, 2, 3} // Microsoft's
)

// principalName is the subject alternative name otherName:UPN.
func principalName(upn string) (pkix.Extension, error) {
	text, err := asn1.MarshalWithParams(upn, "utf8")
	if err != nil {
		return pkix.Extension{}, err
	}
	other, err := asn1.MarshalWithParams(struct {
		Type  asn1.ObjectIdentifier
		Value asn1.RawValue
	}{userPrincipalName, asn1.RawValue{Class: asn1.ClassContextSpecific, IsCompound: true, Bytes: text}}, "tag:0")
	if err != nil {
		return pkix.Extension{}, err
	}
	names, err := asn1.Marshal([]asn1.RawValue{{FullBytes: other}})
	return pkix.Extension{Id: subjectAltName, Value: names}, err
}
