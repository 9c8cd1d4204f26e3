#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""How evenly each scheduler keeps six nginx busy with long and short connections (root).

    schedulers.py measure           a line of JSON a scheduler: unevenness after each connection
    schedulers.py svg FILE          the plot
    schedulers.py docs FILE DOCUMENT  puts the table into the document
"""
import json
import os
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCHEDULERS = {"random": "#999999", "maglev": "#2ca02c", "rr": "#1f77b4", "p2c": "#ff7f0e",
              "lc": "#d62728"}
REALS = 6
SEEDS = 1, 2, 3


def measure():
    sys.path.insert(0, str(ROOT / "tests/net"))
    import mix
    from lab import Lab, new_name, wait_for
    from traffic import config, start, vip
    lab = Lab(new_name(), reals=REALS)
    try:
        lab.start_reals()
        daemon = start(lab, config(vip(lab.reals4)))
        for scheduler in SCHEDULERS:
            daemon.write_config(config(vip(lab.reals4), scheduler=scheduler))
            daemon.ctl_json("reload")
            runs = []
            for seed in SEEDS:
                wait_for(lambda: daemon.ctl_json("status")["flows"] == 0, 10, "all have ended")
                runs.append(mix.run(lab, seed))
            print(json.dumps({"scheduler": scheduler,
                              "mean": sum(map(mix.mean_unevenness, runs)) / len(runs),
                              "worst": max(mix.unevenness(s) for run in runs
                                           for s in run[len(run) // 3:]),
                              "unevenness": [round(mix.unevenness(s), 3) for s in runs[0]]}),
                  flush=True)
    finally:
        lab.down()


def read(path):
    with open(path, encoding="utf-8") as f:
        return [json.loads(line) for line in f]


def svg(rows):
    width, height, left, right, top, bottom = 720, 360, 60, 20, 40, 50
    steps = len(rows[0]["unevenness"])
    lowest, highest = 1.0, 2.0

    def x(step):
        return left + step / steps * (width - left - right)

    def y(value):
        share = (min(value, highest) - lowest) / (highest - lowest)
        return height - bottom - share * (height - top - bottom)

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
           'font-family="sans-serif" font-size="12">',
           f'<rect width="{width}" height="{height}" fill="white"/>',
           f'<text x="{left}" y="20" font-size="14">Open connections: the busiest of '
           f'{REALS} reals to the average</text>']
    for tenths in range(10, 21, 2):
        value = tenths / 10
        out.append(f'<line x1="{left}" x2="{width - right}" y1="{y(value):.1f}" '
                   f'y2="{y(value):.1f}" stroke="#ddd"/>')
        out.append(f'<text x="{left - 8}" y="{y(value) + 4:.1f}" text-anchor="end">{value}</text>')
    for step in range(0, steps + 1, 100):
        out.append(f'<text x="{x(step):.1f}" y="{height - bottom + 18}" '
                   f'text-anchor="middle">{step}</text>')
    out.append(f'<text x="{(left + width - right) / 2}" y="{height - 10}" '
               'text-anchor="middle">connections so far, every other one short</text>')
    for number, row in enumerate(rows):
        path = " ".join(f"{x(step):.1f},{y(value):.1f}"
                        for step, value in enumerate(row["unevenness"]))
        colour = SCHEDULERS[row["scheduler"]]
        out.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        out.append(f'<text x="{width - right - 10}" y="{top + 14 + 16 * number}" '
                   f'text-anchor="end" fill="{colour}">{row["scheduler"]} '
                   f'{row["mean"]:.2f}</text>')
    print("\n".join(out + ["</svg>"]))


def docs(rows, document):
    lines = ["| scheduler | busiest real to the average, mean | worst moment |", "|---|--:|--:|"]
    lines += [f'| {row["scheduler"]} | {row["mean"]:.2f} | {row["worst"]:.2f} |' for row in rows]
    with open(document, encoding="utf-8") as f:
        text = f.read()
    text = re.sub(r"(<!-- generated: schedulers -->\n\n).*?(\n\n<!-- end -->)",
                  lambda m: m[1] + "\n".join(lines) + m[2], text, flags=re.S)
    with open(document, "w", encoding="utf-8") as f:
        f.write(text)


def main():
    if sys.argv[1:] == ["measure"]:
        os.environ.setdefault("XDPLB_BUILD", str(ROOT / "build"))
        measure()
    elif len(sys.argv) == 3 and sys.argv[1] == "svg":
        svg(read(sys.argv[2]))
    elif len(sys.argv) == 4 and sys.argv[1] == "docs":
        docs(read(sys.argv[2]), sys.argv[3])
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
