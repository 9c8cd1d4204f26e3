#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# What the control plane costs: JSON lines into OUT/bench-control.jsonl.
set -euo pipefail
cd "$(dirname "$0")/../.."

OUT=${1:-build}

if [[ $(id -u) -ne 0 ]]; then
	echo "tests/bench/run-control.sh: loads BPF programs: run as root" >&2
	exit 1
fi
tests/sweep.sh
{
	"$OUT/tests/bench/bench_maglev"
	"$OUT/tests/bench/bench_control"
	unshare --net tests/bench/idle.py "$OUT"
} >"$OUT/bench-control.jsonl"
