package forensics

import "regexp"

// kernelPanic is any panic that no other fault explains better.
var kernelPanic = Fault{
	Name: "kernel-panic", Halts: true,
	Says:  "The kernel gave up: %s",
	Do:    "The lines above the panic say where. Start an older kernel from the boot loader's menu, or rescue the server and undo what was changed last.",
	Signs: []Sign{{Text: "Kernel panic - not syncing", Detail: regexp.MustCompile(`not syncing: (.*?)(?: \]---)?$`), Not: "VFS: Unable to mount root fs"}},
}
