#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# What is tested on every kernel, run inside the guest: the programs load, the packet tables pass
# with and without the express lane, clients reach reals end to end.
#
#   vmtest/guest.sh OUT [ONLY]     ONLY: no tables, and of the rest what pytest's -k selects
set -uo pipefail
cd "$(dirname "$0")/.." || exit
out=$1 only=${2:-}
only=${only//+/ } # a kernel's words have no spaces
failed=0

echo "booted Linux $(uname -r)"
if [[ -z $only ]]; then
	PROOFS=no SUITES="bpf general" LIMIT_S=1500 UNIT_LIMIT_S=300 JOBS=2 tests/run.sh "$out" || failed=1
fi
# The fixtures are those of the end-to-end tests on the machine itself.
export PYTHONPATH=tests/net XDPLB_BUILD=$out XDPLB_SLOWNESS=6
/usr/bin/python3 -m pytest -v -rs --tb=short --no-header --color=no -p no:cacheprovider \
	-p conftest ${only:+-k "$only"} vmtest || failed=1
# What the console may have lost. Bits: an oops, a warning, a CPU that hung.
if (($(</proc/sys/kernel/tainted) & (1 << 7 | 1 << 9 | 1 << 14))); then
	echo "the kernel is tainted: $(</proc/sys/kernel/tainted)"
	failed=1
fi
exit $failed
