package ramdisk

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/u-root/u-root/pkg/cpio"
	"github.com/ulikunitz/xz"
)

// agentModules are what a machine needs between its firmware and a deployed disk. A kernel has some of them built in
// and the cloud kernel lacks many; those are left out.
var agentModules = []string{
	// Buses, and what QEMU offers.
	"virtio_pci", "virtio_rng", "xhci_pci", "ehci_pci", "ohci_pci", "uhci_hcd",
	// Disks.
	"nvme", "virtio_blk", "virtio_scsi", "vmw_pvscsi", "ahci", "ata_piix", "megaraid_sas", "mpt3sas", "mpi3mr",
	"smartpqi", "hpsa", "aacraid", "sd_mod", "sr_mod", "usb_storage", "uas",
	// NICs.
	"virtio_net", "e1000", "e1000e", "igb", "igc", "ixgbe", "i40e", "ice", "bnx2x", "bnxt_en", "tg3", "mlx4_en",
	"mlx5_core", "qede", "cxgb4", "atlantic", "r8169", "af_packet", "8021q", "bonding",
	// Firmware's side: TPM, BMC, EFI variables, the power button and a keyboard.
	"tpm_crb", "tpm_tis", "ipmi_si", "ipmi_ssif", "ipmi_devintf", "efivarfs", "button", "evdev", "usbhid", "hid_generic",
	// File systems, to find a deployed kernel and to read the config drive.
	"ext4", "vfat", "xfs", "isofs", "nls_cp437", "nls_ascii", "nls_iso8859_1", "nls_utf8",
}

// ModuleList is the file of an initrd that names its modules, one absolute path per line, in an order in which each
// can be loaded: what a module depends on stands before it.
const ModuleList = "etc/modules-load"

// Modules picks the named modules of the kernel and what they depend on, and gives them as records of an initrd:
// uncompressed under lib/modules/<version>, with modules.dep, modules.alias and ModuleList. Names that the kernel has
// built in or lacks are passed over.
func Modules(kernel Kernel, names []string) ([]cpio.Record, error) {
	index, err := indexModules(kernel)
	if err != nil {
		return nil, err
	}
	p := &picker{root: kernel.Modules, index: index, picked: map[string]bool{}}
	for _, name := range names {
		if err := p.pick(name); err != nil {
			return nil, err
		}
	}
	root := path.Join("lib/modules", kernel.Version)
	var records []cpio.Record
	var load, dep, alias strings.Builder
	for _, m := range p.order {
		records = append(records, cpio.StaticFile(path.Join(root, m.path), string(m.content), 0o644))
		fmt.Fprintf(&load, "/%s\n", path.Join(root, m.path))
		fmt.Fprintf(&dep, "%s:", m.path)
		for _, needed := range m.depends {
			if file, ok := index[needed]; ok {
				fmt.Fprintf(&dep, " %s", plainName(file))
			}
		}
		dep.WriteByte('\n')
		for _, a := range m.aliases {
			fmt.Fprintf(&alias, "alias %s %s\n", a, m.name)
		}
	}
	return append(records,
		cpio.StaticFile(path.Join(root, "modules.dep"), dep.String(), 0o644),
		cpio.StaticFile(path.Join(root, "modules.alias"), alias.String(), 0o644),
		cpio.StaticFile(ModuleList, load.String(), 0o644)), nil
}

// module is a loadable module as its .modinfo section describes it.
type module struct {
	name    string
	path    string // below lib/modules/<version>, without the suffix of a compression
	content []byte // the ELF file, uncompressed
	depends []string
	wanted  []string // soft dependencies to load before: used where they exist
	aliases []string
}

// picker collects modules depth first, so that its order is an order of loading. The packages carry no modules.dep
// (depmod runs when a kernel is installed), but each module names what it needs.
type picker struct {
	root   string            // lib/modules/<version>
	index  map[string]string // name to file below root
	picked map[string]bool
	order  []module
}

func (p *picker) pick(name string) error {
	name = normalize(name)
	file, ok := p.index[name]
	if !ok || p.picked[name] {
		return nil
	}
	p.picked[name] = true
	m, err := readModule(p.root, file)
	if err != nil {
		return fmt.Errorf("read module %s: %w", file, err)
	}
	for _, needed := range slices.Concat(m.wanted, m.depends) {
		if err := p.pick(needed); err != nil {
			return err
		}
	}
	p.order = append(p.order, m)
	return nil
}

// indexModules maps the names of all modules of the kernel to their files below kernel.Modules.
func indexModules(kernel Kernel) (map[string]string, error) {
	index := map[string]string{}
	err := filepath.WalkDir(filepath.Join(kernel.Modules, "kernel"), func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.Contains(entry.Name(), ".ko") {
			return err
		}
		name, _, _ := strings.Cut(entry.Name(), ".ko")
		index[normalize(name)], err = filepath.Rel(kernel.Modules, file)
		return err
	})
	return index, err
}

func readModule(root, file string) (module, error) {
	name, _, _ := strings.Cut(filepath.Base(file), ".ko")
	m := module{name: normalize(name), path: plainName(file)}
	packed, err := os.ReadFile(filepath.Join(root, file))
	if err != nil {
		return m, err
	}
	if m.content, err = decompress(file, packed); err != nil {
		return m, err
	}
	object, err := elf.NewFile(bytes.NewReader(m.content))
	if err != nil {
		return m, err
	}
	section := object.Section(".modinfo")
	if section == nil {
		return m, errors.New("no .modinfo section")
	}
	info, err := section.Data()
	if err != nil {
		return m, err
	}
	for field := range strings.SplitSeq(string(info), "\x00") {
		key, value, _ := strings.Cut(field, "=")
		switch key {
		case "depends":
			for needed := range strings.SplitSeq(value, ",") {
				if needed != "" {
					m.depends = append(m.depends, normalize(needed))
				}
			}
		case "softdep": // "pre: a b post: c"
			before, _, _ := strings.Cut(value, "post:")
			m.wanted = append(m.wanted, strings.Fields(strings.TrimPrefix(before, "pre:"))...)
		case "alias":
			m.aliases = append(m.aliases, value)
		}
	}
	return m, nil
}

// decompress unpacks what the distribution packed: Debian 13 ships modules as .ko.xz. The initrd is compressed as a
// whole, which does better than each module for itself.
func decompress(file string, packed []byte) ([]byte, error) {
	switch filepath.Ext(file) {
	case ".xz":
		r, err := xz.NewReader(bytes.NewReader(packed))
		if err != nil {
			return nil, err
		}
		return io.ReadAll(r)
	case ".zst":
		r, err := zstd.NewReader(bytes.NewReader(packed))
		if err != nil {
			return nil, err
		}
		defer r.Close()
		return io.ReadAll(r)
	default:
		return packed, nil
	}
}

// plainName is the file's name without the suffix of a compression.
func plainName(file string) string {
	stem, _, _ := strings.Cut(file, ".ko")
	return stem + ".ko"
}

// normalize spells a module's name as the kernel does: files say virtio-rng and virtio_blk alike.
func normalize(name string) string { return strings.ReplaceAll(name, "-", "_") }
