#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Tables and the plot made from bench.jsonl.

    report.py table FILE            what was measured beside what is wanted
    report.py svg FILE              ns per packet against the number of flows
    report.py docs OUT DOCUMENT     puts what is in OUT/bench*.jsonl into the document's tables
"""
import json
import math
import os
import re
import sys

# Highest ratio to a bare outer header that is good enough.
GOALS = {
    "tcp4-1k": 2.2, "tcp4-100k": 6.5, "tcp4-1M": 11, "tcp4-10M": 18, "tcp4-syn": 9, "tcp4-new": 11,
    "udp4-new": 10, "tcp6-1k": 2.4, "tcp6-100k": 7, "gue4-1k": 2.8, "pass4": 2.0,
}
# With 512 VIPs at most this many times the figure for one.
GOAL_512 = 1.3

RING_GOALS_MS = {"ring-65537x100": 1.0}

# Lines of source that docs show of each case's profile.
PROFILED = 5

# What the files of the packet path do for a packet.
STAGES = {
    "parse, checks": ["express.h", "parse.h", "pkt.h", "xdplb.bpf.c"],
    "hash": ["hash.h"],
    "VIP": ["vip.h"],
    "flow table": ["flow.h", "flow_slot.h", "flood.h"],
    "ring": ["ring.h", "sched.h"],
    "outer header": ["encap_outer.h", "encap_ipip.h", "outer.h", "csum.h", "tx.h"],
    "counters": ["stats.h"],
}

PLOTTED = ["tcp4-1", "tcp4-1k", "tcp4-100k", "tcp4-1M", "tcp4-10M"]


def read(path):
    with open(path, encoding="utf-8") as f:
        return [json.loads(line) for line in f if line.strip()]


def goal_of(row, rows):
    """The goal's number and whether it is met; None where there is no goal."""
    if row["vips"] == 1:
        goal = GOALS.get(row["case"])
        return None if goal is None else (goal, row["ratio"] <= goal)
    for one in rows:
        if one["case"] == row["case"] and one["vips"] == 1:
            goal = GOAL_512 * one["ratio"]
            return goal, row["ratio"] <= goal
    return None


def cells(row, rows):
    goal = goal_of(row, rows)
    return [row["case"], str(row["vips"]), str(row["flows"]), f'{row["floor_ns"]:.1f}',
            f'{row["encap_net_ns"]:.1f}', f'{row["net_ns"]:.1f}', f'{row["ratio"]:.2f}',
            f"{goal[0]:.1f}" if goal else "", ("yes" if goal[1] else "no") if goal else "",
            str(row["rounds"])]


HEAD = ["case", "VIPs", "flows", "floor ns", "bare header ns", "xdplb ns", "ratio", "goal", "met",
        "rounds"]


def table(rows):
    lines = [HEAD] + [cells(row, rows) for row in rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(HEAD))]
    for line in lines:
        print("  ".join(text.ljust(width) if i == 0 else text.rjust(width)
                        for i, (text, width) in enumerate(zip(line, widths))))


def markdown(head, lines):
    out = ["| " + " | ".join(head) + " |", "|---|" + "--:|" * (len(head) - 1)]
    return out + ["| " + " | ".join(line) + " |" for line in lines]


def path_table(rows):
    return markdown(HEAD, [cells(row, rows) for row in rows])


def live_table(rows):
    return markdown(["case", "Mpps", "of XDP_TX"],
                    [[row["case"], f'{row["mpps"]:.2f}', f'{row["of_tx"]:.2f}'] for row in rows])


def control_table(rows):
    lines = []
    for row in rows:
        ms = row.get("ms", row.get("ms_median"))
        if ms is not None:
            goal = row.get("goal_ms", RING_GOALS_MS.get(row["case"], ""))
            lines.append([row["case"], f"{ms:.2f}", str(goal)])
    return markdown(["case", "ms", "goal ms"], lines)


def idle_text(rows):
    return [f'{row["probes_per_s"]} probes a second take {row["cpu_percent"]} % of a CPU; '
            f'{row["rss_mib"]} MiB are resident, {row["rss_private_mib"]} MiB of them private.'
            for row in rows if "cpu_percent" in row]


def health_table(rows):
    return markdown(["targets", "probes/s", "% of a CPU", "in the kernel", "late ms: p50", "p99",
                     "most", "private MiB", "load"],
                    [[str(row["targets"]), str(row["probes_per_s"]), f'{row["cpu_percent"]:.0f}',
                      f'{row["kernel_percent"]:.0f}', f'{row["late_p50_ms"]:.1f}',
                      f'{row["late_p99_ms"]:.0f}', f'{row["late_max_ms"]:.0f}',
                      f'{row["rss_private_mib"]:.0f}', f'{row["load"]:.0f}'] for row in rows])


def memory_table(rows):
    return markdown(["table", "MB", "alone ns", "overlapped ns", "claimed ns", "alone, huge pages ns"],
                    [[row["table"], f'{row["mb"]:.1f}', f'{row["alone_ns"]:.0f}',
                      f'{row["overlapped_ns"]:.1f}', f'{row["claimed_ns"]:.0f}',
                      f'{row["huge_ns"]:.0f}'] for row in rows])


def profile_table(rows):
    """For each case where most of its time is: PROFILED lines of source."""
    lines = []
    for case in dict.fromkeys((row["case"], row["vips"]) for row in rows):
        top = [row for row in rows if (row["case"], row["vips"]) == case][:PROFILED]
        for i, row in enumerate(top):
            name = f"{case[0]}, {case[1]} VIP{'s' if case[1] > 1 else ''}" if i == 0 else ""
            source = row["source"].replace("|", "\\|")
            lines.append([name, f'{100 * row["share"]:.0f}', row["file"], f"`{source}`"])
    return ["| case | % | file | what waits |", "|---|--:|---|---|"] + \
        ["| " + " | ".join(line) + " |" for line in lines]


def stages_table(rows):
    """Of each case's time the share of every stage; "other" is what no stage is known of."""
    stage_of = {file: stage for stage, files in STAGES.items() for file in files}
    names = [*STAGES, "other"]
    lines = []
    for case, vips in dict.fromkeys((row["case"], row["vips"]) for row in rows):
        share = dict.fromkeys(names, 0)
        for row in rows:
            if (row["case"], row["vips"]) == (case, vips):
                share[stage_of.get(row["file"], "other")] += row["share"]
        lines.append([case, str(vips)] + [f"{100 * share[name]:.0f}" for name in names])
    return markdown(["case", "VIPs"] + [f"{name} %" for name in names], lines)


def knobs_table(rows):
    cases = list(dict.fromkeys(row["case"] for row in rows))
    change = {(row["feature"], row["case"]): row for row in rows}
    return markdown(["in use by another VIP"] + [f"{case} %" for case in cases],
                    [[feature] + [f'{100 * change[feature, case]["change"]:+.0f} '
                                  f'(±{100 * change[feature, case]["apart"]:.0f})' for case in cases]
                     for feature in dict.fromkeys(row["feature"] for row in rows)])


# Between `<!-- NAME -->` and `<!-- end -->` of the document: made from which file by what.
SECTIONS = {
    "path": ("bench.jsonl", path_table),
    "live": ("bench-live.jsonl", live_table),
    "control": ("bench-control.jsonl", control_table),
    "idle": ("bench-control.jsonl", idle_text),
    "health": ("bench-health.jsonl", health_table),
    "knobs": ("bench-knobs.jsonl", knobs_table),
    "memory": ("bench-memory.jsonl", memory_table),
    "stages": ("bench-profile.jsonl", stages_table),
    "profile": ("bench-profile.jsonl", profile_table),
}


def docs(out, document):
    with open(document, encoding="utf-8") as f:
        text = f.read()
    for name, (file, make) in SECTIONS.items():
        path = os.path.join(out, file)
        if not os.path.exists(path):
            print(f"report.py: no {path}: its tables stay", file=sys.stderr)
            continue
        lines = "\n".join(make(read(path)))
        text, n = re.subn(rf"(<!-- {name} -->\n).*?(<!-- end -->)",
                          lambda found, lines=lines: f"{found[1]}{lines}\n{found[2]}", text,
                          flags=re.S)
        if n != 1:
            sys.exit(f"report.py: {document} has {n} sections {name}")
    with open(document, "w", encoding="utf-8") as f:
        f.write(text)


def svg(rows):
    width, height, left, right, top, bottom = 720, 400, 60, 20, 40, 50
    rows = [row for row in rows if row["case"] in PLOTTED]
    top_ns = 50 * math.ceil(max(row["net_ns"] for row in rows) / 50 + 0.2)

    def x(flows):
        return left + math.log10(flows) / 7 * (width - left - right)

    def y(ns):
        return height - bottom - ns / top_ns * (height - top - bottom)

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
           'font-family="sans-serif" font-size="12">',
           f'<rect width="{width}" height="{height}" fill="white"/>',
           f'<text x="{left}" y="20" font-size="14">Net ns per packet of known TCP/IPv4 flows '
           '(one CPU, 100-byte frames)</text>']
    for ns in range(0, top_ns + 1, 50):
        out.append(f'<line x1="{left}" x2="{width - right}" y1="{y(ns):.1f}" y2="{y(ns):.1f}" '
                   'stroke="#ddd"/>')
        out.append(f'<text x="{left - 8}" y="{y(ns) + 4:.1f}" text-anchor="end">{ns}</text>')
    for power, name in enumerate(["1", "10", "100", "1k", "10k", "100k", "1M", "10M"]):
        out.append(f'<text x="{x(10 ** power):.1f}" y="{height - bottom + 18}" '
                   f'text-anchor="middle">{name}</text>')
    out.append(f'<text x="{(left + width - right) / 2}" y="{height - 10}" '
               'text-anchor="middle">flows</text>')
    series = [("net_ns", 1, "#1f77b4", "xdplb, 1 VIP"), ("net_ns", 512, "#ff7f0e", "xdplb, 512 VIPs"),
              ("encap_net_ns", 1, "#777", "bare constant outer header")]
    for number, (key, vips, colour, name) in enumerate(series):
        points = sorted((row["flows"], row[key]) for row in rows if row["vips"] == vips)
        path = " ".join(f"{x(flows):.1f},{y(ns):.1f}" for flows, ns in points)
        out.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        out += [f'<circle cx="{x(flows):.1f}" cy="{y(ns):.1f}" r="3" fill="{colour}"/>'
                for flows, ns in points]
        out.append(f'<text x="{left + 16}" y="{top + 20 + 18 * number}" fill="{colour}">{name}</text>')
    print("\n".join(out + ["</svg>"]))


def main():
    if len(sys.argv) == 3 and sys.argv[1] == "table":
        table(read(sys.argv[2]))
    elif len(sys.argv) == 3 and sys.argv[1] == "svg":
        svg(read(sys.argv[2]))
    elif len(sys.argv) == 4 and sys.argv[1] == "docs":
        docs(sys.argv[2], sys.argv[3])
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
