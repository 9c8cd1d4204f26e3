#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Whether a kernel has passed: its tests did, and it did not complain on its console.
#
#   vmtest/judge.sh KERNEL CONSOLE [STATUS]     STATUS: exit status of guest.sh; none: it was not said
set -euo pipefail

KERNEL=$1 CONSOLE=$2 STATUS=${3:-none}
# What a kernel says when something is wrong with it.
COMPLAINTS='Kernel panic|BUG:|kernel BUG at|WARNING:|Oops|general protection fault|Call Trace:|cut here'
COMPLAINTS+='|blocked for more|detected stall|UBSAN:|KASAN:|refcount_t:|leaked'
COMPLAINTS+='|unregister_netdevice: waiting|stalled pool shutdown|XDP_WARN|XDP return value'

mapfile -t complaints < <(grep -aE "$COMPLAINTS" "$CONSOLE" | head -n 20)
if [[ ${#complaints[@]} -gt 0 ]]; then
	printf '    %s\n' "${complaints[@]}"
	why="the kernel complained"
elif ! grep -aq "Linux version" "$CONSOLE"; then
	why="its console says nothing, so nor would it of a complaint (exit status $STATUS)"
elif [[ $STATUS != 0 ]]; then
	tail -n 20 "$CONSOLE" | sed 's/^/    /'
	why="exit status $STATUS"
else
	echo "$KERNEL passed"
	exit
fi
echo "$KERNEL FAILED: $why; its console is in $CONSOLE"
exit 1
