package keypair_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/ssh"
	"golang.org/x/sync/errgroup"

	"github.com/ingotcloud/ingot/internal/clock"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/db/dbtest"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/keypair"
)

// most is Nova's default quota.
const most = 100

// From ssh-keygen -t ed25519, with its -E md5 -l.
const (
	publicKey   = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBajl3hio+OQfhKbcdHWLs7cfrWwyEsoYYprOli7h+Ym me@laptop"
	fingerprint = "66:f7:60:8c:b1:0e:b3:42:17:66:de:29:49:d8:a6:bd"
)

func TestLifeOfAKeypair(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s, ctx := keypair.NewStore(d, clock.NewFake()), t.Context()
		made, err := s.Import(ctx, keypair.New{UserID: "ulla", Name: "laptop", Type: keypair.TypeSSH, Most: most}, publicKey+"\n")
		if err != nil || made.Fingerprint != fingerprint || made.PublicKey != publicKey {
			t.Fatalf("%+v, %v", made, err)
		}
		if _, err := s.Import(ctx, keypair.New{UserID: "ulla", Name: "laptop", Type: keypair.TypeSSH, Most: most}, publicKey); !fault.Is(err, fault.Conflict) {
			t.Errorf("the name again: %v", err)
		}
		if _, err := s.Import(ctx, keypair.New{UserID: "otto", Name: "laptop", Type: keypair.TypeSSH, Most: most}, publicKey); err != nil {
			t.Errorf("another user's name: %v", err)
		}
		got, err := s.Get(ctx, "ulla", "laptop")
		if diff := cmp.Diff(made, got); diff != "" || err != nil {
			t.Errorf("%v\n%s", err, diff)
		}
		list, err := s.List(ctx, "ulla")
		if diff := cmp.Diff([]keypair.Keypair{made}, list); diff != "" || err != nil {
			t.Errorf("%v\n%s", err, diff)
		}
		if err := s.Delete(ctx, "ulla", "laptop"); err != nil {
			t.Fatal(err)
		}
		if err := s.Delete(ctx, "ulla", "laptop"); !fault.Is(err, fault.NotFound) {
			t.Errorf("deleted twice: %v", err)
		}
		if _, err := s.Get(ctx, "otto", "laptop"); err != nil {
			t.Errorf("another user's is gone too: %v", err)
		}
	})
}

// A generated private key belongs to the public one; where OpenSSH is installed, it says so too.
func TestGenerate(t *testing.T) {
	s := keypair.NewStore(dbtest.SQLite(t), clock.NewFake())
	for algorithm, begins := range map[keypair.Algorithm][2]string{
		keypair.RSA:     {"ssh-rsa ", "-----BEGIN RSA PRIVATE KEY-----"},
		keypair.Ed25519: {"ssh-ed25519 ", "-----BEGIN OPENSSH PRIVATE KEY-----"},
	} {
		k, private, err := s.Generate(t.Context(), keypair.New{UserID: "ulla", Name: string(algorithm), Type: keypair.TypeSSH, Most: most}, algorithm)
		if err != nil || !strings.HasPrefix(k.PublicKey, begins[0]) || !strings.HasPrefix(private, begins[1]) {
			t.Fatalf("%s: %+v, %v", algorithm, k, err)
		}
		signer, err := ssh.ParsePrivateKey([]byte(private))
		if err != nil {
			t.Fatal(err)
		}
		if got := ssh.FingerprintLegacyMD5(signer.PublicKey()); got != k.Fingerprint {
			t.Errorf("%s: the private key's fingerprint is %s, the public one's %s", algorithm, got, k.Fingerprint)
		}
		if _, err := exec.LookPath("ssh-keygen"); err != nil {
			continue
		}
		file := filepath.Join(t.TempDir(), "key")
		if err := os.WriteFile(file, []byte(private), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.CommandContext(t.Context(), "ssh-keygen", "-y", "-f", file).CombinedOutput()
		if fields := strings.Fields(string(out)); err != nil || len(fields) < 2 || !strings.HasPrefix(k.PublicKey, strings.Join(fields[:2], " ")) {
			t.Errorf("%s: ssh-keygen says %v: %s", algorithm, err, out)
		}
	}
}

func TestWhatIsRefused(t *testing.T) {
	s := keypair.NewStore(dbtest.SQLite(t), clock.NewFake())
	for _, c := range []struct {
		name, keyType, key string
		kind               fault.Kind
	}{
		{"", "ssh", publicKey, fault.Invalid},
		{" a", "ssh", publicKey, fault.Invalid},
		{"a/b", "ssh", publicKey, fault.Invalid},
		{strings.Repeat("a", 256), "ssh", publicKey, fault.Invalid},
		{"a", "ssh", "", fault.Invalid},
		{"a", "ssh", "ssh-rsa AAAA", fault.Invalid},
		{"a", "ssh", publicKey + "\n" + publicKey, fault.Invalid},
		{"a", "x509", "-----BEGIN CERTIFICATE-----", fault.Invalid},
		{"a", "x509", publicKey, fault.Invalid},
		{"a", "x509", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", fault.Invalid},
		{"a", "x509", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", fault.Invalid},
		{"a", "pgp", publicKey, fault.Invalid},
	} {
		if _, err := s.Import(t.Context(), keypair.New{UserID: "ulla", Name: c.name, Type: c.keyType, Most: most}, c.key); !fault.Is(err, c.kind) {
			t.Errorf("%.20q %s %.20q: %v", c.name, c.keyType, c.key, err)
		}
	}
}

// Many imports at once end in exactly as many keys as the quota allows, each with an id of its own.
// A certificate is the user's, and its key's; where OpenSSL is installed, it says what Nova's has in it.
func TestCertificates(t *testing.T) {
	s := keypair.NewStore(dbtest.SQLite(t), clock.Real{})
	wanted := keypair.New{UserID: "ulla", Name: "windows", Type: keypair.TypeX509, Most: most}
	k, private, err := s.Generate(t.Context(), wanted, keypair.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair([]byte(k.PublicKey), []byte(private))
	if err != nil {
		t.Fatal(err)
	}
	if pair.Leaf.Subject.CommonName != "ulla" || !slices.Contains(pair.Leaf.ExtKeyUsage, x509.ExtKeyUsageClientAuth) {
		t.Errorf("the certificate is of %s for %v", pair.Leaf.Subject, pair.Leaf.ExtKeyUsage)
	}
	wanted.Name = "again"
	imported, err := s.Import(t.Context(), wanted, k.PublicKey+"\n")
	if err != nil || imported.Fingerprint != k.Fingerprint || imported.PublicKey != k.PublicKey || imported.Type != keypair.TypeX509 {
		t.Errorf("%+v, %v", imported, err)
	}
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("OpenSSL is not installed")
	}
	cmd := exec.CommandContext(t.Context(), openssl, "x509", "-noout", "-text", "-fingerprint", "-sha1")
	cmd.Stdin = strings.NewReader(k.PublicKey)
	told, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(strings.ToLower(string(told)), k.Fingerprint) || !strings.Contains(string(told), "othername: UPN") || !strings.Contains(string(told), "ulla@localhost") {
		t.Errorf("%v: %s", err, told)
	}
}

func TestQuotaHoldsUnderRaces(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := keypair.NewStore(d, clock.Real{})
		for i := range 98 {
			if _, err := s.Import(t.Context(), keypair.New{UserID: "ulla", Name: fmt.Sprint("k", i), Type: keypair.TypeSSH, Most: most}, publicKey); err != nil {
				t.Fatal(err)
			}
		}
		var all errgroup.Group
		for i := range 6 {
			all.Go(func() error {
				_, err := s.Import(t.Context(), keypair.New{UserID: "ulla", Name: fmt.Sprint("race", i), Type: keypair.TypeSSH, Most: most}, publicKey)
				if fault.Is(err, fault.Quota) {
					return nil
				}
				return err
			})
		}
		if err := all.Wait(); err != nil {
			t.Fatal(err)
		}
		if list, err := s.List(t.Context(), "ulla"); len(list) != 100 || err != nil {
			t.Errorf("%d keys, %v", len(list), err)
		}
	})
}
