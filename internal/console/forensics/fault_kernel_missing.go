package forensics

import "regexp"

// kernelMissing is GRUB that does not find what its menu names. It asks for any key, and shows the menu again.
var kernelMissing = Fault{
	Name: "kernel-missing", Halts: true,
	Says:  "The boot loader GRUB did not find the kernel that its menu names: %s",
	Do:    "Rescue the server and mount the disk. Look whether /boot is there and not full, install the kernel's package again, and run update-grub (or grub2-mkconfig).",
	Signs: []Sign{{Text: "' not found.", Detail: regexp.MustCompile("error: file `(\\S*(?:vmlinuz|linux|bzImage|initrd|initramfs)[^/]*)' not found")}},
}
