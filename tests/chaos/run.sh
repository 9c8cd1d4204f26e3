#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Chaos at full length: what fails, how soon that is known, what it costs; a table, which is also
# written between the marks in docs/reliability.md. Takes about four minutes.
#
#   tests/chaos/run.sh [OUT] [CASE...]      e.g. tests/chaos/run.sh build kill flap
set -uo pipefail
cd "$(dirname "$0")/../.." || exit

OUT=${1:-build}
shift

if [[ $(id -u) -ne 0 ]]; then
	echo "tests/chaos/run.sh: makes network namespaces and loads BPF programs: run as root" >&2
	exit 1
fi

tests/sweep.sh
XDPLB_RUN=xdplb-test-$$ XDPLB_BUILD=$(realpath -m "$OUT") exec /usr/bin/python3 tests/chaos/run.py "$@"
