#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# What is tested on every kernel, run inside the guest: the programs load, the packet tables pass,
# clients reach reals end to end.
#
#   vmtest/guest.sh OUT
set -uo pipefail
cd "$(dirname "$0")/.." || exit
out=$1
failed=0

echo "booted Linux $(uname -r)"
PROOFS=no SUITES=bpf UNIT_LIMIT_S=300 tests/run.sh "$out" || failed=1
# The fixtures are those of the end-to-end tests on the machine itself.
PYTHONPATH=tests/net XDPLB_BUILD=$out /usr/bin/python3 -m pytest -v -rs --tb=short --no-header \
	--color=no -p no:cacheprovider -p conftest vmtest || failed=1
exit $failed
