#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Fuzzes the packet path against the model, then, for a fifth of the time, its host build under the
# sanitizers.
#
#   tests/fuzz/run.sh OUT SECONDS [SEED]     with a seed: that round alone, to repeat a difference
#
# Ends 1 at the first difference or crash.
set -euo pipefail
cd "$(dirname "$0")/../.."

OUT=$1 SECONDS_WANTED=$2 SEED=${3:-}

if [[ $(id -u) -ne 0 ]]; then
	echo "tests/fuzz/run.sh: the fuzzer loads BPF programs: run as root" >&2
	exit 1
fi
tests/sweep.sh
export XDPLB_BUILD=$OUT
if [[ -n $SEED ]]; then
	exec /usr/bin/python3 tests/fuzz/fuzz.py run --seconds "$SECONDS_WANTED" --seed "$SEED" --rounds 1
fi
/usr/bin/python3 tests/fuzz/fuzz.py run --seconds $((SECONDS_WANTED * 4 / 5))

/usr/bin/python3 tests/fuzz/fuzz.py snapshots "$OUT/fuzz"
mkdir -p "$OUT/fuzz/found"
for maps in "$OUT"/fuzz/*.maps; do
	echo "fuzz: host build with ${maps##*/}"
	if ! HOST_MAPS=$maps "$OUT/tests/fuzz/host_parse" -artifact_prefix="$OUT/fuzz/" -max_len=3400 \
		-max_total_time=$((SECONDS_WANTED / 15 + 1)) "$OUT/fuzz/found" "$OUT/fuzz/seeds" \
		>"$OUT/fuzz/log" 2>&1; then
		cat "$OUT/fuzz/log"
		exit 1
	fi
	tail -n 1 "$OUT/fuzz/log"
done
