#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Every case of chaos.py at full length, as a table, which is also written between the marks in
docs/reliability.md if all promises were kept: run.py [CASE ...]

Ends 1 if one was not.
"""

import os
import re
import signal
import sys

import chaos
from lab import Lab, new_name
from traffic import config, start, vip

DOCUMENT = chaos.HERE.parents[1] / "docs" / "reliability.md"
BEGIN, END = "<!-- chaos: begin -->\n", "<!-- chaos: end -->"

HEAD = ["what fails", "detected after (at most)", "failed until then", "failed while out",
        "back after (at most)", "failed afterwards", "long connections lost: of what failed, of others"]


def of(pair):
    return f"{pair[0]} of {pair[1]}"


def cells(r):
    what = r.case.what
    if r.crashes:
        what += f": {r.crashes} crashes, out {r.outages} times"
    others = "" if r.case.hits_all else f", {of(r.long_others)}"
    return [what, f"{r.detected:.1f} s ({r.detected_at_most:.1f})", of(r.while_used), of(r.while_out),
            f"{r.back:.1f} s ({r.back_at_most:.1f})", of(r.afterwards), of(r.long_hit) + others]


def table(results):
    lines = [HEAD, ["---"] * len(HEAD)] + [cells(r) for r in results]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def write(text):
    page = DOCUMENT.read_text(encoding="utf-8")
    DOCUMENT.write_text(re.sub(re.escape(BEGIN) + ".*?" + re.escape(END),
                               lambda _: BEGIN + text + END, page, flags=re.S), encoding="utf-8")


def main(names):
    lab = Lab(new_name())
    results, is_well = [], True
    try:
        lab.start_reals()
        daemon = start(lab, config(vip(lab.reals4), health=chaos.LONG.health()))
        for name in names or chaos.CASES:
            try:
                results.append(chaos.run(lab, daemon, chaos.CASES[name], chaos.LONG))
                broken = results[-1].broken()
            except AssertionError as failure:
                broken = [str(failure)]
            is_well = is_well and not broken
            print(f"{name}: " + (f"BROKEN: {', '.join(broken)}" if broken else "kept"), flush=True)
    finally:
        lab.down()
    load = os.getloadavg()[1]
    text = table(results) + f"\nLoad average of the machine meanwhile (5 minutes): {load:.1f} on " \
        f"{os.cpu_count()} CPUs.\n"
    print(text)
    if is_well and not names:
        write(text)
    return 0 if is_well else 1


if __name__ == "__main__":
    # The lab is taken down, however this ends.
    for ending in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, lambda *_: sys.exit(1))
    sys.exit(main(sys.argv[1:]))
