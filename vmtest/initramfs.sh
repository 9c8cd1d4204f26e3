#!/bin/busybox sh
# shellcheck shell=dash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# /init of a guest's initramfs: the host's root, read-only, under a tmpfs; then init.sh there.
set -e
bb=/bin/busybox

$bb mount -t proc proc /proc
for module in /modules/*.ko; do
	if [ -e "$module" ]; then
		$bb insmod "$module"
	fi
done
$bb mount -t virtiofs -o ro host /host
$bb mount -t tmpfs tmpfs /rw
$bb mkdir /rw/upper /rw/work
$bb mount -t overlay -o lowerdir=/host,upperdir=/rw/upper,workdir=/rw/work overlay /root
for word in $($bb cat /proc/cmdline); do
	case $word in
	vmtest.root=*) root=${word#*=} ;;
	vmtest.out=*) out=${word#*=} ;;
	vmtest.modules=*) modules=${word#*=} ;;
	vmtest.only=*) only=${word#*=} ;;
	esac
done
$bb umount /proc
exec $bb switch_root /root "$root/vmtest/init.sh" "$out" "$modules" "$only"
