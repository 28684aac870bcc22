package forensics

import "regexp"

// fsckWaiting is e2fsck's own message, and what initramfs-tools and systemd say of it.
var fsckWaiting = Fault{
	Name: "fsck-waiting", Halts: true,
	Says: "A file system needs a check by hand before the system can go on: %s",
	Do:   "Run fsck -y on that device, in the shell that the console shows or in rescue; then reboot. Restore from a backup what it moves to lost+found.",
	Signs: []Sign{
		{Text: "RUN fsck MANUALLY", Detail: regexp.MustCompile(`(.*?):? ?UNEXPECTED INCONSISTENCY`)},
		{Text: "requires a manual fsck", Detail: regexp.MustCompile(`file ?system on (\S+) requires a manual fsck`)},
		{Text: "Failed to start", Detail: regexp.MustCompile(`Failed to start .*(File System Check on .*?)\.?$`)},
		{Text: "File system check failed", Detail: regexp.MustCompile(`(File system check failed.*)`)},
	},
}
