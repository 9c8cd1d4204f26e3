#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# What is tested on every kernel, run inside the guest: the programs load, the packet tables pass.
#
#   vmtest/guest.sh OUT
set -uo pipefail
cd "$(dirname "$0")/.." || exit
out=$1

echo "booted Linux $(uname -r)"
SUITES=bpf UNIT_LIMIT_S=300 tests/run.sh "$out"
