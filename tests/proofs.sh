#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The proofs in full (tests/bpf/test_proof_*): what they find as a table, which is also written
# between the marks in docs/reliability.md. Takes about five minutes and both CPUs.
#
#   tests/proofs.sh [OUT] [NAME...]        e.g. tests/proofs.sh build floods rings
set -uo pipefail
cd "$(dirname "$0")/.." || exit

OUT=${1:-build}
shift
names=("$@")
doc=docs/reliability.md
export XDPLB_RUN=xdplb-test-$$ # in the name of what is pinned, so that it is found after a failure
rows=/tmp/$XDPLB_RUN-rows
trap 'tests/sweep.sh "$XDPLB_RUN"' EXIT
failed=0

if [[ $(id -u) -ne 0 ]]; then
	echo "tests/proofs.sh: loads BPF programs: run as root" >&2
	exit 1
fi

tests/sweep.sh

is_wanted() {
	[[ ${#names[@]} -eq 0 || " ${names[*]} " == *" $1 "* ]]
}

printf '| proof | found |\n|---|---|\n' >"$rows"
for program in "$OUT"/tests/bpf/test_proof_*; do
	[[ -x $program && -f $program ]] || continue
	is_wanted "${program##*/test_proof_}" || continue
	XDPLB_PROOFS=long "$program" 2>&1 | tee "$rows.log"
	[[ ${PIPESTATUS[0]} -eq 0 ]] || failed=1
	sed -n 's/^# proof |/|/p' "$rows.log" >>"$rows"
done

if [[ $failed -eq 0 && ${#names[@]} -eq 0 ]]; then
	awk -v rows="$rows" '
		/<!-- proofs: end -->/ { skip = 0 }
		!skip { print }
		/<!-- proofs: begin -->/ {
			skip = 1
			while ((getline line < rows) > 0)
				print line
		}' "$doc" >"$rows.doc" && cat "$rows.doc" >"$doc"
fi
exit $failed
