#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What a feature costs the packets of VIPs that do not use it, beside the README's example.

    knobs.py OUT [LOADS]

JSON lines on stdout. A feature that no VIP uses is not in the loaded program, so each row is also
what leaving it out saves. Fresh loads with and without it take turns.
"""
import json
import statistics
import subprocess
import sys

from compare import spread, turns

CASES = ["tcp4-1k", "tcp4-new", "tcp4-syn"]


def features(out):
    """Options of bench_path by feature: those it knows, all of them, ports of the measured VIP."""
    listed = subprocess.run([f"{out}/tests/bench/bench_path", "--help"], capture_output=True,
                            text=True, check=True).stdout
    names = listed.partition("Features:")[2].split() + ["all"]
    return {name: f"--features={name}" for name in names} | {"1000-ports": "--ports 1-1000"}


def measure(out, feature, options, case, loads):
    without, having = turns(out, f"{out} {options}", case, loads)
    change = statistics.median(having) / statistics.median(without) - 1
    return {"feature": feature, "case": case, "loads": loads,
            "ratio_without": round(statistics.median(without), 2),
            "ratio_with": round(statistics.median(having), 2), "change": round(change, 3),
            "apart": round(max(spread(without), spread(having)) / statistics.median(without), 3)}


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    loads = int((sys.argv + ["5"])[2])
    for feature, options in features(sys.argv[1]).items():
        for case in CASES:
            row = measure(sys.argv[1], feature, options, case, loads)
            print(json.dumps(row), flush=True)
            print(f"{feature:<10} {case:<10} {100 * row['change']:+6.1f}% "
                  f"(loads are {100 * row['apart']:.1f}% apart)", file=sys.stderr)


if __name__ == "__main__":
    main()
