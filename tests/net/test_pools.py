# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Pools: shares of new flows, backups, panic, all down, the alarm of min_healthy."""

import math

import pytest

from lab import wait_for
from traffic import Load, answers, config, connections, served_by, start, vip

# Quick to notice, on a machine that may be busy.
KEEN = {"type": "http", "port": 80, "path": "/healthz", "interval": "100ms", "timeout": "1s",
        "fall": 2, "rise": 1}
USES = [{"name": "blue", "weight": 90}, {"name": "green", "weight": 10}]


@pytest.fixture
def lab(make_lab):
    made = make_lab(reals=4)
    made.start_reals()
    return made


def row(daemon, name="web"):
    return {v["name"]: v for v in daemon.ctl_json("vip", "list")}[name]


def wait_vip(daemon, deadline=10, **fields):
    wait_for(lambda: all(row(daemon)[key] == value for key, value in fields.items()), deadline,
             f"VIP is {fields}; {row(daemon)}; log:\n{daemon.log_text()}")


def test_a_canary_gets_its_share_of_new_flows_however_many_reals_it_has(lab):
    four = lab.reals4
    daemon = start(lab, config(vip(None, pools=USES),
                               pools={"blue": four[:1], "green": four[1:]}))
    n, before = 2000, served_by(lab)
    assert Load(lab, n, 20).finish() == 0
    served = {host: count - before[host] for host, count in served_by(lab).items()}
    assert sum(served.values()) == n
    # Five standard deviations.
    assert abs(served["real1"] - 0.9 * n) < 5 * math.sqrt(n * 0.9 * 0.1), served
    for host in lab.reals[1:]:
        assert abs(served[host] - n / 30) < 5 * math.sqrt(n / 30), served
    reals = daemon.reals()
    assert [round(reals[a]["share"], 3) for a in four] == [0.9, 0.033, 0.033, 0.033]
    assert [reals[a]["pool"] for a in four] == ["blue", "green", "green", "green"]
    assert row(daemon)["pools"] == "blue:90,green:10"
