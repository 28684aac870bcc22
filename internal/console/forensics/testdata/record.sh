#!/bin/sh
# Records what real programs print when a boot goes wrong. Usage: record.sh KERNEL BUSYBOX DISK, where KERNEL is a
# distribution's vmlinuz, BUSYBOX a static busybox, and DISK a bootable UEFI image whose boot loader is not signed.
# The other logs beside it are written after the messages in the sources of GRUB, initramfs-tools, dracut, e2fsprogs, shim,
# Linux and systemd.
set -eu
kernel=$1 busybox=$2 disk=$3
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
ovmf=/usr/share/OVMF

machine() { # NAME SECONDS ARGUMENTS…
	name=$1 seconds=$2
	shift 2
	echo "$name" >&2
	timeout "$seconds" qemu-system-x86_64 -accel tcg,thread=multi -cpu max -m 512 -nodefaults -display none -no-reboot \
		-device virtio-rng-pci -serial "file:$here/$name.log" "$@" || true
}

initrd() { # SCRIPT: an initial RAM disk whose init it is
	mkdir -p "$work/root/bin" "$work/root/dev" "$work/root/proc"
	cp "$busybox" "$work/root/bin/busybox"
	printf '#!/bin/busybox sh\n%s\n' "$1" >"$work/root/init"
	chmod +x "$work/root/init"
	(cd "$work/root" && find . | cpio -o -H newc --quiet) >"$work/initrd"
}

machine root-not-found 40 -M q35 -kernel "$kernel" -append 'console=ttyS0 root=/dev/vda1 panic=-1'
initrd 'exit 3'
machine kernel-panic 40 -M q35 -kernel "$kernel" -initrd "$work/initrd" -append 'console=ttyS0 panic=-1'
initrd '/bin/busybox sh -c "a=0123456789; while :; do a=\$a\$a; done"; /bin/busybox poweroff -f'
machine out-of-memory 60 -M q35 -m 160 -kernel "$kernel" -initrd "$work/initrd" -append 'console=ttyS0 panic=-1'
machine no-boot-device-bios 15 -M q35,graphics=off
machine dhcp-timeout 60 -M q35,graphics=off -netdev hubport,hubid=0,id=n -device e1000,netdev=n,bootindex=0
cp "$ovmf/OVMF_VARS_4M.ms.fd" "$work/vars.fd"
flash="-global driver=cfi.pflash01,property=secure,value=on -drive if=pflash,format=raw,readonly=on,file=$ovmf/OVMF_CODE_4M.secboot.fd -drive if=pflash,format=raw,file=$work/vars.fd"
# shellcheck disable=SC2086
machine no-boot-device-uefi 40 -M q35,smm=on $flash
# shellcheck disable=SC2086
machine secure-boot 60 -M q35,smm=on $flash -snapshot -drive "file=$disk,format=raw,if=none,id=d" -device virtio-blk-pci,drive=d
cp "$ovmf/OVMF_VARS_4M.fd" "$work/vars.fd"
machine good 70 -M q35 -drive "if=pflash,format=raw,readonly=on,file=$ovmf/OVMF_CODE_4M.fd" -drive "if=pflash,format=raw,file=$work/vars.fd" \
	-snapshot -drive "file=$disk,format=raw,if=none,id=d" -device virtio-blk-pci,drive=d
