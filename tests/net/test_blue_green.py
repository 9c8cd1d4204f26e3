# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Other pools for a VIP while it serves: blue-green and canary by one command, and back."""

import contextlib
import itertools
import json
import subprocess

import pytest

from lab import BUILD, wait_for
from traffic import Load, answers, busy_connection, config, connections, start, vip

KEEN = {"type": "http", "port": 80, "path": "/healthz", "interval": "100ms", "timeout": "1s",
        "fall": 2, "rise": 1}
BLUE, GREEN = {"real1", "real2"}, {"real3", "real4"}


def text(lab, **keys):
    four = lab.reals4
    return config(vip(None, pool="blue", **keys), health=KEEN,
                  pools={"blue": four[:2], "green": four[2:], "both": four[1:3],
                         "dead": ["10.1.0.77"]})


@pytest.fixture
def lab(make_lab):
    made = make_lab(reals=4)
    made.start_reals()
    return made


def row(daemon):
    return daemon.ctl_json("vip", "list")[0]


def ok(daemon, *words):
    rc, _, err = daemon.ctl(*words)
    assert (rc, err) == (0, "")


def test_a_switch_is_whole_and_back_again_and_what_was_begun_finishes(lab):
    daemon = start(lab, text(lab))
    assert answers(lab) == BLUE
    with connections(lab, 20, reals=BLUE) as blue:
        ok(daemon, "vip", "set", "web", "pool=green")
        assert answers(lab) == GREEN
        assert set(daemon.reals()) == set(lab.reals4[2:])
        with connections(lab, 20, reals=GREEN) as green:
            assert blue.ask() == blue.reals and set(blue.reals) == BLUE
            ok(daemon, "vip", "set", "web", "pool=blue")
            assert answers(lab) == BLUE
            assert green.ask() == green.reals and set(green.reals) == GREEN
            assert blue.ask() == blue.reals
    assert json.loads((daemon.state_dir / "runtime.json").read_text())["pools"] == {}


def test_what_still_runs_on_a_pool_is_not_disturbed_when_the_pool_comes_back(lab):
    daemon = start(lab, text(lab))
    with contextlib.ExitStack() as stack:
        for _ in range(8):
            stack.enter_context(busy_connection(lab))
        for pool in ["green", "blue"] * 4:
            ok(daemon, "vip", "set", "web", f"pool={pool}")


@pytest.mark.limit_s(120)
def test_20_switches_under_load_fail_no_request(lab):
    daemon = start(lab, text(lab))
    load = Load(lab, None, 10)
    pools = itertools.cycle(["green", "blue"])
    for _ in range(20):
        ok(daemon, "vip", "set", "web", f"pool={next(pools)}")
    assert load.is_running()
    assert load.finish() == 0
    counts = {r: len([x for x in lab.access_log(r) if x[2] != "/healthz"]) for r in lab.reals}
    assert min(counts.values()) > 0, counts


def test_a_switch_waits_until_the_new_pool_is_proven_and_refuses_one_that_is_not(lab):
    daemon = start(lab, text(lab))
    rc, _, err = daemon.ctl("vip", "set", "web", "pool=dead")
    assert rc == 1 and "stays with blue" in err and "--force" in err
    assert "of the 1 reals of dead none is up (10.1.0.77: " in err
    assert row(daemon)["pools"] == "blue" and row(daemon)["state"] == "up"
    assert set(daemon.reals()) == set(lab.reals4[:2])
    assert answers(lab) == BLUE
    lab.stop_nginx("real3")
    ok(daemon, "vip", "set", "web", "pool=green")
    assert answers(lab) == {"real4"}
    ok(daemon, "vip", "set", "web", "pool=dead", "--force")
    wait_for(lambda: row(daemon)["state"] == "down", 15, "the dead pool serves nobody")
    ok(daemon, "vip", "set", "web", "pool=file")
    assert answers(lab) == BLUE


def test_a_pool_that_died_since_it_last_served_is_not_switched_to(lab):
    daemon = start(lab, text(lab))
    ok(daemon, "vip", "set", "web", "pool=green")
    for host in BLUE:
        lab.stop_nginx(host)
    rc, _, err = daemon.ctl("vip", "set", "web", "pool=file")
    assert rc == 1 and "of the 2 reals of blue none is up" in err
    assert f"({lab.reals4[0]}: connect: Connection refused)" in err
    assert answers(lab) == GREEN
    audit = (daemon.state_dir / "audit.log").read_text()
    assert '"vip_pools"' in audit and '"vip_pools_refused"' in audit


def test_backup_pools_stay_when_one_pool_takes_the_place_of_another(lab):
    four = lab.reals4
    uses = [{"name": "blue"}, {"name": "spare", "backup": True}]
    daemon = start(lab, config(vip(None, pools=uses), health=KEEN,
                               pools={"blue": four[:1], "green": four[1:2], "spare": four[2:]}))
    assert daemon.ctl("vip", "set", "web", "pool=green") == \
        (0, "vip web, pools green,spare:backup, state up\n", "")
    assert row(daemon)["pools"] == "green,spare:backup"
    assert answers(lab) == {"real2"}


@pytest.mark.parametrize("setting", ["pool=with_spare", "pools=dead,green:backup"])
def test_a_backup_that_is_up_is_no_proof_for_a_pool_that_is_down(lab, setting):
    four = lab.reals4
    daemon = start(lab, config(vip(None, pool="blue"), health=KEEN, pools={
        "blue": four[:2], "dead": ["10.1.0.77"], "green": four[2:3],
        "with_spare": ["10.1.0.77", {"address": four[3], "backup": True}]}))
    rc, _, err = daemon.ctl("vip", "set", "web", setting)
    assert rc == 1 and "of the 1 reals of " in err and "none is up (10.1.0.77: " in err
    assert row(daemon)["pools"] == "blue" and answers(lab) == BLUE


def test_a_pool_of_backups_alone_is_proven_by_them(lab):
    four = lab.reals4
    daemon = start(lab, config(vip(None, pool="blue"), health=KEEN, pools={
        "blue": four[:2], "spares": [{"address": four[3], "backup": True}]}))
    ok(daemon, "vip", "set", "web", "pool=spares")
    assert answers(lab) == {"real4"}


def test_a_reload_ends_a_switch_that_waits(lab):
    daemon = start(lab, config(
        vip(None, pool="blue"), pools={"blue": lab.reals4[:2], "dead": ["10.1.0.77"]},
        health={**KEEN, "timeout": "9s", "interval": "10s"}))
    waiting = lab.popen(lab.balancer, [BUILD / "xdplbctl", "--socket", daemon.socket, "vip", "set",
                                       "web", "pool=dead"], stderr=subprocess.PIPE)
    wait_for(lambda: row(daemon)["pools"] == "blue,dead:0", 15, "the pool is being probed")
    rc, _, err = daemon.ctl("vip", "set", "web", "pool=dead")
    assert rc == 1 and "is being switched to dead" in err
    ok(daemon, "reload")
    assert "another configuration came" in waiting.communicate(timeout=20)[1]
    assert waiting.returncode == 1
    assert row(daemon)["pools"] == "blue" and answers(lab) == BLUE


def test_a_canary_is_set_by_one_command_and_taken_back(lab):
    daemon = start(lab, text(lab))
    ok(daemon, "vip", "set", "web", "pools=blue:90,green:10")
    assert row(daemon)["pools"] == "blue:90,green:10"
    shares = {a: r["share"] for a, r in daemon.reals().items()}
    assert [round(shares[a], 3) for a in lab.reals4] == [0.45, 0.45, 0.05, 0.05]
    assert answers(lab, n=500) == BLUE | GREEN
    ok(daemon, "vip", "set", "web", "pools=blue,green:0")
    assert answers(lab) == BLUE
    assert daemon.reals()[lab.reals4[2]]["state"] == "up"


def test_pools_may_share_reals_with_those_they_replace_but_not_with_each_other(lab):
    daemon = start(lab, text(lab))
    ok(daemon, "vip", "set", "web", "pool=both")
    assert answers(lab) == {"real2", "real3"}
    rc, _, err = daemon.ctl("vip", "set", "web", "pools=both,green")
    assert rc == 1 and "is in pool both and in pool green" in err
    assert row(daemon)["pools"] == "both"
    assert answers(lab) == {"real2", "real3"}


def test_a_switch_is_kept_over_a_restart_and_a_reload_and_shown_as_a_difference(lab):
    daemon = start(lab, text(lab))
    ok(daemon, "vip", "set", "web", "pool=green")
    daemon.stop()
    daemon = start(lab, text(lab), state_dir=daemon.state_dir)
    assert row(daemon)["pools"] == "green" and row(daemon)["file_pools"] == "blue"
    assert answers(lab) == GREEN
    stays = 'pools of the operator stay vip=web pools=green file=blue undo="xdplbctl vip set web '
    assert daemon.log_text().count(stays) == 1
    ok(daemon, "reload")
    assert daemon.log_text().count(stays) == 2
    assert answers(lab) == GREEN
    assert "green (file says blue)" in daemon.ctl("vip", "show", "web")[1]
    ok(daemon, "vip", "set", "web", "pool=file")
    assert answers(lab) == BLUE
    assert "file says" not in daemon.ctl("vip", "show", "web")[1]


def test_a_file_that_no_longer_has_the_pool_is_refused_until_forced(lab):
    daemon = start(lab, text(lab))
    ok(daemon, "vip", "set", "web", "pool=green")
    daemon.write_config(config(vip(None, pool="blue"), health=KEEN,
                               pools={"blue": lab.reals4[:2]}))
    rc, _, err = daemon.ctl("reload")
    assert rc == 1 and "no pool named green" in err and "pool=file" in err
    assert answers(lab) == GREEN
    ok(daemon, "reload", "--force")
    daemon.wait_states({a: "up" for a in lab.reals4[:2]})
    assert answers(lab) == BLUE


@pytest.mark.parametrize("setting, rc, says", [
    ("pool=red", 1, "no pool named red"),
    ("pool=blue,green", 1, "expected one pool"),
    ("pools=", 1, "NAME[:WEIGHT]"),
    ("pools=blue:x", 1, "expected a weight"),
    ("pools=blue,blue", 1, "named twice"),
    ("colour=blue", 2, "pool=NAME"),
])
def test_what_is_no_pool_is_refused_with_its_reason(make_lab, setting, rc, says):
    lab = make_lab(reals=4)
    daemon = lab.start_daemon(text(lab))
    got, _, err = daemon.ctl("vip", "set", "web", setting)
    assert (got, says in err) == (rc, True), err
