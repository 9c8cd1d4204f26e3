# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Reals that the operator takes out of a VIP while the file lists them, and puts back."""

import json
import os
import signal
import subprocess

import pytest

from lab import BUILD, wait_for
from traffic import answers, config, connections, start, vip

QUICK = {"tcp": "1h", "tcp_closing": "1s", "tcp_unproven": "1s", "udp": "2s"}
KEEN = {"type": "http", "port": 80, "path": "/healthz", "interval": "100ms", "timeout": "1s",
        "fall": 2, "rise": 1}


@pytest.fixture
def daemon(serving_lab):
    lab = serving_lab
    return start(lab, config(vip(lab.reals4), timeouts=QUICK))


def ok(daemon, *words):
    rc, out, err = daemon.ctl(*words)
    assert (rc, err) == (0, "")
    return out


def refused(daemon, *words):
    rc, out, err = daemon.ctl(*words)
    assert (rc, out) == (1, "")
    return err


def show(daemon, real):
    return daemon.ctl_json("real", "show", "web", real)


def removed(daemon):
    return daemon.ctl_json("vip", "show", "web")["removed"]


def recorded(daemon):
    return json.loads((daemon.state_dir / "runtime.json").read_text())["reals"]


def stays_removed(daemon, real):
    return f'real stays removed vip=web real={real} undo="xdplbctl real add web {real}"'


def start_again(daemon, sig=signal.SIGTERM):
    daemon.lab.stop(daemon.process, sig=sig)
    return daemon.lab.start_daemon(daemon.config.read_text(), state_dir=daemon.state_dir)


def add_back(daemon, real):
    ok(daemon, "real", "add", "web", real)
    daemon.wait_states({real: "up"})


# ---- now ----


def test_a_removed_real_finishes_its_flows_gets_no_new_ones_and_comes_back(daemon):
    lab, real = daemon.lab, daemon.lab.reals4[0]
    with connections(lab, 30) as some:
        out = ok(daemon, "real", "del", "web", real)
        assert out == f"vip web, address {real}, admin removed\n"
        assert answers(lab) == {"real2", "real3"}
        assert some.ask() == some.reals
        assert set(daemon.reals()) == set(lab.reals4[1:])
        whole = daemon.ctl_json("vip", "show", "web")
        assert (whole["reals"], whole["reals_up"], whole["removed"]) == (2, 2, [real])
        assert [row["address"] for row in whole["members"]] == lab.reals4[1:]
        assert f"removed      {real}\n" in ok(daemon, "vip", "show", "web")
        row = show(daemon, real)
        assert row["removed"] and (row["state"], row["admin"]) == ("removed", "removed")
        assert row["effective_weight"] == 0 and row["health"] is None
        assert "removed by operator" in ok(daemon, "real", "show", "web", real)
        mine = some.of("real1")
        wait_for(lambda: show(daemon, real)["active_flows"] == len(mine), 15, "flows are counted")
        mine[0].close()
        wait_for(lambda: show(daemon, real)["active_flows"] == len(mine) - 1, 15, "one less")
        kept = [c for c in some.all if c is not mine[0]]
        add_back(daemon, real)
        assert {c.ask() for c in mine[1:]} == {"real1"}
        for connection in kept:
            connection.ask()
        assert [r["address"] for r in daemon.ctl_json("real", "list")] == lab.reals4
    assert answers(lab) == set(lab.reals)
    assert removed(daemon) == [] and recorded(daemon) == {}
    events = [e for e in daemon.ctl_json("events") if e["what"] in ("real_removed", "real_added")]
    assert [(e["what"], e["vip"], e["real"]) for e in events] == [
        ("real_removed", "web", real), ("real_added", "web", real)]
    assert {(e["who"], e["uid"]) for e in events} == {("root", os.getuid())}


def test_a_vip_may_lose_all_its_reals(daemon):
    lab = daemon.lab
    for real in lab.reals4:
        ok(daemon, "real", "del", "web", real)
    row = daemon.ctl_json("vip", "list")[0]
    assert (row["state"], row["reals"], row["reals_up"]) == ("down", 0, 0)
    assert sorted(removed(daemon)) == lab.reals4
    for real in reversed(lab.reals4):
        add_back(daemon, real)
    assert [r["address"] for r in daemon.ctl_json("real", "list")] == lab.reals4
    assert answers(lab) == set(lab.reals)


def test_the_guard_is_for_files_and_not_for_who_says_what_he_means(serving_lab):
    lab = serving_lab
    text = "guard: {max_removed: 1%}\n" + config(vip(lab.reals4))
    daemon = start(lab, text)
    ok(daemon, "real", "del", "web", lab.reals4[0])
    ok(daemon, "real", "del", "web", lab.reals4[1])
    ok(daemon, "reload")
    assert answers(lab) == {"real3"}


def test_what_cannot_be_is_refused_with_what_to_do(daemon):
    real, other = daemon.lab.reals4[:2]
    assert "no VIP named nope" in refused(daemon, "real", "del", "nope", real)
    assert "no VIP named nope" in refused(daemon, "real", "add", "nope", real)
    assert "VIP web has no real 10.9.9.9" in refused(daemon, "real", "del", "web", "10.9.9.9")
    said = refused(daemon, "real", "add", "web", "10.9.9.9")
    assert f"VIP web has no real 10.9.9.9 in the file: add it to {daemon.config}" in said
    assert "`xdplbctl reload`" in said
    assert "is not removed" in refused(daemon, "real", "add", "web", other)
    assert "not an IP address" in refused(daemon, "real", "del", "web", "x")
    assert "only one of them" in refused(daemon, "real", "drain", "web", real, "--disable",
                                         "--remove")
    assert daemon.reals()[real]["admin"] == "enabled"
    ok(daemon, "real", "del", "web", real)
    for verb in ("undrain", "enable", "drain", "disable", "del"):
        assert f"`xdplbctl real add web {real}`" in refused(daemon, "real", verb, "web", real)
    assert removed(daemon) == [real]


# ---- once it is drained ----


def wait_for_removal(daemon, real, *options):
    return subprocess.Popen([BUILD / "xdplbctl", "--socket", daemon.socket, "real", "drain", "web",
                             real, "--remove", "--wait", *options], text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_a_real_that_is_drained_is_removed_and_who_waits_waits_for_that(daemon):
    lab, real = daemon.lab, daemon.lab.reals4[0]
    with connections(lab, 30) as some:
        mine = some.of("real1")
        waiting = wait_for_removal(daemon, real)
        # Of passes over the flow table, some have ended by then.
        wait_for(lambda: daemon.reals()[real]["active_flows"] == len(mine), 15, "they are counted")
        row = daemon.reals()[real]
        assert row["state"] == "draining" and row["drain"]["removes"]
        for connection in mine[1:]:
            connection.close()
        wait_for(lambda: daemon.reals()[real]["active_flows"] == 1, 30, "one is left")
        assert mine[0].ask() == "real1"
        assert waiting.poll() is None and removed(daemon) == []
        mine[0].close()
        assert waiting.wait(30) == 0
    out, err = waiting.communicate()
    assert out == f"vip web, address {real}, state removed\n"
    assert err.endswith(f"web {real}: 0 of {len(mine)} flows left\n")
    assert removed(daemon) == [real] and recorded(daemon)["web"][real]["admin"] == "removed"
    assert answers(lab) == {"real2", "real3"}
    [event] = [e for e in daemon.ctl_json("events") if e["what"] == "real_removed"]
    assert (event["who"], event["real"], event["flows"]) == ("drain", real, 0)
    add_back(daemon, real)
    assert answers(lab) == set(lab.reals)


def test_at_the_timeout_what_is_left_is_reset_and_the_real_removed(daemon):
    lab, real = daemon.lab, daemon.lab.reals4[0]
    with connections(lab, 30) as some:
        waiting = wait_for_removal(daemon, real, "--timeout", "1s", "--then", "reset")
        assert waiting.wait(20) == 0
        assert removed(daemon) == [real]
        for connection in some.of("real1"):
            with pytest.raises(ConnectionResetError):
                connection.ask()
        for host in ("real2", "real3"):
            assert {c.ask() for c in some.of(host)} == {host}
    stats = daemon.ctl_json("stats", "show")
    assert stats["reply_flow_reset"] == len(some.of("real1"))
    waiting.communicate()


def test_reals_that_are_drained_in_the_same_moment_are_all_removed(daemon):
    lab = daemon.lab
    for real in lab.reals4[:2]:
        ok(daemon, "real", "drain", "web", real, "--remove")
    wait_for(lambda: sorted(removed(daemon)) == lab.reals4[:2], 20, "both are removed")
    assert set(daemon.reals()) == {lab.reals4[2]} and daemon.process.poll() is None
    assert answers(lab) == {"real3"}


def test_who_is_not_drained_yet_is_not_removed_with_the_others(daemon):
    lab, real, idle = daemon.lab, *daemon.lab.reals4[:2]
    with connections(lab, 20) as some:
        for connection in some.of("real2"):
            connection.close()
        for address in (real, idle):
            ok(daemon, "real", "drain", "web", address, "--remove")
        wait_for(lambda: removed(daemon), 30, "the idle one is removed")
        assert removed(daemon) == [idle] and daemon.reals()[real]["state"] == "draining"
        assert {c.ask() for c in some.of("real1")} == {"real1"}
        assert answers(lab) == {"real3"}
    wait_for(lambda: sorted(removed(daemon)) == [real, idle], 30, "and now the other")


def test_who_waits_for_a_removal_hears_that_the_drain_was_ended(daemon):
    lab, real = daemon.lab, daemon.lab.reals4[0]
    with connections(lab, 20) as some:
        waiting = wait_for_removal(daemon, real)
        waiting.stderr.readline()
        ok(daemon, "real", "undrain", "web", real)
        assert waiting.wait(10) == 1
        assert "the drain was ended: the real is up" in waiting.communicate()[1]
        assert some.ask() == some.reals
    assert removed(daemon) == []


# ---- restarts, reloads, files ----


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGKILL])
def test_a_removal_outlives_the_daemon_and_reloads(daemon, sig):
    lab, real = daemon.lab, daemon.lab.reals4[0]
    with connections(lab, 30) as some:
        ok(daemon, "real", "del", "web", real)
        assert stays_removed(daemon, real) not in daemon.log_text()
        ok(daemon, "reload")
        assert daemon.log_text().count(stays_removed(daemon, real)) == 1
        again = start_again(daemon, sig)
        assert again.log_text().count(stays_removed(daemon, real)) == 1
        again.wait_states({a: "up" for a in lab.reals4[1:]})
        assert removed(again) == [real] and show(again, real)["state"] == "removed"
        assert answers(lab) == {"real2", "real3"}
        assert some.ask() == some.reals
        add_back(again, real)
        assert some.ask() == some.reals
    assert answers(lab) == set(lab.reals)


def test_a_drain_that_is_to_remove_goes_on_in_the_next_daemon(daemon):
    lab, real = daemon.lab, daemon.lab.reals4[0]
    with connections(lab, 20) as some:
        ok(daemon, "real", "drain", "web", real, "--remove")
        again = start_again(daemon, signal.SIGKILL)
        assert again.reals()[real]["drain"]["removes"]
        assert some.ask() == some.reals
    wait_for(lambda: removed(again) == [real], 30, "it is removed")


def test_a_real_that_the_file_dropped_meanwhile_may_be_added_to_it_again(daemon):
    lab, real = daemon.lab, daemon.lab.reals4[0]
    whole, less = config(vip(lab.reals4), timeouts=QUICK), config(vip(lab.reals4[1:]),
                                                                  timeouts=QUICK)
    ok(daemon, "real", "del", "web", real)
    # What holds until the next reload is not the file.
    shorter = daemon.config.with_name("less.yaml")
    shorter.write_text(less.replace("{bpffs}", str(lab.bpffs / "xdplb")))
    ok(daemon, "config", "apply", str(shorter))
    assert removed(daemon) == []
    ok(daemon, "reload")
    assert removed(daemon) == [real] and answers(lab) == {"real2", "real3"}
    daemon.write_config(less)
    ok(daemon, "reload")
    assert removed(daemon) == [] and recorded(daemon) == {}
    daemon.write_config(whole)
    ok(daemon, "reload")
    daemon.wait_states({real: "up"})
    assert answers(lab) == set(lab.reals)
    # The same where a daemon finds it at its start.
    ok(daemon, "real", "del", "web", real)
    daemon.write_config(less)
    again = start_again(daemon)
    assert recorded(again) == {}


def test_a_real_that_a_reload_dropped_is_shown_while_its_flows_finish(daemon):
    lab, real = daemon.lab, daemon.lab.reals4[0]
    with connections(lab, 20) as some:
        daemon.write_config(config(vip(lab.reals4[1:]), timeouts=QUICK))
        ok(daemon, "reload")
        row = show(daemon, real)
        assert row["removed"] and (row["state"], row["admin"]) == ("removed", "enabled")
        wait_for(lambda: show(daemon, real)["active_flows"] == len(some.of("real1")), 15,
                 "its flows are counted")
        assert set(daemon.reals()) == set(lab.reals4[1:])
        assert removed(daemon) == []
    wait_for(lambda: "VIP web has no real" in daemon.ctl("real", "show", "web", real)[2], 30,
             "nothing is left of it")


# ---- pools ----


@pytest.fixture
def pooled(make_lab):
    lab = make_lab(reals=4)
    lab.start_reals()
    four = lab.reals4
    return start(lab, config(vip(None, pool="blue"), health=KEEN, timeouts=QUICK,
                             pools={"blue": four[:2], "green": four[2:]}))


def test_other_pools_and_back_keep_a_removed_real_out(pooled):
    lab, real = pooled.lab, pooled.lab.reals4[0]
    ok(pooled, "real", "del", "web", real)
    assert answers(lab) == {"real2"}
    ok(pooled, "vip", "set", "web", "pool=green")
    assert answers(lab) == {"real3", "real4"} and removed(pooled) == []
    ok(pooled, "reload")
    ok(pooled, "vip", "set", "web", "pools=blue,green")
    assert answers(lab) == {"real2", "real3", "real4"} and removed(pooled) == [real]
    assert show(pooled, real)["pool"] == "blue"
    ok(pooled, "vip", "set", "web", "pool=file")
    assert answers(lab) == {"real2"}
    add_back(pooled, real)
    assert answers(lab) == {"real1", "real2"}


def test_a_real_of_a_pool_that_waits_may_be_added_to_it_again(pooled):
    lab, real = pooled.lab, pooled.lab.reals4[0]
    ok(pooled, "real", "del", "web", real)
    ok(pooled, "vip", "set", "web", "pool=green")
    ok(pooled, "real", "add", "web", real)
    assert recorded(pooled) == {}
    assert "has no real" in refused(pooled, "real", "add", "web", real)
    ok(pooled, "vip", "set", "web", "pool=file")
    pooled.wait_states({real: "up"})
    assert answers(lab) == {"real1", "real2"}
