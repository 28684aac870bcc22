#!/usr/bin/env bash
# Runs go, in the version that go.mod asks for. Go 1.21 and later fetch that by themselves as the module
# golang.org/toolchain, through the module proxy and checked against the checksum database. Debian 12's Go 1.19 can
# fetch the module but not switch to it, so `go.sh --fetch` fetches it and every other call runs it.
set -euo pipefail
export GOTOOLCHAIN=${GOTOOLCHAIN:-auto} # some distributions set "local"

version=$(go env GOVERSION) # go1.19.8
minor=${version#go1.}
minor=${minor%%[!0-9]*}
if [ "${1:-}" != --fetch ]; then
	[ "$minor" -ge 21 ] && exec go "$@"
elif [ "$minor" -ge 21 ]; then
	exec go version >/dev/null # switches, and so fetches, where go.mod asks for more
fi

wanted=$(sed -n 's/^go //p' "$(dirname "$0")/../go.mod")
module=golang.org/toolchain@v0.0.1-go$wanted.linux-$(go env GOARCH)
toolchain=$(go env GOMODCACHE)/$module
if [ ! -x "$toolchain/bin/go" ]; then
	echo "setup: fetching Go $wanted as the module $module" >&2
	(cd / && go mod download "$module") # outside of a module that this go cannot read
	# Files of modules are not executable; newer versions do the same when they switch.
	chmod -R u+w "$toolchain/bin" "$toolchain/pkg/tool"
	find "$toolchain/bin" "$toolchain/pkg/tool" -type f -exec chmod a+x {} +
fi
[ "${1:-}" = --fetch ] || exec env GOROOT="$toolchain" PATH="$toolchain/bin:$PATH" "$toolchain/bin/go" "$@"
