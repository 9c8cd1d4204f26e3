# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""One probe for many VIPs, flapping and degraded reals, and who is told of it."""

import json
import os
import re
import subprocess
import time

import pytest

from lab import BUILD, wait_for
from traffic import config, replace, vip

FAST = {"type": "http", "path": "/files/state", "interval": "100ms", "timeout": "2s",
        "fall": 2, "rise": 2}
VIPS = ("192.0.2.10", "192.0.2.11", "192.0.2.12")


@pytest.fixture(scope="module", name="real")
def fixture_real(make_shared_lab):
    """One real: nginx whose answer to a probe is a file."""
    lab = make_shared_lab(reals=1)
    lab.start_nginx("real1")
    return lab


@pytest.fixture(name="begin")
def fixture_begin(real):
    """A function that starts the daemon; the real is well."""
    daemons = []

    def begin(*args, **kwargs):
        say(real, "well")
        daemons.append(real.start_daemon(config(*args, **kwargs)))
        return daemons[-1]
    yield begin
    for daemon in daemons:
        daemon.ctl("detach")
        daemon.process.wait(10)


def say(lab, text):
    """What the real answers to a probe; None: 404."""
    state = lab.dir / "real1" / "www" / "files" / "state"
    if text:
        replace(state, text)
    else:
        state.unlink(missing_ok=True)


def three_vips(lab, **keys):
    return [vip(lab.reals4, f"web{i}", address, **keys) for i, address in enumerate(VIPS)]


def probes_seen(lab, path="/files/state"):
    """Probes that the real's nginx has logged."""
    return sum(row[2] == path for row in lab.access_log("real1"))


def events(daemon, what=None):
    return [e for e in daemon.ctl_json("events") if what is None or e["what"] == what]


def row_of(daemon, noun="health"):
    return daemon.ctl_json(noun, "list")[0]


# ---- sharing ----


def test_three_vips_with_one_real_probe_it_once(real, begin):
    before = probes_seen(real)
    daemon = begin(*three_vips(real), health=FAST)
    wait_for(lambda: row_of(daemon)["probes"] >= 20, 20, "20 probes")
    rows = daemon.ctl_json("health", "list")
    seen = probes_seen(real) - before
    assert len(rows) == 3 and {row["shared_by"] for row in rows} == {3}
    assert len({row["target"] for row in rows}) == 1
    # Those since the list was made, and one that nginx has not logged yet; three times as many
    # where each VIP probes.
    assert rows[0]["probes"] - 1 <= seen < 2 * rows[0]["probes"], (rows[0], seen)
    # People see it once, with the VIPs that use it.
    _, out, _ = daemon.ctl("health", "list")
    assert len(out.splitlines()) == 2
    assert set(VIPS) and "web0" in out and "web2" in out and "TURNS" in out
    assert all(len(line) <= 120 for line in out.splitlines()), out

    say(real, None)
    for i in range(3):
        daemon.wait_states({real.reals4[0]: "down"}, vip=f"web{i}")
    downs = events(daemon, "real_down")
    assert sorted(e["vip"] for e in downs) == ["web0", "web1", "web2"]
    assert {e["reason"] for e in downs} == {"status 404"}
    # Each is told once, with what and how long it was before.
    up_ms = [int(ms) for ms in re.findall('real down vip=web[012] real=10.1.0.1 reason="status 404" '
                                          r"was=up for_ms=(\d+)", daemon.log_text())]
    assert len(up_ms) == 3 and min(up_ms) > 1500  # 20 probes
    assert daemon.log_text().count("real down ") == 3
    assert [row["transitions"] for row in daemon.ctl_json("health", "list")] == [2, 2, 2]


def test_a_vip_that_comes_later_takes_what_is_known_and_the_probe_goes_on(real, begin):
    slow = {**FAST, "interval": "60s"}
    earlier = probes_seen(real)
    daemon = begin(*three_vips(real)[:1], health=slow)
    daemon.wait_states({real.reals4[0]: "up"})
    before = wait_for(lambda: (n := probes_seen(real)) > earlier and n, 15, "it is logged")
    # The first VIP goes, two others come: none of them waits for a probe.
    daemon.write_config(config(*three_vips(real)[1:], health=slow))
    daemon.ctl_json("reload")
    assert {row["state"] for row in daemon.ctl_json("real", "list")} == {"up"}
    assert probes_seen(real) == before
    assert row_of(daemon)["probes"] == 1


# ---- pace, start ----


def test_a_real_counts_as_up_from_the_start_if_told_so_until_its_first_result(real, begin):
    say(real, "well")
    daemon = begin(vip(real.reals4, health={"port": 9, "type": "tcp", "source": real.reals4[0]}),
                   health={**FAST, "start": "up"})
    row = row_of(daemon, "real")
    # The source is no address of ours: no probe can be made.
    assert (row["state"], row["assumed"]) == ("up", True), row
    assert "assumed up" in daemon.ctl("real", "list")[1]
    daemon.write_config(config(vip(real.reals4, health={"port": 9, "type": "tcp"}),
                               health={**FAST, "start": "up"}))
    daemon.ctl_json("reload")
    daemon.wait_states({real.reals4[0]: "down"})
    row = row_of(daemon, "real")
    assert (row["assumed"], row["reason"]) == (False, "connect: Connection refused")


def test_who_fails_is_probed_faster_until_it_is_down(real, begin):
    daemon = begin(vip(real.reals4), health={**FAST, "interval": "3s", "fast_interval": "100ms",
                                             "fall": 20})
    daemon.wait_states({real.reals4[0]: "up"})
    say(real, None)
    daemon.wait_states({real.reals4[0]: "down"}, 15)  # 60 s without


# ---- why ----


def test_a_real_that_the_operator_took_out_says_since_when_and_if_its_probe_fails(real, begin):
    daemon = begin(vip(real.reals4), health=FAST)
    address = real.reals4[0]
    daemon.wait_states({address: "up"})
    daemon.ctl_json("real", "disable", "web", address)
    wait_for(lambda: row_of(daemon, "real")["admin_since_ms"] > 50, 15, "time passes")
    why = daemon.ctl("real", "list")[1]
    assert "disabled by operator, " in why and "status" not in why
    say(real, None)
    wait_for(lambda: "; status 404, " in daemon.ctl("real", "list")[1], 15, "and it is down")
    # Since before the daemon's restart.
    before = row_of(daemon, "real")["admin_since_ms"]
    daemon.stop()
    daemon = real.start_daemon(daemon.config.read_text(), state_dir=daemon.state_dir)
    assert before < row_of(daemon, "real")["admin_since_ms"] < before + 20000
    daemon.ctl_json("real", "drain", "web", address)
    row = row_of(daemon, "real")
    assert (row["state"], row["admin"]) == ("down", "drain") and row["admin_since_ms"] < 5000
    assert re.search("down .* drain by operator, .*; status 404, ", daemon.ctl("real", "list")[1])
    daemon.ctl_json("real", "enable", "web", address)
    assert row_of(daemon, "real")["admin_since_ms"] is None
    daemon.ctl("detach")
    daemon.process.wait(10)


def test_a_real_that_is_not_probed_says_so(real, begin):
    daemon = begin(vip(real.reals4, health={"type": "none"}))
    row = row_of(daemon)
    assert (row["reason"], row["last_result"], row["next_in_ms"]) == ("not probed", None, None)
    assert re.search(" up .* - +not probed, ", daemon.ctl("real", "list")[1])


# ---- flapping ----


def test_a_flapping_real_is_held_down_and_says_so(real, begin):
    daemon = begin(vip(real.reals4), health={**FAST, "hold_down": "5s", "hold_down_max": "1h"})
    address = real.reals4[0]
    daemon.wait_states({address: "up"})
    say(real, None)
    daemon.wait_states({address: "down"})
    say(real, "well")
    daemon.wait_states({address: "up"}, 4)  # the first time costs nothing
    say(real, None)
    daemon.wait_states({address: "down"})
    began = time.monotonic()
    say(real, "well")
    wait_for(lambda: row_of(daemon)["successes"] > 4, 15, "successes")
    row = row_of(daemon, "real")
    assert (row["state"], row["flaps"], row["last_ok"]) == ("down", 2, True), row
    assert 0 < row["held_down_ms"] <= 5000
    assert row["reason"] == "status 404" and row["last_result"] == "status 200"
    for noun in ("real", "health"):
        out = daemon.ctl(noun, "list")[1]
        assert "held down" in out and "2 flaps" in out and "last: status 200" in out, out
    daemon.wait_states({address: "up"})
    assert time.monotonic() - began > 3
    assert row_of(daemon)["transitions"] == 5
    [flap] = events(daemon, "real_flapping")
    assert (flap["flaps"], flap["who"], flap["vip"]) == (2, "health", "web")
    assert "real flapping vip=web" in daemon.log_text()


# ---- degraded ----


@pytest.mark.parametrize("keys, answer, reason", [
    ({"degraded_status": [404], "degraded_weight": "30%"}, None, "degraded: status 404"),
    ({"degraded_body": "tired", "degraded_weight": "30%"}, "so tired",
     "degraded: body, status 200")])
def test_a_degraded_real_stays_up_with_less_weight(real, begin, keys, answer, reason):
    daemon = begin(vip(real.reals4), health={**FAST, **keys})
    address = real.reals4[0]
    daemon.wait_states({address: "up"})
    assert row_of(daemon, "real")["effective_weight"] == 100
    say(real, answer)
    wait_for(lambda: row_of(daemon, "real")["effective_weight"] == 30, 15, "its weight is lowered")
    row = row_of(daemon, "real")
    assert (row["state"], row["lowered_percent"], row["reason"]) == ("up", 70, reason)
    assert "weight lowered by 70%" in daemon.ctl("real", "list")[1]
    say(real, "well")
    wait_for(lambda: row_of(daemon, "real")["effective_weight"] == 100, 15, "it is itself again")
    assert [e["lowered_percent"] for e in events(daemon, "real_advice")] == [70, 0]
    assert not events(daemon, "real_down")


# ---- who did what ----


def test_the_audit_log_says_who_did_what(real, begin):
    daemon = begin(vip(real.reals4), health=FAST)
    address = real.reals4[0]
    daemon.wait_states({address: "up"})
    daemon.ctl_json("real", "drain", "web", address)
    daemon.ctl_json("real", "enable", "web", address)
    daemon.ctl_json("reload")
    daemon.write_config("vips: [")
    assert daemon.ctl("reload")[0] == 1
    log = daemon.state_dir / "audit.log"
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert lines == daemon.ctl_json("events")
    assert [e["number"] for e in lines] == list(range(1, len(lines) + 1))
    told = [(e["who"], e["what"]) for e in lines]
    assert told[0] == ("start", "config_applied")
    assert ("health", "real_up") in told
    by_root = [what for who, what in told if who == "root"]
    # wait_states() has enabled it once.
    assert by_root[-4:] == ["real_drain", "real_enable", "config_applied", "config_refused"]
    drain = events(daemon, "real_drain")[0]
    assert (drain["vip"], drain["real"], drain["was"], drain["uid"]) == ("web", address,
                                                                        "enabled", 0)
    assert drain["pid"] > 0 and "yaml:2:1" in events(daemon, "config_refused")[0]["reason"]


def test_events_follow_what_happens(real, begin):
    daemon = begin(vip(real.reals4), health=FAST)
    daemon.wait_states({real.reals4[0]: "up"})
    with subprocess.Popen([BUILD / "xdplbctl", "--socket", daemon.socket, "events", "--follow"],
                          stdout=subprocess.PIPE, text=True) as follower:
        assert "config_applied" in follower.stdout.readline()
        say(real, None)
        for line in follower.stdout:
            if "real_down" in line:
                break
        follower.terminate()
    assert f"health real_down vip=web real={real.reals4[0]} was=up reason=\"status 404\"" in line


def test_a_signal_is_in_the_audit_log(real, begin):
    daemon = begin(vip(real.reals4), health=FAST)
    os.kill(daemon.process.pid, 1)
    wait_for(lambda: any(e["who"] == "signal" for e in events(daemon, "config_applied")), 15,
             "the reload by signal is noted")
