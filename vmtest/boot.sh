#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Boots one kernel under plain emulation, runs guest.sh in it and says how that went.
#
#   vmtest/boot.sh OUT DIRECTORY [ONLY]     DIRECTORY: where the kernel's package is unpacked
#
# The guest's root is this machine's, read-only over virtiofs, under a tmpfs: all programs here run
# there and nothing it writes stays. Its second serial port carries what guest.sh says, with the
# exit status as the last line; the first is the console, kept in OUT/vmtest/KERNEL.log. A kernel
# that complains there has failed, whatever its tests said.
#
# Environment: as in run.sh.
set -euo pipefail
cd "$(dirname "$0")/.."

OUT=$1 DIRECTORY=$2 ONLY=${3:-}
CPUS=${VMTEST_CPUS:-2}
MEMORY=${VMTEST_MEMORY:-2G}
LIMIT_S=${VMTEST_LIMIT_S:-2400}
VIRTIOFSD=/usr/lib/qemu/virtiofsd
# What the initramfs needs to find its root.
BOOT_MODULES=(virtio_pci virtiofs overlay)

RELEASE=$(echo "$DIRECTORY"/boot/vmlinuz-*)
RELEASE=${RELEASE##*/vmlinuz-}
LOG=$OUT/vmtest/$RELEASE.log
tmp=$(mktemp -d)
guest= # the process id of qemu's guard

die() {
	echo "$RELEASE FAILED: $*"
	exit 1
}

# shellcheck disable=SC2317 # called by the trap
finish() {
	local status=$?
	trap - EXIT
	[[ -n $guest ]] && kill "$guest" 2>/dev/null && wait "$guest" 2>/dev/null
	rm -rf "$tmp"
	exit "$status"
}

within() { # TENTHS-OF-A-SECOND COMMAND...
	local i
	for ((i = 0; i < $1; i++)); do
		"${@:2}" && return
		sleep 0.1
	done
	return 1
}

# ---- The initramfs ------------------------------------------------------------------------------

# The modules that BOOT_MODULES need and that are not built in, in loading order.
boot_modules() {
	local module
	for module in "${BOOT_MODULES[@]}"; do
		modprobe -d "$DIRECTORY" -S "$RELEASE" --show-depends "$module"
	done | sed -n 's/^insmod \([^ ]*\).*/\1/p' | awk '!seen[$0]++'
}

# $tmp/initramfs, which mounts the root and hands over to init.sh.
make_initramfs() {
	local top=$tmp/top module n=100
	rm -rf "$top"
	mkdir -p "$top"/{bin,modules,proc,sys,host,rw,root}
	cp /bin/busybox "$top/bin/"
	install -m 0755 vmtest/initramfs.sh "$top/init"
	while read -r module; do
		n=$((n + 1))
		case $module in
		*.xz) xz -dc "$module" ;;
		*) cat "$module" ;;
		esac >"$top/modules/$n.ko"
	done < <(boot_modules)
	(cd "$top" && find . | cpio -o -H newc --quiet) >"$tmp/initramfs"
}

# ---- The guest ----------------------------------------------------------------------------------

# This machine's root on a socket. The bind mounts, read-only and gone with their namespace, leave
# out all that is mounted below the root but the repository, the build and the kernel.
serve_root() { # SOCKET
	mkdir -p "$tmp/share"
	# shellcheck disable=SC2016 # expanded by the inner shell
	unshare --mount --propagation private bash -euc '
		share=$1 socket=$2
		shift 2
		for path in / "$@"; do
			mount --bind "$path" "$share$path"
			mount -o remount,bind,ro "$share$path"
		done
		exec '"$VIRTIOFSD"' --socket-path="$socket" -o source="$share" -o sandbox=chroot \
			-o no_posix_lock -o cache=always' - \
		"$tmp/share" "$1" "$PWD" "$OUT" "$DIRECTORY" >"$tmp/virtiofsd" 2>&1 &
	within 50 test -S "$1" || die "virtiofsd: $(tail -n 3 "$tmp/virtiofsd")"
}

# A guest, until it ends or its time does; what its second serial port says is shown. Its CPUs take
# turns in one thread: with one each, a boot of 6.12 panicked once in sched_clock_cpu(); the cause was
# not found (perhaps code that one CPU runs while another patches it).
boot() {
	local socket=$tmp/socket
	serve_root "$socket"
	timeout -k 5 "$LIMIT_S" qemu-system-x86_64 -accel tcg,thread=single -cpu max \
		-smp "$CPUS" -m "$MEMORY" \
		-object memory-backend-memfd,id=memory,size="$MEMORY",share=on -numa node,memdev=memory \
		-chardev socket,id=root,path="$socket" -device vhost-user-fs-pci,chardev=root,tag=host \
		-nodefaults -display none -no-reboot -serial "file:$LOG" -serial stdio \
		-kernel "$DIRECTORY/boot/vmlinuz-$RELEASE" -initrd "$tmp/initramfs" \
		-append "console=ttyS0 loglevel=7 panic=-1 vmtest.root=$PWD vmtest.out=$OUT \
			vmtest.modules=$DIRECTORY vmtest.only=${ONLY// /+}" \
		</dev/null 2>"$tmp/qemu" > >(show; touch "$tmp/shown") &
	guest=$!
	wait "$guest" || echo "$RELEASE: qemu ended with status $?: $(tail -n 1 "$tmp/qemu")"
	guest=
	within 50 test -e "$tmp/shown"
}

# Shows the guest's lines behind its kernel and the time since its start; keeps the exit status.
show() {
	local start=$SECONDS line
	while IFS= read -r line; do
		line=${line%$'\r'}
		if [[ $line =~ ^vmtest-exit:([0-9]+)$ ]]; then
			echo "${BASH_REMATCH[1]}" >"$tmp/status"
		else
			printf '%s %4ds  %s\n' "$RELEASE" $((SECONDS - start)) "$line"
		fi
	done
}

trap finish EXIT
trap 'exit 130' INT TERM HUP
rm -f "$LOG"
make_initramfs
boot
vmtest/judge.sh "$RELEASE" "$LOG" "$(cat "$tmp/status" 2>/dev/null)"
