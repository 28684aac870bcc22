#!/usr/bin/env bash
# Installs what this repository needs from the distribution's packages: Debian 12 or 13, as root or with sudo. It says in
# one line what it installs, and does nothing, quickly, when nothing is missing.
#
#   scripts/setup.sh run    what building and running the cloud with its virtual rack needs (make up)
#   scripts/setup.sh test   that and what the tests need
#   scripts/setup.sh conformance   that and the clients and tests of OpenStack's own (make conformance)
#   scripts/setup.sh horizon   that and a browser (make test, make horizon)
set -euo pipefail
cd "$(dirname "$0")/.."

run=(
	# The virtual rack: machines, firmware, TPMs, netboot.
	qemu-system-x86 qemu-utils ovmf swtpm ipxe iproute2
	# The networks between them: rules for namespaces, and Open vSwitch and OVN from a Debian root of their own.
	nftables mmdebstrap
	# RAM disk and disk images.
	systemd-boot-efi binutils mtools dosfstools e2fsprogs gdisk xorriso zstd kmod sbsigntool openssl
	# What the reader of `make up` is told to use.
	openssh-client ipmitool python3-openstackclient python3-ironicclient
)
test=(
	openipmi    # ipmi_sim, an IPMI server of other people's making
	postgresql  # the server's programs; the tests start servers of their own
	ovn-central # OVN's databases and ovn-northd, likewise
)
conformance=(
	python3-tempest # Tempest, which is at home with the services of many versions
	ironic-tempest-plugin
)

horizon=(
	chromium # Horizon itself is unpacked in a folder of its own
)

case ${1:-run} in
run) wanted=("${run[@]}") ;;
test) wanted=("${run[@]}" "${test[@]}") ;;
conformance) wanted=("${run[@]}" "${test[@]}" "${conformance[@]}") ;;
horizon) wanted=("${run[@]}" "${test[@]}" "${conformance[@]}" "${horizon[@]}") ;;
*)
	echo "usage: $0 run|test|conformance|horizon" >&2
	exit 2
	;;
esac

as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		echo "setup: this needs root or sudo: $*" >&2
		exit 1
	fi
}

# missing prints those of the packages that are not installed.
missing() {
	comm -23 <(printf '%s\n' "$@" | sort) \
		<(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "$@" 2>/dev/null | sed -n 's/^installed //p' | sort)
}

# install installs packages and leaves the host's services as they are: nothing new is started or started at boot, and
# PostgreSQL makes no database cluster. Whatever it puts in apt's way for that it takes away again.
install() {
	echo "setup: installing $*"
	as_root bash -euo pipefail -s -- "$@" <<'ROOT'
		made=()
		trap 'for file in "${made[@]}"; do rm -fd "$file" || true; done' EXIT
		policy=/usr/sbin/policy-rc.d
		if [ ! -e $policy ]; then
			made+=($policy)
			# A start is refused, also "(start)" as invoke-rc.d says outside of a runlevel; what runs already may be
			# restarted after an upgrade.
			printf '#!/bin/sh\ncase "$*" in *" start"* | *"(start)"*) exit 101 ;; esac\n' >$policy
			chmod 755 $policy
		fi
		clusters=/etc/postgresql-common/createcluster.d
		case " $* " in
		*" postgresql "*)
			made+=($clusters/ingot.conf $clusters)
			mkdir -p $clusters
			echo 'create_main_cluster = false' >$clusters/ingot.conf
			;;
		esac
		export DEBIAN_FRONTEND=noninteractive
		log=$(mktemp)
		made+=("$log")
		if ! { apt-get -q update && apt-get -q install -y --no-install-recommends "$@"; } >"$log" 2>&1 </dev/null; then
			cat "$log" >&2
			exit 1
		fi
		case " $* " in
		*" ovn-central "*) # the tests start its programs themselves
			if command -v systemctl >/dev/null; then systemctl --quiet disable ovn-central.service || true; fi
			;;
		esac
		case " $* " in
		*" openipmi "*) # its service looks for a BMC that a host need not have
			if command -v systemctl >/dev/null; then systemctl --quiet disable openipmi.service || true; fi
			;;
		esac
ROOT
}

if ! command -v apt-get >/dev/null; then
	echo "setup: this is not Debian; please install by your own means: ${wanted[*]}" >&2
	exit 1
fi
command -v go >/dev/null || wanted+=(golang-go ca-certificates)
mapfile -t lacking < <(missing "${wanted[@]}")
if [ ${#lacking[@]} -gt 0 ]; then
	install "${lacking[@]}"
elif ! compgen -G '/var/lib/apt/lists/*_Packages*' >/dev/null; then
	# The RAM disk's kernel comes from a package too, and apt must know which.
	echo "setup: fetching the package lists"
	as_root apt-get -q update >/dev/null
fi
exec scripts/go.sh --fetch
