#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The shape of the tree, checked on its text: who may include whom, `#pragma once` in headers, the
# SPDX line, and no file over 600 lines. Prints FILE:LINE: FINDING; ends 1 when there is one.
#
#   check-includes.sh [TREE]       check a tree (default: this one)
#   check-includes.sh --self-test  check that every rule finds what it is there to find
set -euo pipefail

MAX_LINES=600

# The pieces of user/lib that reach out: maps, files, waiting for the kernel. All others are pure:
# what decides takes its inputs and the time as arguments and is tested without a kernel.
ADAPTER='user/lib/(adopt|apply[a-z_]*|dataplane[a-z_]*|dir_lock|grace|hash_key|retire)\.[ch]'
PURE="user/lib/(?!${ADAPTER#user/lib/})"
IMPURE='<(bpf/|sys/socket\.h|time\.h|sys/time\.h|systemd/|curl/|microhttpd\.h|libmnl/)'

# One rule a line: files | what they must not include | why. A file inside the tree is written as
# its path, any other as <name>; a generated skeleton is <name.skel.h>.
RULES="
include/xdplb/ | (bpf|user|tools|tests|vmtest)/ | include/xdplb is shared by all and uses none
bpf/ | (user|tools|tests|vmtest)/ | bpf uses include/xdplb only
user/lib/ | (bpf|user/daemon|user/ctl|user/receiver|tools)/ | user/lib uses include/xdplb only
$PURE | $IMPURE|<.*\.skel\.h>|$ADAPTER | a pure piece of user/lib: no I/O, no clock
user/daemon/ | (bpf|user/ctl|user/receiver|tools)/ | the daemon uses include and user/lib
user/receiver/ | (bpf|user/ctl|user/daemon|tools)/ | the receiver uses include and user/lib
user/ctl/ | (?!$PURE|user/ctl/)(bpf|user|tools)/|<bpf/|<xdp/|<.*\.skel\.h> | ctl opens no map: pure pieces of user/lib and the API only
tools/ | (user/(?!lib/)|bpf/) | tools use include and user/lib
(?!tests/|vmtest/) | tests/ | nothing uses tests
"

sources() { # of the tree in the current directory
	if git rev-parse --git-dir >/dev/null 2>&1; then
		git ls-files --cached --others --exclude-standard
	else
		find . -path ./build -prune -o -type f -printf '%P\n'
	fi | grep -E '(\.[ch]|\.sh|\.py|^Makefile)$' | while read -r file; do
		[[ -e $file ]] && echo "$file"
	done | sort
}

# FILE NAME: what `#include NAME` in FILE means, as the rules write it: ret.
resolve() {
	local name=${2:1:-1} dir
	for dir in "${1%/*}" include user; do
		if [[ -e $dir/$name && ! ($2 == \<* && $dir == "${1%/*}") ]]; then
			ret=$dir/$name
			[[ $name != *../* ]] || ret=$(realpath --relative-to=. "$ret")
			return
		fi
	done
	ret="<$name>"
}

includes() { # every include as FILE:LINE TARGET
	local at name ret
	sources | grep '\.[ch]$' |
		xargs -r grep -HnE '^[[:space:]]*#[[:space:]]*include' |
		sed -nE 's/^([^:]+:[0-9]+):[^"<]*(["<][^">]+[">]).*/\1 \2/p' |
		while read -r at name; do
			resolve "${at%:*}" "$name"
			echo "$at $ret"
		done
}

check_includes() {
	local all files targets why
	all=$(includes)
	while IFS='|' read -r rule; do
		[[ -n $rule ]] || continue
		files=${rule%% | *} targets=${rule#* | } why=${rule##* | }
		targets=${targets% | *}
		grep -P "^$files.* ($targets)" <<<"$all" | sed "s#\$# ($why)#; s# # includes #" || true
	done <<<"$RULES"
}

check_headers() {
	sources | grep '\.h$' | xargs -r awk '
		/^#pragma once$/ { ok[FILENAME] }
		FNR == 1 { seen[FILENAME] }
		END { for (f in seen) if (!(f in ok)) print f ":1: no #pragma once" }'
}

check_spdx() {
	sources | xargs -r awk '
		FNR <= 3 && /SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause/ { ok[FILENAME] }
		FNR == 1 { seen[FILENAME] }
		END { for (f in seen) if (!(f in ok)) print f ":1: no SPDX line" }'
}

check_length() {
	sources | xargs -r awk -v max="$MAX_LINES" '
		{ lines[FILENAME] = FNR }
		END { for (f in lines) if (lines[f] > max)
			print f ":" lines[f] ": over " max " lines" }'
}

check_tree() { # DIRECTORY; prints the findings
	(cd "$1" && check_includes && check_headers && check_spdx && check_length)
}

# ---- Does every rule find something? ----------------------------------------------------------

# A file that is right but for the lines given. PATH LINES...
write_file() {
	mkdir -p "$tree/$(dirname "$1")"
	{
		echo '/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */'
		[[ $1 != *.h ]] || echo '#pragma once'
		printf '%s\n' "${@:2}"
	} >"$tree/$1"
}

expect_finding() { # PATH LINES...
	write_file "$@"
	if [[ $(check_tree "$tree") != "$1":* ]]; then
		echo "check-includes: no finding for $1 with: ${*:2}"
		missed=1
	fi
	rm "$tree/$1"
}

self_test() {
	local missed=0
	tree=$(mktemp -d)
	trap 'rm -rf "$tree"' EXIT
	write_file include/xdplb/abi.h '#include <linux/types.h>'
	write_file bpf/pkt.h '#include <bpf/bpf_helpers.h>' '#include "xdplb/abi.h"'
	write_file user/lib/addr.h '#include <stdint.h>'
	write_file user/lib/dataplane.h '#include <bpf/libbpf.h>' '#include "addr.h"'
	write_file user/lib/dataplane.c '#include <time.h>' '#include "x.skel.h"'
	write_file user/daemon/loop.h '#include "lib/dataplane.h"'
	write_file user/ctl/main.c '#include "client.h"' '#include "lib/addr.h"'
	write_file user/ctl/client.h '#include <curl/curl.h>'
	write_file tools/gen.c '#include "lib/addr.h"'
	write_file tests/unit/test_x.c '#include "daemon/loop.h"' '#include "../helper.h"'
	write_file tests/helper.h
	if [[ -n $(check_tree "$tree") ]]; then
		echo "check-includes: findings in a tree that is right:"
		check_tree "$tree"
		missed=1
	fi
	expect_finding include/xdplb/bad.h '#include "../../bpf/pkt.h"'
	expect_finding bpf/bad.h '#include "../user/lib/addr.h"'
	expect_finding user/lib/bad.c '#include "daemon/loop.h"'
	expect_finding user/lib/plan.c '#include <time.h>'
	expect_finding user/lib/maglev.c '#include <bpf/bpf.h>'
	expect_finding user/lib/config_schema.c '#  include <sys/socket.h>'
	expect_finding user/lib/effective.c '#include "dataplane.h"'
	expect_finding user/daemon/bad.c '#include "ctl/client.h"'
	expect_finding user/receiver/bad.c '#include "daemon/loop.h"'
	expect_finding user/ctl/bad.c '#include <bpf/bpf.h>'
	expect_finding user/ctl/bad.c '#include "xdplb.skel.h"'
	expect_finding user/ctl/bad.c '#include "lib/dataplane.h"'
	expect_finding user/ctl/bad.c '#include "daemon/loop.h"'
	expect_finding tools/bad.c '#include "daemon/loop.h"'
	expect_finding user/daemon/bad.c '#include "../../tests/helper.h"'
	expect_finding user/lib/long.c "$(printf 'int x;\n%.0s' {1..600})"
	printf '/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */\n' >"$tree/user/lib/once.h"
	[[ $(check_tree "$tree") == *once.h:1:* ]] || { echo "no finding without pragma"; missed=1; }
	printf '#pragma once\n' >"$tree/user/lib/once.h"
	[[ $(check_tree "$tree") == *once.h:1:* ]] || { echo "no finding without SPDX"; missed=1; }
	return $missed
}

if [[ ${1:-} == --self-test ]]; then
	self_test
	exit
fi
findings=$(check_tree "${1:-$(dirname "$0")/..}")
[[ -z $findings ]] && exit 0
echo "$findings"
exit 1
