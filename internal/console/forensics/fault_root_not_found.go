package forensics

import "regexp"

// rootNotFound is the kernel without an initial RAM disk, initramfs-tools or dracut.
var rootNotFound = Fault{
	Name: "root-not-found", Halts: true,
	Says: "The system did not find its root file system: %s",
	Do:   "The kernel's root= names a device that is not there, or a driver is missing in the initial RAM disk. Rescue the server, compare root= in the boot loader's configuration and /etc/fstab with blkid, and build the initial RAM disk anew.",
	Signs: []Sign{
		{Text: "VFS: Cannot open root device", Detail: regexp.MustCompile(`VFS: Cannot open root device (.*)`)},
		{Text: "VFS: Unable to mount root fs", Detail: regexp.MustCompile(`VFS: (Unable to mount root fs.*)`)},
		{Text: "ALERT!", Detail: regexp.MustCompile(`ALERT! +(\S+) does not exist`)},
		{Text: "does not exist", Detail: regexp.MustCompile(`^(?:.*dracut-initqueue\[\d+\]: )?Warning: "?(/dev/\S+?)"? does not exist`)},
	},
}
