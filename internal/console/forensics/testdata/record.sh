#!/bin/sh
# Records what real programs print when a boot goes wrong. Usage: record.sh KERNEL BUSYBOX DISK GRUB, where KERNEL is a
# distribution's vmlinuz, BUSYBOX a static busybox, DISK a bootable UEFI image whose boot loader is not signed, and GRUB the
# image of internal/lab/tenantimage with that loader, which is broken here as its owner could break it.
# The other logs beside it are written after the messages in the sources of GRUB, initramfs-tools, dracut, e2fsprogs, shim,
# Linux and systemd.
set -eu
kernel=$1 busybox=$2 disk=$3 grub=$4
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

# The image with GRUB. Its root file system begins at 49 MiB.
root="$work/grub.raw?offset=$((49 << 20))"
sound() { cp --sparse=always "$grub" "$work/grub.raw" && debugfs -R 'cat /boot/grub/grub.cfg' "$root" >"$work/grub.cfg" 2>/dev/null; }
change() { debugfs -w -R "$1" "$root"; }
replace() { # PATH, by what comes in
	cat >"$work/new"
	change "rm $1"
	change "write $work/new $1"
	change "sif $1 mode 0100755"
}
broken() { # NAME SECONDS
	cp "$ovmf/OVMF_VARS_4M.fd" "$work/vars.fd"
	machine "$1" "$2" -M q35 -m 1024 -drive "if=pflash,format=raw,readonly=on,file=$ovmf/OVMF_CODE_4M.fd" -drive "if=pflash,format=raw,file=$work/vars.fd" \
		-drive "file=$work/grub.raw,format=raw,if=none,id=d" -device nvme,drive=d,serial=d
}
refused() { # NAME SECONDS
	cp "$ovmf/OVMF_VARS_4M.snakeoil.fd" "$work/vars.fd"
	# shellcheck disable=SC2086
	machine "$1" "$2" -M q35,smm=on -m 1024 $flash -drive "file=$work/grub.raw,format=raw,if=none,id=d" -device nvme,drive=d,serial=d
}
sound && change 'rm /boot/grub/grub.cfg' && broken grub-rescue-prompt 40
sound && head -n 3 "$work/grub.cfg" | replace /boot/grub/grub.cfg && broken grub-rescue-syntax 40
sound && change "rm /boot/vmlinuz-$(sed -n 's/.*vmlinuz-\([^ ]*\).*/\1/p' "$work/grub.cfg")" && broken kernel-missing 40
sound && sed 's/root=LABEL=[^ ]*/root=LABEL=elsewhere/' "$work/grub.cfg" | replace /boot/grub/grub.cfg && broken root-not-found-initramfs 90
sound && printf '#!/bin/sh\nexit 1\n' | replace /sbin/init && broken kernel-panic-init 60
sound && change 'unlink /etc/motd' && change 'ssv state 2' && broken fsck-waiting 60
sound && debugfs -R "dump /usr/lib/grub/x86_64-efi/monolithic/grubx64.efi $work/unsigned.efi" "$root"
mcopy -o -i "$work/grub.raw@@1M" "$work/unsigned.efi" ::EFI/BOOT/BOOTX64.EFI && refused secure-boot-loader 40
sound && mcopy -o -i "$work/grub.raw@@1M" "$work/unsigned.efi" ::EFI/BOOT/grubx64.efi && refused secure-boot-shim-loader 60
