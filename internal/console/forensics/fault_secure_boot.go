package forensics

import "regexp"

// secureBoot is a refusal by OVMF and other UEFI firmware, by shim, or by GRUB behind it.
var secureBoot = Fault{
	Name: "secure-boot", Halts: true,
	Says: "Secure Boot refused to start something that is not signed by a key the firmware trusts: %s",
	Do:   "Install the signed boot loader and kernel of the distribution (shim-signed, grub-efi-amd64-signed, linux-image), or use an image and a flavor without Secure Boot.",
	Signs: []Sign{
		{Text: "BdsDxe: failed to ", Detail: regexp.MustCompile(`failed to (?:load|start) (.*(?:Access Denied|Security Violation).*)`), Not: "EFI Internal Shell"}, // it is never signed
		{Text: "Verification failed", Detail: regexp.MustCompile(`(Verification failed: .*Security Violation)`)},
		{Text: "bad shim signature", Detail: regexp.MustCompile(`error: .*?(bad shim signature.*)`)},
		{Text: "Secure Boot Violation", Detail: regexp.MustCompile(`(Secure Boot Violation.*)`)},
		{Text: "prohibited by secure boot policy", Detail: regexp.MustCompile(`error: (.*)`)},
	},
}
