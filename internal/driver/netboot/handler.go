package netboot

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/ingotcloud/ingot/internal/fault"
)

// The artefacts of a boot, by the last element of their URLs.
const (
	Script = "script.ipxe" // for iPXE: loads Kernel and Initrd
	Kernel = "vmlinuz"
	Initrd = "initrd"
	UKI    = "ingot.efi" // unified kernel image with the boot's command line in it
	ISO    = "ingot.iso" // UEFI-bootable CD with that image as \EFI\BOOT\BOOTX64.EFI; BIOSes do not start it
)

// Path of a boot's artefact, as Handler serves it.
func Path(key, artefact string) string { return "/boot/" + key + "/" + artefact }

// URL of a boot's artefact on a listener without TLS: firmware knows none of our certificates.
func URL(listener netip.AddrPort, key, artefact string) string {
	return "http://" + listener.String() + Path(key, artefact)
}

// Artifacts are the files that all boots share.
type Artifacts struct {
	Kernel string // path of a bzImage
	Initrd string // path of the RAM disk
	UKI    string // path of the unified kernel image of both, with a reserved section .cmdline
	// RescueInitrd and RescueUKI are the same with the tools of the rescue system; empty: no boot is a rescue.
	RescueInitrd string
	RescueUKI    string
}

// of a boot: with the RAM disk that it asks for.
func (a Artifacts) of(boot *Boot) Artifacts {
	if boot.Rescue {
		a.Initrd, a.UKI = a.RescueInitrd, a.RescueUKI
	}
	return a
}

// Handler serves boot artefacts under /boot/{key}/, to GET and HEAD, whole and by ranges. Mount it on every listener
// that machines or BMCs reach.
type Handler struct {
	source  Source
	files   Artifacts
	signing Signing
	images  *images
	mux     *http.ServeMux
	log     *slog.Logger
}

// NewHandler makes a Handler. The folder is for images that must be written out (see images); what an earlier run left
// there is removed. An empty one is a temporary folder, removed by Close.
func NewHandler(source Source, files Artifacts, signing Signing, folder string, log *slog.Logger) (*Handler, error) {
	images, err := newImages(folder)
	if err != nil {
		return nil, fmt.Errorf("netboot: the folder for generated images: %w", err)
	}
	h := &Handler{source: source, files: files, signing: signing, images: images, mux: http.NewServeMux(), log: log}
	for name, open := range map[string]opener{
		Script: h.script, Kernel: h.kernel, Initrd: h.initrd, UKI: h.uki, ISO: h.iso,
	} {
		h.mux.HandleFunc("GET "+Path("{key}", name), func(w http.ResponseWriter, r *http.Request) { h.serve(w, r, name, open) })
	}
	return h, nil
}

// Disarm removes what was generated for a boot. Source.Boot must not find the key any more, or it may come again.
func (h *Handler) Disarm(key string) error { return h.images.remove(key) }

// Close removes all generated images.
func (h *Handler) Close() error { return h.images.close() }

func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.mux.ServeHTTP(w, r) }

// opener finds or makes one artefact of a boot.
type opener func(context.Context, *Boot) (*artefact, error)

// artefact is the content of one URL.
type artefact struct {
	io.ReaderAt
	size     int64
	modified time.Time
	media    string // Content-Type: UEFI decides by it what it has got (UEFI specification 24.7.3.1)
	varies   string // what else but size and time makes this content different from another boot's
	io.Closer
}

// tag is the artefact's ETag.
func (a *artefact) tag() string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %d %d %s", a.media, a.size, a.modified.UnixNano(), a.varies))
	return fmt.Sprintf(`"%x"`, sum[:16])
}

func (h *Handler) serve(w http.ResponseWriter, r *http.Request, name string, open opener) {
	key := r.PathValue("key")
	boot, err := h.source.Boot(r.Context(), key)
	if err != nil {
		if fault.Is(err, fault.NotFound) {
			err = errors.Join(err, h.Disarm(key))
		}
		h.fail(w, r, name, err)
		return
	}
	// The key is as good as a password: it is in no log.
	log := h.log.With("artefact", name, "mac", boot.Params.MAC, "from", r.RemoteAddr)
	a, err := open(r.Context(), boot)
	if err != nil {
		h.fail(w, r, name, err)
		return
	}
	defer a.Close()
	w.Header().Set("Content-Type", a.media)
	w.Header().Set("ETag", a.tag())
	begin := time.Now()
	http.ServeContent(w, r, "", a.modified, io.NewSectionReader(a, 0, a.size))
	level := slog.LevelInfo
	if r.Header.Get("Range") != "" {
		level = slog.LevelDebug // a BMC reads an ISO in thousands of pieces
	}
	log.Log(r.Context(), level, "Served a boot artefact", "method", r.Method, "range", r.Header.Get("Range"), "seconds", time.Since(begin).Seconds())
}

// fail answers with a sentence: whoever sees it reads a firmware's screen or a BMC's log.
func (h *Handler) fail(w http.ResponseWriter, r *http.Request, name string, err error) {
	status, known := map[fault.Kind]int{
		fault.NotFound: http.StatusNotFound, fault.Unsupported: http.StatusNotImplemented, fault.Unavailable: http.StatusServiceUnavailable,
	}[fault.KindOf(err)]
	if !known {
		status = http.StatusInternalServerError
	}
	h.log.Warn("A boot artefact was refused", "artefact", name, "from", r.RemoteAddr, "status", status, "error", err)
	http.Error(w, fault.Message(err), status)
}

func (h *Handler) kernel(context.Context, *Boot) (*artefact, error) {
	return openFile(h.files.Kernel, "application/octet-stream")
}

func (h *Handler) initrd(_ context.Context, boot *Boot) (*artefact, error) {
	return openFile(h.files.of(boot).Initrd, "application/octet-stream")
}

// script has relative URLs, so it works wherever the handler is mounted.
func (h *Handler) script(_ context.Context, boot *Boot) (*artefact, error) {
	if boot.SecureBoot {
		return nil, fault.New(fault.Unsupported, "This machine boots with Secure Boot, which iPXE cannot: use virtual media or UEFI HTTP boot.")
	}
	line := boot.Params.Cmdline()
	// iPXE expands ${…} and splits at line ends; nothing that we put on a command line needs either.
	if strings.ContainsAny(line, "\r\n\\") || strings.Contains(line, "${") {
		return nil, fault.New(fault.Invalid, "The kernel command line of this boot cannot be written as an iPXE script.")
	}
	// The kernel's EFI stub finds the RAM disk by its name.
	text := fmt.Sprintf("#!ipxe\nkernel %s initrd=%s %s\ninitrd %s\nboot\n", Kernel, Initrd, line, Initrd)
	return &artefact{
		ReaderAt: strings.NewReader(text), size: int64(len(text)), media: "text/plain; charset=utf-8", varies: text, Closer: io.NopCloser(nil),
	}, nil
}

func (h *Handler) uki(ctx context.Context, boot *Boot) (*artefact, error) {
	const media = "application/efi"
	if boot.SecureBoot {
		path, err := h.images.of(boot.Key, signedUKI, h.signedUKI(ctx, boot))
		if err != nil {
			return nil, err
		}
		return openFile(path, media)
	}
	a, err := openFile(h.files.of(boot).UKI, media)
	if err != nil {
		return nil, err
	}
	return patchCmdline(a, a, 0, boot.Params.Cmdline())
}

func (h *Handler) iso(ctx context.Context, boot *Boot) (*artefact, error) {
	const media = "application/vnd.efi-iso"
	if boot.SecureBoot {
		uki, err := h.images.of(boot.Key, signedUKI, h.signedUKI(ctx, boot))
		if err != nil {
			return nil, err
		}
		path, err := h.images.of(boot.Key, signedISO, func(to string) error { return buildISO(to, uki) })
		if err != nil {
			return nil, err
		}
		return openFile(path, media)
	}
	uki := h.files.of(boot).UKI
	template, err := openFile(uki, "")
	if err != nil {
		return nil, err
	}
	defer template.Close()
	// An ISO image of another UKI has another name, and goes with the oldest.
	path, err := h.images.of(template.tag(), templateISO, func(to string) error { return buildISO(to, uki) })
	if err != nil {
		return nil, err
	}
	a, err := openFile(path, media)
	if err != nil {
		return nil, err
	}
	at, err := findUKI(a, template)
	if err != nil {
		return nil, errors.Join(err, a.Close())
	}
	return patchCmdline(a, template, at, boot.Params.Cmdline())
}

// openFile is the artefact that is a file as it stands.
func openFile(path, media string) (*artefact, error) {
	f, err := os.Open(filepath.Clean(path))
	if err != nil {
		return nil, fault.Wrap(err, fault.Unavailable, "A boot artefact is missing on the server.")
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &artefact{ReaderAt: f, size: info.Size(), modified: info.ModTime(), media: media, Closer: f}, nil
}
