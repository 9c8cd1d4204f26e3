#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Boots Debian kernels under plain emulation, two at a time, and runs guest.sh in each (boot.sh says
# how): `make vmtest` builds first.
#
#   vmtest/run.sh [OUT] [KERNEL-PACKAGE...]     those of vmtest/kernels if none is given
#
# A kernel that the archive has not got is skipped with the reason. Ends 0 if every other one passed,
# 1 if one failed, 77 if none could be tried.
#
# Environment: VMTEST_CACHE (downloads; OUT/vmtest/cache), VMTEST_CPUS (2), VMTEST_MEMORY (2G),
# VMTEST_LIMIT_S (2400, for one kernel), VMTEST_JOBS (2, kernels at a time), VMTEST_ONLY (no packet
# tables, and of the end-to-end tests only what pytest's -k selects by this).
set -euo pipefail
cd "$(dirname "$0")/.."

OUT=$(realpath -m "${1:-build}")
CACHE=$(realpath -m "${VMTEST_CACHE:-$OUT/vmtest/cache}")
VIRTIOFSD=/usr/lib/qemu/virtiofsd
JOBS=${VMTEST_JOBS:-2}
ONLY=${VMTEST_ONLY:-}
SKIPPED=77
# 6.1.0-56-cloud-amd64 or 6.12.117+deb12-cloud-amd64: 1 is the series and 4 the flavour.
RELEASE_OF_SERIES='^linux-image-([0-9]+\.[0-9]+)\.[0-9.]+(\+deb[0-9]+)?(-[0-9]+)?-([a-z].*)$'

shift || true
kernels=("$@")
tmp=$(mktemp -d)
booted=() # process ids of the kernels that are being tried
passed=0 failed=0 skipped=0

skip() {
	echo "vmtest: SKIPPED $*"
	exit $SKIPPED
}

# shellcheck disable=SC2317 # called by the trap
finish() {
	local status=$?
	trap - EXIT
	if [[ ${#booted[@]} -gt 0 ]]; then
		kill "${booted[@]}" 2>/dev/null
		wait "${booted[@]}" 2>/dev/null
	fi
	rm -rf "$tmp"
	exit "$status"
}

# ---- A kernel's package -------------------------------------------------------------------------

# PACKAGE: itself, or the one it stands for, or the newest of its series if the archive keeps it no
# more: of 6.1 or 6.12, of the same flavour.
resolve() {
	local real
	real=$(apt-cache depends "$1" 2>/dev/null | sed -n 's/^  Depends: \(linux-image-.*\)/\1/p')
	real=${real:-$1}
	if ! is_available "$real" && [[ $real =~ $RELEASE_OF_SERIES ]]; then
		real=$(newest "${BASH_REMATCH[1]}" "${BASH_REMATCH[4]}")
	fi
	echo "${real:-$1}"
}

is_available() { # PACKAGE
	apt-cache show --no-all-versions "$1" >/dev/null 2>&1
}

newest() { # SERIES FLAVOUR
	local package
	apt-cache pkgnames "linux-image-$1." | sort -V | while read -r package; do
		if [[ $package =~ $RELEASE_OF_SERIES && ${BASH_REMATCH[4]} == "$2" ]] &&
			is_available "$package"; then
			echo "$package"
		fi
	done | tail -n 1
}

# Without _apt's sandbox, which cannot write here; signatures are checked all the same.
download() { # PACKAGE
	apt-get -q -o APT::Sandbox::User=root download "$1" >"$tmp/apt" 2>&1
}

# PACKAGE: unpacked in the cache; prints the directory, or why there is none and fails. Old package
# lists name what is gone.
fetch() {
	local package dir
	package=$(resolve "$1")
	dir=$CACHE/$package
	if [[ ! -e $dir/complete ]]; then
		rm -rf "$dir"
		if ! download_to "$dir" "$package" >/dev/null; then
			apt-get -q update >/dev/null 2>&1 || true
			package=$(resolve "$1")
			dir=$CACHE/$package
			download_to "$dir" "$package" || return
		fi
	fi
	echo "$dir"
}

download_to() { # DIRECTORY PACKAGE
	mkdir -p "$1"
	cd "$1" || return
	if ! download "$2"; then
		tail -n 1 "$tmp/apt"
		return 1
	fi
	unpack
}

unpack() { # the package that is in this directory
	dpkg -x ./*.deb . &&
		rm ./*.deb &&
		depmod -b . "$(ls lib/modules)" &&
		touch complete
}

# ---- Kernels, JOBS at a time --------------------------------------------------------------------

# Waits for the kernel that was started first.
reap() {
	if wait "${booted[0]}"; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
	fi
	booted=("${booted[@]:1}")
}

try() { # PACKAGE
	local dir
	if ! dir=$(fetch "$1"); then
		echo "$1 SKIPPED: not to be had: $dir"
		skipped=$((skipped + 1))
		return
	fi
	[[ ${#booted[@]} -lt $JOBS ]] || reap
	vmtest/boot.sh "$OUT" "$dir" "$ONLY" &
	booted+=($!)
}

check_machine() {
	[[ $(id -u) -eq 0 ]] || skip "sharing the machine's root with a guest needs root"
	command -v qemu-system-x86_64 >/dev/null || skip "no qemu-system-x86_64: tools/deps.sh vmtest"
	[[ -x $VIRTIOFSD ]] || skip "no $VIRTIOFSD: tools/deps.sh vmtest"
}

trap finish EXIT
trap 'exit 130' INT TERM HUP
check_machine
mkdir -p "$CACHE" "$OUT/vmtest"
if [[ ${#kernels[@]} -eq 0 ]]; then
	mapfile -t kernels < <(sed 's/#.*//; s/[[:space:]]*$//; /^$/d' vmtest/kernels)
fi
for kernel in "${kernels[@]}"; do
	try "$kernel"
done
while [[ ${#booted[@]} -gt 0 ]]; do
	reap
done
echo "$passed kernels passed, $failed failed, $skipped skipped"
((failed == 0)) || exit 1
((passed > 0)) || exit $SKIPPED
