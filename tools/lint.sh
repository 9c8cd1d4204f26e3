#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Formatting, static analysis and the shape of the tree. One line a check; the findings of a check
# that fails follow it. Ends 1 when any failed. Needs the skeletons in OUT: use `make lint`.
# The checks are called by name:
# shellcheck disable=SC2317
set -euo pipefail
cd "$(dirname "$0")/.."

OUT=${1:-build}
TIDY_FLAGS=(-D_GNU_SOURCE '-DXDPLB_VERSION="0"' -Iinclude -Iuser -isystem "$OUT/gen" -std=gnu11)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
failed=0

files() { # that match a pattern and are, or could be, in the repository
	git ls-files --cached --others --exclude-standard | grep -E "$1" | while read -r file; do
		[[ -e $file ]] && echo "$file"
	done || true
}

shell_scripts() {
	files '\.sh$'
	files '^[^.]*$|^\.ci/' | xargs -r grep -lE '^#!/bin/(ba)?sh' || true
}

# NAME COMMAND...: runs one check, a command that ends 0 when all is well.
check() {
	local start=$EPOCHREALTIME
	if "${@:2}" >"$tmp/report" 2>&1; then
		printf 'lint: %-24s ok    %5.1f s\n' "$1" \
			"$(awk "BEGIN { print $EPOCHREALTIME - $start }")"
	else
		printf 'lint: %-24s FAILED\n' "$1"
		sed 's/^/    /' "$tmp/report"
		failed=1
	fi
}

check_format() {
	files '\.[ch]$' | xargs -r clang-format --dry-run -Werror
}

# tests/fuzz/host_*.c is the packet path compiled for the host, by clang with warnings as errors.
# On stderr clang-tidy only counts what it suppressed in system headers; findings are on stdout.
check_tidy() {
	files '^(user|tools|tests)/.*\.c$' | grep -vE '\.bpf\.c$|/host_[^/]*\.c$' |
		xargs -r -P "$(nproc)" -I{} clang-tidy --quiet {} -- "${TIDY_FLAGS[@]}" 2>/dev/null
}

check_shell() {
	shell_scripts | sort -u | xargs -r shellcheck
}

check_python() {
	files '\.py$' | PYTHONPYCACHEPREFIX=$tmp/pyc xargs -r /usr/bin/python3 -m py_compile
}

check "format" check_format
check "includes, self-test" tools/check-includes.sh --self-test
check "includes" tools/check-includes.sh
check "shell" check_shell
check "python" check_python
check "generated docs" tools/gen-docs.sh "$OUT" --check
check "static analysis" check_tidy
exit $failed
