#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# What a packet costs, case by case: JSON lines into OUT/bench.jsonl, then a table with the goals.
#
#   tests/bench/run.sh [OUT] [--case NAME] [--vips N] [--quick] [--list]
set -euo pipefail
cd "$(dirname "$0")/../.."

OUT=${1:-build}
shift || true
bench=$OUT/tests/bench/bench_path

if [[ " $* " == *" --list "* || " $* " == *" --help "* ]]; then
	exec "$bench" "$@"
fi
if [[ $(id -u) -ne 0 ]]; then
	echo "tests/bench/run.sh: loads BPF programs: run as root" >&2
	exit 1
fi
if [[ $(cat /proc/sys/kernel/bpf_stats_enabled) != 0 ]]; then
	echo "tests/bench/run.sh: kernel.bpf_stats_enabled slows what is measured: set it to 0" >&2
	exit 1
fi
tests/sweep.sh
"$bench" "$@" >"$OUT/bench.jsonl.new"
mv "$OUT/bench.jsonl.new" "$OUT/bench.jsonl"
tests/bench/report.py table "$OUT/bench.jsonl"
