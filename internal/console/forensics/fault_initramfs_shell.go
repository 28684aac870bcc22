package forensics

// initramfsShell is a shell of initramfs-tools, dracut or systemd that waits for somebody to mend things.
var initramfsShell = Fault{
	Name: "initramfs-shell", Halts: true,
	Says: "The system stopped in an emergency shell and waits for somebody to mend it.",
	Do:   "Read the lines above it for the reason. You can work in that shell from this console; or rescue the server and mend the disk from there.",
	Signs: []Sign{
		{Text: "(initramfs)"}, {Text: "Entering emergency mode. Exit the shell to continue"}, {Text: "dracut:/#"},
		{Text: "You are in emergency mode"}, {Text: "Give root password for maintenance"}, {Text: "Press Enter for maintenance"},
		{Text: "Cannot open access to console, the root account is locked"},
	},
}
