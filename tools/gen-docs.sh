#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# gen-docs.sh OUT [--check]: writes the generated parts of docs/ from the built programs; with --check
# only says whether they are up to date.
set -euo pipefail
cd "$(dirname "$0")/.."
out=$1
mode=${2:-write}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Replaces what stands between "<!-- generated: NAME -->" and "<!-- end -->" in a file.
fill() { # FILE NAME CONTENT
	awk -v name="$2" -v content="$3" '
		$0 == "<!-- generated: " name " -->" {
			print
			print ""
			while ((getline line < content) > 0) print line
			skip = 1
			next
		}
		$0 == "<!-- end -->" { skip = 0 }
		!skip' "$1"
}

"$out/xdplbd" --reference >"$work/reference"
fill docs/configuration.md reference "$work/reference" >"$work/configuration.md"
{
	echo "| counter | meaning |"
	echo "|---|---|"
	# The list as the compiler reads it: one ROW(name, "text") a counter, the text in pieces.
	printf '#include "xdplb/counters.h"\nXDPLB_ALL_COUNTERS(ROW)\n' |
		"${CC:-cc}" -E -P -Iinclude -x c - | tr '\n' ' ' | sed -E 's/" +"//g' |
		grep -oE 'ROW\([a-z0-9_]+, "[^"]*"\)' |
		sed -E 's/ROW\(([a-z0-9_]+), "(.*)"\)/| \x60\1\x60 | \2 |/'
} >"$work/counters"
fill docs/packet-path.md counters "$work/counters" >"$work/packet-path.md"
"$out/xdplbd" --schema >"$work/xdplb.schema.json"

status=0
for file in configuration.md packet-path.md xdplb.schema.json; do
	if [ "$mode" = --check ]; then
		cmp -s "docs/$file" "$work/$file" ||
			{ echo "docs/$file is not up to date: run \`make docs\`" && status=1; }
	else
		cp "$work/$file" "docs/$file"
	fi
done
exit $status
