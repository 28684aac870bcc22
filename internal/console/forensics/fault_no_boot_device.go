package forensics

// noBootDevice: SeaBIOS, OVMF, AMI, Dell and Phoenix each have words of their own.
var noBootDevice = Fault{
	Name: "no-boot-device", Halts: true,
	Says: "The firmware found nothing to start from.",
	Do:   "The disk has no boot loader that this firmware (UEFI or BIOS) can start. Rescue the server and install one, or rebuild it from an image made for this firmware.",
	Signs: []Sign{
		{Text: "No bootable device"}, {Text: "No bootable option or device was found"}, {Text: "No boot device available"},
		{Text: "No boot device found"}, {Text: "Reboot and Select proper Boot device"}, {Text: "Operating System not found"},
		{Text: "Missing operating system"},
	},
}
