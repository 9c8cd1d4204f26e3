#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Where in the packet path's source the time goes: JSON lines, by line of source, into
# OUT/bench-profile.jsonl.
#
#   tests/bench/profile.sh [OUT]
set -euo pipefail
cd "$(dirname "$0")/../.."

OUT=${1:-build}
# CASE:VIPS of those whose goals are missed.
CASES="tcp4-1:1 tcp4-1k:1 tcp4-100k:1 tcp4-1M:1 tcp4-10M:1 tcp4-syn:1 tcp4-new:1 tcp4-1k:512 tcp4-syn:512"

for case in $CASES; do
	"$OUT/tests/bench/bench_path" --profile --case "${case%:*}" --vips "${case#*:}"
done >"$OUT/bench-profile.jsonl.new"
mv "$OUT/bench-profile.jsonl.new" "$OUT/bench-profile.jsonl"
