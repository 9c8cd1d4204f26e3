#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Boots Debian kernels under plain emulation and runs guest.sh in each: `make vmtest` builds first.
#
#   vmtest/run.sh [OUT] [KERNEL-PACKAGE...]     those of vmtest/kernels if none is given
#
# The guest's root is this machine's, read-only over virtiofs, under a tmpfs: all programs here run
# there and nothing it writes stays. Its second serial port carries what guest.sh says, with the
# exit status as the last line; the first is the console, kept in OUT/vmtest/KERNEL.log. A kernel
# that complains there has failed, whatever its tests said. Ends 0 if every kernel passed.
#
# Environment: VMTEST_CACHE (downloads; OUT/vmtest/cache), VMTEST_CPUS (2), VMTEST_MEMORY (2G),
# VMTEST_LIMIT_S (900, for one kernel).
set -euo pipefail
cd "$(dirname "$0")/.."

OUT=$(realpath -m "${1:-build}")
CACHE=$(realpath -m "${VMTEST_CACHE:-$OUT/vmtest/cache}")
CPUS=${VMTEST_CPUS:-2}
MEMORY=${VMTEST_MEMORY:-2G}
LIMIT_S=${VMTEST_LIMIT_S:-900}
VIRTIOFSD=/usr/lib/qemu/virtiofsd
# What the initramfs needs to find its root.
BOOT_MODULES=(virtio_pci virtiofs overlay)
# What a kernel says when something is wrong with it.
COMPLAINTS='Kernel panic|BUG:|WARNING:|Oops|general protection fault|Call Trace:|blocked for more'
COMPLAINTS+='|detected stall|UBSAN:|KASAN:|refcount_t:|unregister_netdevice: waiting|leaked'

shift || true
kernels=("$@")
tmp=$(mktemp -d)
guest= # the process id of the one that runs

die() {
	echo "vmtest: $*" >&2
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

# ---- A kernel: from its package to an initramfs -------------------------------------------------

# PACKAGE: itself, or the one it stands for.
resolve() {
	local real
	real=$(apt-cache depends "$1" 2>/dev/null | sed -n 's/^  Depends: \(linux-image-.*\)/\1/p')
	echo "${real:-$1}"
}

# Without _apt's sandbox, which cannot write here; signatures are checked all the same.
download() { # PACKAGE
	apt-get -q -o APT::Sandbox::User=root download "$1" >"$tmp/apt" 2>&1
}

# PACKAGE: unpacked in the cache; prints the directory. Old package lists name what is gone.
fetch() {
	local package dir
	package=$(resolve "$1")
	dir=$CACHE/$package
	if [[ ! -e $dir/complete ]]; then
		mkdir -p "$dir"
		cd "$dir"
		if ! download "$package"; then
			apt-get -q update >"$tmp/apt" 2>&1 || true
			download "$(resolve "$1")" || die "$1: $(tail -n 1 "$tmp/apt")"
		fi
		dpkg -x ./*.deb .
		rm ./*.deb
		depmod -b . "$(release .)"
		touch complete
	fi
	echo "$dir"
}

release() { # of the kernel in DIRECTORY
	local image
	image=$(echo "$1"/boot/vmlinuz-*)
	echo "${image##*/vmlinuz-}"
}

# The modules that BOOT_MODULES need and that are not built in, in loading order.
boot_modules() { # DIRECTORY
	local module
	for module in "${BOOT_MODULES[@]}"; do
		modprobe -d "$1" -S "$(release "$1")" --show-depends "$module"
	done | sed -n 's/^insmod \([^ ]*\).*/\1/p' | awk '!seen[$0]++'
}

# DIRECTORY: $tmp/initramfs, which mounts the root and hands over to init.sh.
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
	done < <(boot_modules "$1")
	(cd "$top" && find . | cpio -o -H newc --quiet) >"$tmp/initramfs"
}

# ---- A guest ------------------------------------------------------------------------------------

# This machine's root on a socket. The bind mounts, read-only and gone with their namespace, leave
# out all that is mounted below the root but the repository, the build and the cache.
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
		"$tmp/share" "$1" "$PWD" "$OUT" "$CACHE" >"$tmp/virtiofsd" 2>&1 &
	within 50 test -S "$1" || die "virtiofsd: $(tail -n 3 "$tmp/virtiofsd")"
}

within() { # TENTHS-OF-A-SECOND COMMAND...
	local i
	for ((i = 0; i < $1; i++)); do
		"${@:2}" && return
		sleep 0.1
	done
	return 1
}

# DIRECTORY LOG: a guest, until it ends or its time does; what its second serial port says is shown.
boot() {
	local socket=$tmp/socket release
	release=$(release "$1")
	rm -f "$socket"
	serve_root "$socket"
	timeout -k 5 "$LIMIT_S" qemu-system-x86_64 -accel tcg -cpu max -smp "$CPUS" -m "$MEMORY" \
		-object memory-backend-memfd,id=memory,size="$MEMORY",share=on -numa node,memdev=memory \
		-chardev socket,id=root,path="$socket" -device vhost-user-fs-pci,chardev=root,tag=host \
		-nodefaults -display none -no-reboot -serial "file:$2" -serial stdio \
		-kernel "$1/boot/vmlinuz-$release" -initrd "$tmp/initramfs" \
		-append "console=ttyS0 loglevel=7 panic=-1 \
			vmtest.root=$PWD vmtest.out=$OUT vmtest.modules=$1" \
		</dev/null 2>"$tmp/qemu" > >(show "$release"; touch "$tmp/shown") &
	guest=$!
	wait "$guest" || echo "$release: qemu ended with status $?: $(tail -n 1 "$tmp/qemu")"
	guest=
	within 50 test -e "$tmp/shown"
}

# Shows a guest's lines behind its kernel and the time since its start; keeps the exit status.
show() { # RELEASE
	local start=$SECONDS line
	while IFS= read -r line; do
		line=${line%$'\r'}
		if [[ $line =~ ^vmtest-exit:([0-9]+)$ ]]; then
			echo "${BASH_REMATCH[1]}" >"$tmp/status"
		else
			printf '%s %4ds  %s\n' "$1" $((SECONDS - start)) "$line"
		fi
	done
}

run_kernel() { # PACKAGE
	local dir release log status
	dir=$(fetch "$1") || return 1
	release=$(release "$dir")
	log=$OUT/vmtest/$release.log
	rm -f "$tmp/status" "$tmp/shown" "$log"
	make_initramfs "$dir"
	boot "$dir" "$log"
	status=$(cat "$tmp/status" 2>/dev/null || echo none)
	if [[ $status != 0 ]]; then
		echo "$release FAILED (exit status $status); its console is in $log"
		tail -n 20 "$log" | sed 's/^/    /'
		return 1
	fi
	if grep -aE "$COMPLAINTS" "$log" | sed 's/^/    /' >"$tmp/complaints" && [[ -s $tmp/complaints ]]; then
		echo "$release FAILED: the kernel complained; its console is in $log"
		head -n 20 "$tmp/complaints"
		return 1
	fi
	echo "$release passed"
}

[[ $(id -u) -eq 0 ]] || die "sharing the machine's root with a guest needs root"
trap finish EXIT
trap 'exit 130' INT TERM HUP
mkdir -p "$CACHE" "$OUT/vmtest"
if [[ ${#kernels[@]} -eq 0 ]]; then
	mapfile -t kernels < <(sed 's/#.*//; s/[[:space:]]*$//; /^$/d' vmtest/kernels)
fi
failed=0
for kernel in "${kernels[@]}"; do
	run_kernel "$kernel" || failed=$((failed + 1))
done
echo "$((${#kernels[@]} - failed)) kernels passed, $failed failed"
((failed == 0 && ${#kernels[@]} > 0))
