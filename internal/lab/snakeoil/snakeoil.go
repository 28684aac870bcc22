// Package snakeoil gives the key that the lab's firmware trusts under Secure Boot: the one of Debian's package ovmf, which is
// public and good for a lab only.
package snakeoil

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
)

// Cert is the certificate in the firmware's db, as PEM.
const Cert = "/usr/share/ovmf/PkKek-1-snakeoil.pem"

const locked, password = "/usr/share/ovmf/PkKek-1-snakeoil.key", "snakeoil"

// UnlockKey writes the private key to the file, as PEM without a password.
func UnlockKey(ctx context.Context, file string) error {
	out, err := exec.CommandContext(ctx, "openssl", "pkey", "-in", locked, "-passin", "pass:"+password, "-out", file).CombinedOutput()
	if err != nil {
		return fmt.Errorf("unlock the lab's Secure Boot key (package ovmf): %w: %s", err, bytes.TrimSpace(out))
	}
	return nil
}
