# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Schedulers with real connections: whom they go to, and that a change of scheduler breaks none."""

import socket
import statistics
import time

import mix
import pytest
from lab import VIP4, wait_for
from traffic import (CAPACITY, Connections, Load, busy_connection, config, connections, start, vip,
                     weighted)

SCHEDULERS = ["maglev", "source", "rr", "random", "lc", "p2c"]


def reload(daemon, text):
    daemon.write_config(text)
    return daemon.ctl_json("reload")


@pytest.mark.limit_s(120)
def test_a_change_of_scheduler_under_load_breaks_no_connection(serving_lab):
    lab = serving_lab

    def by(scheduler):
        return config(vip(lab.reals4, scheduler=scheduler),
                      capacity={**CAPACITY, "flows": "1M"})
    daemon = start(lab, by("maglev"))
    with connections(lab, 40) as some, busy_connection(lab):
        for scheduler in SCHEDULERS[1:] + SCHEDULERS[:1]:
            load = Load(lab, 3000)
            wait_for(lambda: daemon.ctl_json("vip", "list")[0]["new_flows"] > 500, 15, "load")
            assert reload(daemon, by(scheduler))["vips_changed"] == 1
            assert daemon.ctl_json("vip", "list")[0]["scheduler"] == scheduler
            assert some.ask() == some.reals
            assert load.finish() == 0
            assert some.ask() == some.reals
    counters = daemon.ctl_json("stats", "show")
    assert {name: n for name, n in counters.items() if name.startswith("drop_") and n} == {}


def test_round_robin_takes_turns(serving_lab):
    lab = serving_lab
    start(lab, config(vip(lab.reals4), scheduler="rr"))
    some = Connections(lab, 60)
    counts = {host: some.reals.count(host) for host in lab.reals}
    some.close()
    # A turn more or less for each CPU that has taken some of them.
    assert max(counts.values()) - min(counts.values()) <= 4, counts


# random: with so many the bounds are over six standard deviations away; the others go by counts.
@pytest.mark.parametrize("scheduler, n", [("rr", 160), ("random", 960), ("lc", 160), ("p2c", 160)])
def test_weights_hold_for(serving_lab, scheduler, n):
    lab = serving_lab
    start(lab, config(vip(weighted(lab.reals4, 1, 2, 5)), scheduler=scheduler))
    reals = []
    for _ in range(n // 160):
        some = Connections(lab, 160)
        reals += some.reals
        some.close()
    counts = [reals.count(host) for host in lab.reals]
    dues = [n * weight / 8 for weight in (1, 2, 5)]
    assert all(due / 2 < count < due * 2 for count, due in zip(counts, dues)), counts


def test_flows_that_were_there_before_a_restart_count(serving_lab):
    lab = serving_lab
    daemon = start(lab, config(vip(weighted(lab.reals4, 1, 0, 0)), scheduler="lc"))
    with connections(lab, 30, reals=lab.reals[:1]):
        text = config(vip(lab.reals4), scheduler="lc")
        daemon.stop()
        daemon = start(lab, text, state_dir=daemon.state_dir)
        wait_for(lambda: daemon.ctl_json("status")["flows"] >= 30, 15, "a count")
        some = Connections(lab, 20)
        some.close()
        assert lab.reals[0] not in some.reals


# ---- source ----

SOURCES = [f"198.51.100.{host}" for host in range(100, 140)]


def real_of(lab, source):
    """Who answers a new connection from one of the client's addresses."""
    with lab.inside(lab.client):
        s = socket.create_connection((VIP4, 80), 5, (source, 0))
    with s:
        s.sendall(b"GET / HTTP/1.0\r\n\r\n")
        return b"".join(iter(lambda: s.recv(4096), b"")).decode().split()[-1]


def add_sources(lab):
    for source in SOURCES:
        lab.run(lab.client, f"ip addr add {source}/24 dev $(ip -o -4 addr show to 198.51.100.2 | "
                            "cut -d' ' -f2)")


def test_all_connections_of_a_source_go_to_one_real(serving_lab):
    lab = serving_lab
    add_sources(lab)
    start(lab, config(vip(lab.reals4), scheduler="source"))
    reals = {source: real_of(lab, source) for source in SOURCES}
    assert set(reals.values()) == set(lab.reals)
    assert all(real_of(lab, source) == reals[source] for source in SOURCES for _ in range(3))


def test_affinity_outlasts_a_change_of_the_ring_and_ends_with_time(serving_lab):
    lab = serving_lab
    add_sources(lab)

    def weights(*numbers):
        return config(vip(weighted(lab.reals4, *numbers), scheduler="source",
                          source={"affinity": "6s"}))
    daemon = start(lab, weights(1000, 1, 1))
    before = {source: real_of(lab, source) for source in SOURCES}
    reload(daemon, weights(1, 1, 1000))
    assert all(real_of(lab, source) == before[source] for source in SOURCES)
    # To ask is to come back in time: each is asked once, one after the other.
    began = time.monotonic()
    moved_after = None
    for i, source in enumerate(SOURCES):
        wait_for(lambda at=began + 0.3 * i: time.monotonic() > at, 15, "a source's moment")
        if real_of(lab, source) != before[source]:
            moved_after = time.monotonic() - began
            break
    assert moved_after and 4 < moved_after < 10


# ---- lc, p2c ----


@pytest.mark.limit_s(240)
def test_lc_and_p2c_level_long_and_short_connections_better_than_rr(make_lab):
    lab = make_lab(reals=6)
    lab.start_reals()
    daemon = start(lab, config(vip(lab.reals4), scheduler="rr"))
    runs = {"rr": [], "p2c": [], "lc": []}
    for seed in range(1, 4):
        for scheduler, seen in runs.items():
            reload(daemon, config(vip(lab.reals4), scheduler=scheduler))
            wait_for(lambda: daemon.ctl_json("status")["flows"] == 0, 15, "all have ended")
            seen.append(mix.mean_unevenness(mix.run(lab, seed)))
        uneven = {scheduler: statistics.mean(seen) for scheduler, seen in runs.items()}
        # One run of each is three standard deviations between lc and p2c; of three it is over five.
        if uneven["lc"] < uneven["p2c"] < uneven["rr"]:
            break
    print(runs)
    assert uneven["lc"] < 1.12, runs
    assert uneven["lc"] < uneven["p2c"] < uneven["rr"], runs
