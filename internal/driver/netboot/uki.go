package netboot

import (
	"context"
	"debug/pe"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"

	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/ramdisk"
)

// Signing is the operator's pair for Secure Boot; both are paths of PEM files, and both are empty without Secure Boot.
type Signing struct{ Key, Cert string }

// patched is a file of which some bytes read otherwise: a boot's artefact is its template and one patch, so that
// nothing is copied.
type patched struct {
	io.ReaderAt
	at    int64
	bytes []byte
}

func (p patched) ReadAt(b []byte, off int64) (int, error) {
	n, err := p.ReaderAt.ReadAt(b, off)
	from, to := max(off, p.at), min(off+int64(n), p.at+int64(len(p.bytes)))
	if from < to {
		copy(b[from-off:to-off], p.bytes[from-p.at:to-p.at])
	}
	return n, err
}

// patchCmdline writes a boot's command line into the unified kernel image that begins at an offset of a; uki is the
// same image by itself. It closes a when it fails.
func patchCmdline(a *artefact, uki io.ReaderAt, at int64, line string) (*artefact, error) {
	patch, err := cmdlinePatch(uki, line)
	if err != nil {
		return nil, errors.Join(err, a.Close())
	}
	patch.ReaderAt, patch.at = a.ReaderAt, at
	a.ReaderAt, a.varies = patch, line
	return a, nil
}

// cmdlinePatch is the unified kernel image with the command line. Only its front, as far as the section with the
// command line reaches, is held in memory: kernel and RAM disk come after it.
func cmdlinePatch(uki io.ReaderAt, line string) (patched, error) {
	const damaged = "The unified kernel image on the server is damaged."
	file, err := pe.NewFile(uki)
	if err != nil {
		return patched{}, fault.Wrap(err, fault.Internal, damaged)
	}
	section := file.Section(".cmdline")
	if section == nil {
		return patched{}, fault.New(fault.Internal, "The unified kernel image on the server has no room for a command line.")
	}
	front := make([]byte, section.Offset+section.Size)
	if _, err := uki.ReadAt(front, 0); err != nil {
		return patched{}, fault.Wrap(err, fault.Internal, damaged)
	}
	if err := ramdisk.PatchCmdline(front, line); err != nil {
		return patched{}, fault.Wrap(err, fault.Internal, "The kernel command line of this boot does not fit into the unified kernel image.")
	}
	return patched{ReaderAt: uki, bytes: front}, nil
}

// signedUKI writes a boot's unified kernel image, signed with the operator's key by sbsign(1).
func (h *Handler) signedUKI(ctx context.Context, boot *Boot) func(to string) error {
	return func(to string) (err error) {
		if h.signing.Key == "" || h.signing.Cert == "" {
			return fault.New(fault.Unsupported, "This machine boots with Secure Boot, and the operator has given no key to sign with.")
		}
		template, err := openFile(h.files.of(boot).UKI, "")
		if err != nil {
			return err
		}
		defer template.Close()
		uki, err := cmdlinePatch(template, boot.Params.Cmdline())
		if err != nil {
			return err
		}
		unsigned, err := os.CreateTemp(h.images.folder, "netboot-unsigned-")
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.Remove(unsigned.Name())) }()
		_, err = io.Copy(unsigned, io.NewSectionReader(uki, 0, template.size))
		if err := errors.Join(err, unsigned.Close()); err != nil {
			return err
		}
		out, err := exec.CommandContext(ctx, "sbsign", "--key", h.signing.Key, "--cert", h.signing.Cert, "--output", to, unsigned.Name()).CombinedOutput()
		if errors.Is(err, exec.ErrNotFound) {
			return fault.Wrap(err, fault.Unsupported, "The server cannot sign for Secure Boot: sbsign is not installed.")
		}
		if err != nil {
			return fault.Wrap(fmt.Errorf("sbsign: %w: %s", err, out), fault.Internal, "Signing for Secure Boot failed.")
		}
		return nil
	}
}
