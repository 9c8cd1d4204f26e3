#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Process 1 of a guest: makes the host's root a running system, runs guest.sh with its output on the
# second serial port, says its exit status there and turns the machine off.
#
#   init.sh OUT MODULES ONLY     MODULES: the directory in which the kernel's package is unpacked
set -u
out=$1 modules=$2 only=$3

export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8

set_up() {
	mount -t proc proc /proc && mount -t sysfs sysfs /sys && mount -t devtmpfs devtmpfs /dev &&
		mkdir -p /dev/pts /dev/shm && mount -t devpts devpts /dev/pts &&
		ln -s /proc/self/fd /dev/fd && mount -t tmpfs tmpfs /dev/shm && mount -t tmpfs tmpfs /run && mkdir -p /run/lock &&
		mount -t bpf bpf /sys/fs/bpf && mount -t cgroup2 cgroup2 /sys/fs/cgroup &&
		rm -rf /lib/modules && ln -s "$modules/lib/modules" /lib/modules &&
		hostname vmtest && ip link set lo up
}

turn_off() {
	sync
	echo o >/proc/sysrq-trigger
	sleep 60
}

status=1
if why=$(set_up 2>&1); then
	stty -F /dev/ttyS1 raw
	"${0%/*}/guest.sh" "$out" "$only" </dev/null >/dev/ttyS1 2>&1
	status=$?
else
	echo "the guest's system could not be set up: $why" >/dev/ttyS1
fi
echo "vmtest-exit:$status" >/dev/ttyS1
turn_off
