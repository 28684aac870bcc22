package forensics

import "regexp"

// diskErrors are the block layer's, the drivers' and the file systems' words for a disk that fails.
var diskErrors = Fault{
	Name: "disk-errors",
	Says: "A disk reports errors: %s",
	Do:   "Save what you need, then ask the operator to look at the disk; a rebuilt server gets another machine.",
	Signs: []Sign{
		{Text: "I/O error", Detail: regexp.MustCompile(`(I/O error, dev \S+, sector \d+)`), Not: "dev sr"},
		{Text: "Buffer I/O error on dev", Detail: regexp.MustCompile(`(Buffer I/O error on dev \S+)`), Not: "dev sr"},
		{Text: "critical medium error", Detail: regexp.MustCompile(`(critical medium error, dev \S+)`)},
		{Text: "EXT4-fs error", Detail: regexp.MustCompile(`(EXT4-fs error \(device [^)]+\))`)},
		{Text: "metadata I/O error", Detail: regexp.MustCompile(`(XFS \([^)]+\): metadata I/O error)`)},
		{Text: "nvme", Detail: regexp.MustCompile(`(nvme nvme\d+: (?:I/O .*timeout|controller is down).*)`)},
		{Text: "failed command:", Detail: regexp.MustCompile(`(ata\d+\.\d+: failed command: .*)`)},
	},
}
