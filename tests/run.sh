#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Every test: unit (cmocka), packet tables (cmocka), corpus (pytest), end to end (pytest).
# `make test` builds first.
#
#   tests/run.sh [OUT] [PYTEST-ARGS...]     e.g. tests/run.sh build -k drain
#   SUITES="unit bpf" tests/run.sh          only these of unit, bpf, general, fuzz and net
#   PROOFS=no tests/run.sh                  without tests/bpf/test_proof_*, which want fast CPUs
#
# "general" is "bpf" with the express lane off: both ways of a packet pass the same tables.
# Programs run beside each other, since they wait more than they compute; the proofs run alone.
# Prints a line a suite, failures in full, skips with their reason, and as its last line
# `N passed, N failed, N skipped`. Ends 1 if a test failed or none ran. What a test makes outside of
# its own process carries this run's id in its name ($XDPLB_RUN), so two runs at once do not meet
# and whatever a crashed test leaves behind is removed at the end, also after Ctrl-C; if the run is
# killed, by the next one.
set -uo pipefail
cd "$(dirname "$0")/.." || exit

# Limits against what hangs: a slow machine is to be slow, not red.
LIMIT_S=${LIMIT_S:-1800} # for the whole run
UNIT_LIMIT_S=${UNIT_LIMIT_S:-300} # for one test program
JOBS=${JOBS:-3} # test programs at a time

OUT=${1:-build}
shift
pytest_args=("$@")
passed=0 failed=0 skipped=0
deadline=$((SECONDS + LIMIT_S))
child=

XDPLB_RUN=xdplb-test-$$-$(printf '%04x' $RANDOM) # its form: tests/sweep.sh
XDPLB_BUILD=$(realpath -m "$OUT")
tmp=/tmp/$XDPLB_RUN-results

if [[ $(id -u) -ne 0 ]]; then
	echo "tests/run.sh: the tests load BPF programs and make network namespaces: run as root" >&2
	exit 1
fi

# ---- Leave nothing behind ----------------------------------------------------------------------

stop() {
	echo "tests/run.sh: stopped" >&2
	[[ -n $child ]] && kill "$child" 2>/dev/null && wait "$child" 2>/dev/null
	exit 130
}

trap 'tests/sweep.sh "$XDPLB_RUN"' EXIT
trap stop INT TERM HUP

tests/sweep.sh # earlier runs
mkdir "$tmp"

# LIMIT COMMAND...: runs a test program, waiting in a way that a signal to us interrupts. Only such
# programs and their children have the run's id in their environment.
bounded() {
	local limit=$1 left=$((deadline - SECONDS))
	shift
	((left < 1)) && left=1
	XDPLB_RUN=$XDPLB_RUN XDPLB_BUILD=$XDPLB_BUILD \
		timeout -k 10 $((limit < left ? limit : left)) "$@" 2>&1 &
	child=$!
	wait "$child"
	local rc=$?
	child=
	if ((rc == 124 && SECONDS >= deadline)); then
		echo "tests/run.sh: the run was ended: it took over LIMIT_S=$LIMIT_S s" >&2
	fi
	return $rc
}

# ---- cmocka ------------------------------------------------------------------------------------

# Counts of a TAP report as "planned passed failed skipped". cmocka writes a skip as
# "not ok N # SKIP name", and its verdict on a group as a comment.
tap_counts() {
	awk '
		/^1\.\.[0-9]+$/ { planned += substr($0, 4) }
		/^(not )?ok [0-9]+ # SKIP/ { skipped++; next }
		/^ok [0-9]+/ { passed++ }
		/^not ok [0-9]+/ { failed++ }
		END { print planned + 0, passed + 0, failed + 0, skipped + 0 }' "$1"
}

# Every skip with what the test said before it.
tap_skips() {
	awk '
		/^(not )?ok [0-9]+ # SKIP/ {
			sub(/.*# SKIP /, "")
			print "    skipped: " $0 (said ? ": " said : "")
		}
		{ said = /^(not )?ok |^1\.\./ ? "" : $0 }' "$1"
}

# SUITE PROGRAM: counts and prints what it reported.
report() {
	local name=${2##*/} rc planned ok bad skip
	local tap=$tmp/$name.tap
	touch "$tap" # the run may have ended before its turn
	rc=$(cat "$tmp/$name.rc" 2>/dev/null || echo 124)
	read -r planned ok bad skip < <(tap_counts "$tap")
	# A program that crashed, hung or left early has not said how its other tests went.
	if ((ok + bad + skip < planned || (rc != 0 && bad == 0) || planned == 0)); then
		bad=$((bad + 1))
		echo "# ended early: exit status $rc, $((ok + bad + skip - 1)) of $planned tests" \
			"reported" >>"$tap"
	fi
	printf '%-44s %3d passed, %d failed, %d skipped\n' "$1/$name" "$ok" "$bad" "$skip"
	((bad > 0)) && grep -v '^ok ' "$tap" | sed 's/^/    /'
	((skip > 0)) && tap_skips "$tap"
	passed=$((passed + ok)) failed=$((failed + bad)) skipped=$((skipped + skip))
}

# SUITE JOBS PROGRAM...: runs them, so many at a time.
run_programs() {
	local suite=$1 jobs=$2 program
	shift 2
	rm -f "$tmp"/*.tap "$tmp"/*.rc
	# shellcheck disable=SC2016 # for the shells that xargs starts
	bounded "$LIMIT_S" xargs -a <(printf '%s\n' "$@") -P "$jobs" -I{} env \
		CMOCKA_MESSAGE_OUTPUT=tap bash -c '
			timeout -k 10 "$2" "$1" >"$3/${1##*/}.tap" 2>&1
			echo $? >"$3/${1##*/}.rc"' - {} "$UNIT_LIMIT_S" "$tmp"
	for program in "$@"; do
		report "$suite" "$program"
	done
}

# DIRECTORY [NAME]: runs its test programs.
run_cmocka() {
	local suite=${2:-$1} program programs=() proofs=()
	for program in "$OUT/tests/$1"/test_*; do
		[[ -x $program && -f $program ]] || continue
		case $program in
		*/test_proof_*) proofs+=("$program") ;;
		*) programs+=("$program") ;;
		esac
	done
	run_programs "$suite" "$JOBS" "${programs[@]}"
	((${#proofs[@]} == 0)) || [[ ${PROOFS:-} == no ]] || run_programs "$suite" 1 "${proofs[@]}"
}

# ---- pytest ------------------------------------------------------------------------------------

junit_counts() { # as "passed failed skipped"
	/usr/bin/python3 - "$1" <<'END'
import sys
import xml.etree.ElementTree as ET

suites = list(ET.parse(sys.argv[1]).getroot().iter("testsuite"))
total, bad, skipped = (sum(sum(int(s.get(key)) for key in keys) for s in suites)
                       for keys in (["tests"], ["failures", "errors"], ["skipped"]))
print(total - bad - skipped, bad, skipped)
END
}

# DIRECTORY: runs its tests.
run_pytest() {
	local parallel=() rc ok=0 bad=0 skip=0
	compgen -G "tests/$1/test_*.py" >/dev/null || return
	if /usr/bin/python3 -c 'import xdist' 2>/dev/null; then
		parallel=(-n "$JOBS" --dist loadfile)
	fi
	rm -f "$tmp/junit.xml"
	echo "$1 (pytest):"
	bounded "$LIMIT_S" /usr/bin/python3 -m pytest -q -rs --tb=short -p no:cacheprovider \
		"${parallel[@]}" --junitxml="$tmp/junit.xml" "tests/$1" "${pytest_args[@]}"
	rc=$?
	if [[ -s $tmp/junit.xml ]]; then
		read -r ok bad skip < <(junit_counts "$tmp/junit.xml")
	fi
	# 0: all passed, 1: some failed, 5: none selected. Any other end is a failure of its own.
	if [[ ! -s $tmp/junit.xml || ! $rc =~ ^[015]$ || ($rc -eq 1 && $bad -eq 0) ]]; then
		echo "$1: pytest ended with status $rc"
		bad=$((bad + 1))
	fi
	passed=$((passed + ok)) failed=$((failed + bad)) skipped=$((skipped + skip))
}

for suite in ${SUITES:-unit bpf general fuzz net}; do
	case $suite in
	fuzz | net) run_pytest "$suite" ;;
	general) XDPLB_EXPRESS=off PROOFS=no run_cmocka bpf general ;;
	*) run_cmocka "$suite" ;;
	esac
done
((passed + failed == 0)) && echo "tests/run.sh: no test ran" >&2
echo "$passed passed, $failed failed, $skipped skipped"
((failed == 0 && passed > 0))
