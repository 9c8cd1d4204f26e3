#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Removes what tests made outside of their processes: pins, namespaces, files, and processes that
# still run there.
#
#   tests/sweep.sh          of every run that is over but could not do so itself: it was killed
#   tests/sweep.sh RUN      of this run
#
# All such names begin with the run's, xdplb-test-PID or xdplb-test-PID-SUFFIX, where PID is the
# process that began it (tests/run.sh, pytest, a test program started by hand). While there is such
# a process the run is not over, so runs side by side leave each other alone.
set -uo pipefail

# Or this script and its children would be processes of the run.
[[ -v XDPLB_RUN ]] && exec env -u XDPLB_RUN "$0" "$@"

leftovers() { # RUN: paths, one a line
	compgen -G "/sys/fs/bpf/$1-*"
	compgen -G "/run/netns/$1-*"
	compgen -G "/tmp/$1-*"
}

# The processes of a run: they have its name in their environment or are in one of its namespaces
# (a server may overwrite its environment).
run_pids() {
	local ns
	grep -lszE "^XDPLB_RUN=$1(-[0-9a-f]+)?\$" /proc/[0-9]*/environ | cut -d/ -f3
	for ns in /run/netns/"$1"-*; do
		[[ -e $ns ]] && ip netns pids "${ns##*/}"
	done
}

sweep() { # RUN
	local ns
	run_pids "$1" | sort -u | xargs -r kill -KILL
	for ns in /run/netns/"$1"-*; do
		[[ -e $ns ]] && ip netns del "${ns##*/}"
	done
	rm -rf /sys/fs/bpf/"$1"-* /tmp/"$1"-*
} 2>/dev/null # another may sweep the same

dead_runs() {
	local path
	leftovers xdplb-test | while read -r path; do
		[[ ${path##*/} =~ ^(xdplb-test-([0-9]+))- && ! -e /proc/${BASH_REMATCH[2]} ]] &&
			echo "${BASH_REMATCH[1]}"
	done | sort -u
}

if [[ $# -gt 0 ]]; then
	sweep "$1"
else
	for run in $(dead_runs); do
		sweep "$run"
	done
fi
