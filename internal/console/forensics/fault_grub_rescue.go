package forensics

// grubRescue is GRUB at a prompt: "grub rescue>" without its modules, the normal one without its configuration.
var grubRescue = Fault{
	Name: "grub-rescue", Halts: true, Reason: "error: ", Unsaid: "its configuration has no menu",
	Says:  "The boot loader GRUB stopped at its prompt: %s",
	Do:    "Its configuration or its partition is missing. Rescue the server, mount the disk and run update-grub (or grub2-mkconfig) and grub-install.",
	Signs: []Sign{{Text: "grub rescue>"}, {Text: "Minimal BASH-like line editing is supported"}},
}
