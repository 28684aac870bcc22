// Package netboot gives a machine on the quarantine network all that it needs to start the agent's RAM disk: an
// address by DHCP (dhcp.go), a boot program that fits its firmware (program.go) by TFTP (tftp.go) or HTTP, and the
// artefacts of its own boot by HTTP (handler.go): an iPXE script with kernel and initrd, a unified kernel image for
// UEFI HTTP boot, and an ISO image for a BMC's virtual CD, which needs no DHCP at all. A tiny router advertisement
// (advertise.go) keeps iPXE from waiting for an IPv6 router that is not there.
//
// Every boot has a key that nobody can guess and that is part of its URLs, and a kernel command line that carries its
// one-time token. The artefacts are templates, patched on the fly as they are read, so a boot costs next to nothing;
// only Secure Boot pays for a signed copy. Who may boot, and what, is the Source's business: this package keeps nothing.
package netboot
