#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Whether one build is slower than another: medians over fresh loads that take turns.

    compare.py [--loads N] [--cases A,B] OLD NEW

OLD and NEW are commands: a build directory, optionally followed by options for its bench_path,
in one word: "build --features". Prints the medians of the ratio to the bare outer header, the
change, and how far single loads are apart (half of them are within that of the median).
"""
import argparse
import json
import shlex
import statistics
import subprocess
import sys

CASES = "tcp4-1,tcp4-1k,tcp4-100k,udp4-1k,tcp6-1k"


def command(text):
    build, *options = shlex.split(text)
    return [f"{build}/tests/bench/bench_path", *options]


def ratio(argv, case):
    """One fresh load."""
    done = subprocess.run([*argv, "--case", case, "--vips", "1", "--quick"], capture_output=True,
                          text=True, check=False)
    if done.returncode:
        sys.exit(f"compare.py: {' '.join(argv)}: {done.stderr.strip()}")
    return json.loads(done.stdout.splitlines()[0])["ratio"]


def turns(old, new, case, loads):
    """Ratios of `loads` fresh loads of each of two commands, taking turns."""
    pairs = [(ratio(command(old), case), ratio(command(new), case)) for _ in range(loads)]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def spread(values):
    middle = statistics.median(values)
    return statistics.median(abs(v - middle) for v in values)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--loads", type=int, default=11)
    parser.add_argument("--cases", default=CASES)
    parser.add_argument("old")
    parser.add_argument("new")
    args = parser.parse_args()
    print(f"{'case':<12} {'old':>7} {'new':>7} {'change':>8}   apart")
    for case in args.cases.split(","):
        old, new = turns(args.old, args.new, case, args.loads)
        change = statistics.median(new) / statistics.median(old) - 1
        print(f"{case:<12} {statistics.median(old):7.2f} {statistics.median(new):7.2f} "
              f"{100 * change:+7.1f}%   {spread(old):.2f}, {spread(new):.2f}", flush=True)


if __name__ == "__main__":
    main()
