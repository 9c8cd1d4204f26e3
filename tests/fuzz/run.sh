#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Fuzzes the packet path against the model.
#
#   tests/fuzz/run.sh OUT SECONDS [SEED]     with a seed: that round alone, to repeat a difference
#
# Ends 1 at the first difference.
set -euo pipefail
cd "$(dirname "$0")/../.."

OUT=$1 SECONDS_WANTED=$2 SEED=${3:-}

if [[ $(id -u) -ne 0 ]]; then
	echo "tests/fuzz/run.sh: the fuzzer loads BPF programs: run as root" >&2
	exit 1
fi
XDPLB_BUILD=$OUT /usr/bin/python3 tests/fuzz/fuzz.py run --seconds "$SECONDS_WANTED" \
	${SEED:+--seed "$SEED" --rounds 1}
