# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Pools: shares of new flows, backups and their levels, panic, all down, the alarm of min_healthy."""

import math

import pytest

from lab import VIP4, VIP6, wait_for
from traffic import (Load, answers, config, connections, served_by, served_since, start, vip,
                     weighted)

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


def wait_vip(daemon, deadline=10, name="web", **fields):
    wait_for(lambda: all(row(daemon, name)[key] == value for key, value in fields.items()), deadline,
             f"VIP is {fields}; {row(daemon, name)}; log:\n{daemon.log_text()}")


def test_a_canary_gets_its_share_of_new_flows_however_many_reals_it_has(lab):
    four = lab.reals4
    daemon = start(lab, config(vip(None, pools=USES),
                               pools={"blue": four[:1], "green": four[1:]}))
    n, before = 4000, served_by(lab)
    assert Load(lab, n, 20).finish() == 0
    served = served_since(lab, before, n)
    # Six standard deviations: right shares fail once in 10^7 runs.
    assert abs(served["real1"] - 0.9 * n) < 6 * math.sqrt(n * 0.9 * 0.1), served
    for host in lab.reals[1:]:
        assert abs(served[host] - n / 30) < 6 * math.sqrt(n / 30), served
    reals = daemon.reals()
    assert [round(reals[a]["share"], 3) for a in four] == [0.9, 0.033, 0.033, 0.033]
    assert [reals[a]["pool"] for a in four] == ["blue", "green", "green", "green"]
    assert row(daemon)["pools"] == "blue:90,green:10"


def test_backups_serve_while_nobody_else_can_and_keep_what_they_began(lab):
    four = lab.reals4
    daemon = start(lab, config(vip(None, pools=[{"name": "main"}, {"name": "spare", "backup": True}]),
                               pools={"main": four[:2], "spare": four[2:]}, health=KEEN))
    assert answers(lab) == {"real1", "real2"}
    spare = daemon.reals()[four[2]]
    assert (spare["state"], spare["backup"], spare["effective_weight"]) == ("up", True, 0)
    lab.stop_nginx("real1")
    daemon.wait_states({four[0]: "down", four[1]: "up"})
    assert answers(lab) == {"real2"}
    assert row(daemon)["on_backup"] is False
    lab.stop_nginx("real2")
    wait_vip(daemon, state="degraded", on_backup=True)
    daemon.settle()
    assert answers(lab) == {"real3", "real4"}
    with connections(lab, 20, reals=lab.reals[2:]) as some:
        lab.start_nginx("real1")
        wait_vip(daemon, state="up", on_backup=False)
        daemon.settle()
        assert answers(lab) == {"real1"}
        assert some.ask() == some.reals and set(some.reals) == {"real3", "real4"}
    assert "vip degraded vip=web" in daemon.log_text() and "on_backup=1" in daemon.log_text()


LEVELS = [{"name": "main"}, {"name": "spare", "weight": 200, "backup": True},
          {"name": "last", "backup": 2}]


def shares(daemon, lab):
    return [round(daemon.reals()[a]["share"], 3) for a in lab.reals4]


def test_backups_join_level_by_level_while_too_few_are_up_and_leave_when_enough_are(lab):
    four = lab.reals4
    daemon = start(lab, config(vip(None, pools=LEVELS, backup_below="100%"), health=KEEN,
                               pools={"main": four[:2], "spare": four[2:3], "last": four[3:]}))
    assert answers(lab) == {"real1", "real2"}
    assert row(daemon)["pools"] == "main,spare:200:backup,last:backup2"
    assert [daemon.reals()[a]["backup_level"] for a in four] == [0, 0, 1, 2]

    lab.stop_nginx("real2")
    wait_vip(daemon, state="degraded", on_backup=True, backup_level=1, backup_below=2,
             reason="1 of 2 up, fewer than backup_below 100%: backups of level 1 serve too")
    daemon.settle()
    assert row(daemon)["reason"] in daemon.ctl("vip", "show", "web")[1]
    assert row(daemon)["reason"] in daemon.ctl("vip", "list")[1]
    listed = daemon.ctl("real", "list")[1]
    assert "; serves, a backup of level 1" in listed
    assert "; no new flows: it is a backup of level 2" in listed
    assert shares(daemon, lab) == [0.2, 0, 0.8, 0]  # half a pool of 100, a whole one of 200
    n, before = 1500, served_by(lab)
    assert Load(lab, n, 20).finish() == 0
    served = served_since(lab, before, n)
    assert served["real1"] + served["real3"] == n
    # Six standard deviations.
    assert abs(served["real1"] - n / 5) < 6 * math.sqrt(n * 4 / 25), served

    lab.stop_nginx("real1")
    wait_vip(daemon, state="degraded", backup_level=2,
             reason="no primary is up: backups of levels 1 to 2 serve")
    daemon.settle()
    assert answers(lab) == {"real3", "real4"}
    with connections(lab, 20, reals=lab.reals[2:]) as some:
        lab.start_nginx("real1")
        wait_vip(daemon, backup_level=1)
        daemon.settle()
        assert answers(lab) == {"real1", "real3"}
        assert some.ask() == some.reals
        lab.start_nginx("real2")
        wait_vip(daemon, state="up", on_backup=False, backup_level=0, reason=None)
        daemon.settle()
        assert answers(lab) == {"real1", "real2"}
        assert some.ask() == some.reals and set(some.reals) == {"real3", "real4"}
    assert row(daemon)["backup_joins"] == 2
    told = [line.split(" vip backups ")[1] for line in daemon.log_text().splitlines()
            if " vip backups " in line]
    assert [line.split(" reals_up=")[0] for line in told] == [
        "joined vip=web level=1 was=0", "joined vip=web level=2 was=1",
        "left vip=web level=1 was=2", "left vip=web level=0 was=1"]


def test_backups_stay_until_who_came_back_has_its_whole_weight(lab):
    four = lab.reals4
    reals = [*four[:2], {"address": four[2], "backup": True}]
    daemon = start(lab, config(vip(reals, backup_below=2, slow_start="6s"), health=KEEN))
    lab.stop_nginx("real2")
    wait_vip(daemon, on_backup=True)
    lab.start_nginx("real2")
    wait_vip(daemon, on_backup=True, reals_up=3,
             reason="2 of 2 up (1 starting slowly), fewer than backup_below 2: "
                    "backups of level 1 serve too")
    wait_vip(daemon, on_backup=False, state="up")
    assert daemon.reals()[four[1]]["effective_weight"] == 100


def test_the_levels_of_backups_are_changed_at_one_command(lab):
    four = lab.reals4
    daemon = start(lab, config(vip(None, pools=LEVELS), health=KEEN,
                               pools={"main": four[:2], "spare": four[2:3], "last": four[3:]}))
    assert daemon.ctl("vip", "set", "web", "pools=main,spare:backup3,last:backup")[0] == 0
    assert [daemon.reals()[a]["backup_level"] for a in four] == [0, 0, 3, 1]
    for host in ("real1", "real2"):
        lab.stop_nginx(host)
    wait_vip(daemon, backup_level=1, reason="no primary is up: backups of level 1 serve")
    daemon.settle()
    assert answers(lab) == {"real4"}
    lab.stop_nginx("real4")
    wait_vip(daemon, backup_level=3, reason="no primary is up: backups of level 3 serve")
    daemon.settle()
    assert answers(lab) == {"real3"}
    status, _, error = daemon.ctl("vip", "set", "web", "pools=main,spare:backup8")
    assert status != 0 and "\"backup1\" to \"backup7\"" in error


@pytest.mark.parametrize("panic, used", [("60%", {"real1", "real2", "real3"}), ("30%", {"real1"})])
def test_panic_ignores_health_below_its_threshold_only(lab, panic, used):
    """A real whose probe fails and whose service answers: what panic is for."""
    lying = {**KEEN, "path": "/files/probe"}
    for host in lab.reals:
        (lab.dir / host / "www/files/probe").write_text("ok")
    daemon = start(lab, config(vip(lab.reals4[:3], panic=panic), health=lying))
    with connections(lab, 30, reals=lab.reals[:3]) as some:
        for host in ("real2", "real3"):
            (lab.dir / host / "www/files/probe").unlink()
        daemon.wait_states({lab.reals4[1]: "down", lab.reals4[2]: "down"})
        wait_vip(daemon, state="panic" if len(used) == 3 else "up", reals_up=1)
        daemon.settle()
        assert answers(lab) == used
        if len(used) == 3:
            assert [c.ask() for c in some.of("real1")] == ["real1"] * len(some.of("real1"))


@pytest.mark.parametrize("policy, used, state", [
    ("drop", set(), "down"), ("all", {"real1", "real2"}, "panic"), ("backup", {"real3"}, "panic")])
def test_when_all_are_down_the_policy_says_who_is_used(lab, policy, used, state):
    lying = {**KEEN, "path": "/files/probe"}
    reals = [*lab.reals4[:2], {"address": lab.reals4[2], "backup": True}]
    for host in lab.reals[:3]:
        (lab.dir / host / "www/files/probe").write_text("ok")
    daemon = start(lab, config(vip(reals, on_all_down=policy), health=lying))
    assert answers(lab) == {"real1", "real2"}
    for host in lab.reals[:3]:
        (lab.dir / host / "www/files/probe").unlink()
    daemon.wait_states({a: "down" for a in lab.reals4[:3]})
    wait_vip(daemon, state=state, reals_up=0)
    if used:
        daemon.settle()
        assert answers(lab) == used
    else:
        assert lab.curl("http://192.0.2.10/", timeout=1) is None


# Says what a connection or an answer to a datagram comes to: the name of the error, or "timeout".
KNOCK = """
import errno, socket, sys
address, kind = sys.argv[1], getattr(socket, sys.argv[2])
one = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
one.settimeout(float(sys.argv[3]))
try:
    one.connect((address, 80))
    one.send(b"?")
    one.recv(1)
except TimeoutError:
    print("timeout")
except OSError as failure:
    print(errno.errorcode[failure.errno])
"""


def knock(lab, address, kind, seconds):
    return lab.run(lab.client, ["/usr/bin/python3", "-c", KNOCK, address, kind, seconds]).stdout.strip()


@pytest.mark.parametrize("policy, told", [
    ("drop", "timeout"), ("reset", "ECONNREFUSED"), ("unreachable", "ECONNREFUSED")])
def test_who_meets_a_vip_without_reals_is_told_as_the_policy_says(lab, policy, told):
    """The client's own TCP and UDP take the answer for one; who is connected is left alone."""
    vips = [(name, address, protocol) for address, six in ((VIP4, ""), (VIP6, "6"))
            for name, protocol in ((f"web{six}", "tcp"), (f"udp{six}", "udp"))]
    daemon = start(lab, config(
        *(vip(lab.reals4[:1], name, address, protocol=protocol, on_all_down=policy)
          for name, address, protocol in vips), health=KEEN))
    with connections(lab, 5, reals=lab.reals[:1]) as some:
        # The server stays; its balancer takes it for dead.
        lab.run("real1", "nft add table inet probes; nft 'add chain inet probes in "
                "{ type filter hook input priority 0; }'; nft add rule inet probes in "
                "ip saddr 10.1.0.10 tcp dport 80 drop")
        for name, _, _ in vips:
            wait_vip(daemon, name=name, state="down", reals_up=0)
        daemon.settle()
        for _, address, protocol in vips:
            kind = "SOCK_STREAM" if protocol == "tcp" else "SOCK_DGRAM"
            assert knock(lab, address, kind, 0.5 if told == "timeout" else 5) == told, address
        before = daemon.ctl_json("stats", "show")
        assert (before["reply_no_real"] > 0) == (policy != "drop")
        lab.run("real1", "nft delete table inet probes")
        daemon.wait_states({lab.reals4[0]: "up"})
        daemon.settle()
        assert some.ask() == ["real1"] * 5


def test_min_healthy_raises_an_alarm_once_per_crossing(lab):
    four = lab.reals4
    daemon = start(lab, config(vip(four[:3], min_healthy="60%"), health=KEEN))
    assert row(daemon)["min_healthy"] == 2
    assert row(daemon)["below_min_healthy"] is False
    for n in (1, 2):
        daemon.ctl("real", "drain", "web", four[0])
        lab.stop_nginx("real2")
        wait_vip(daemon, state="degraded", below_min_healthy=True, min_healthy_alarms=n)
        lab.start_nginx("real2")
        wait_vip(daemon, state="up", below_min_healthy=False, min_healthy_alarms=n)
        daemon.ctl("real", "undrain", "web", four[0])
        daemon.wait_states({four[0]: "up"})
    assert daemon.log_text().count("vip below min_healthy vip=web") == 2
    assert daemon.log_text().count("vip not below min_healthy") == 2


def test_a_real_that_comes_back_starts_slowly_and_never_with_nothing(lab):
    four = lab.reals4
    daemon = start(lab, config(vip(four[:2]), health=KEEN, slow_start="6s"))
    # Up at the daemon's start: nobody starts slowly.
    assert [daemon.reals()[a]["effective_weight"] for a in four[:2]] == [100, 100]
    lab.stop_nginx("real1")
    daemon.wait_states({four[0]: "down"})
    lab.start_nginx("real1")
    seen = [wait_for(lambda: daemon.reals()[four[0]]["effective_weight"], 15, "it has a weight")]
    served = served_by(lab)["real1"]
    wait_for(lambda: answers(lab) and served_by(lab)["real1"] > served, 15, "it serves somebody")
    seen.append(daemon.reals()[four[0]]["effective_weight"])
    assert seen[-1] < 100, "only with its whole weight"

    def is_whole():
        seen.append(daemon.reals()[four[0]]["effective_weight"])
        return seen[-1] == 100
    wait_for(is_whole, 15, "it has its whole weight")
    assert seen == sorted(seen)
    assert seen[0] <= 50 and len(set(seen)) >= 4, seen
    assert daemon.reals()[four[1]]["effective_weight"] == 100
    assert daemon.reals()[four[0]]["share"] == 0.5


def test_a_drained_real_starts_slowly_and_a_restarted_daemon_does_not(lab):
    four = lab.reals4
    text = config(vip(four[:2]), health=KEEN, slow_start="1h")
    daemon = start(lab, text)
    daemon.ctl("real", "drain", "web", four[0])
    daemon.ctl("real", "undrain", "web", four[0])
    assert daemon.reals()[four[0]]["effective_weight"] == 5
    daemon.stop()
    daemon = start(lab, text, state_dir=daemon.state_dir)
    assert daemon.reals()[four[0]]["effective_weight"] == 100


def test_a_real_that_is_added_or_given_a_weight_starts_slowly_at_once(lab):
    four = lab.reals4

    def text(*weights):
        return config(vip(weighted(four, *weights)), health=KEEN, slow_start="1h")

    daemon = start(lab, text(100, 0))
    daemon.wait_states({a: "up" for a in four[:2]})
    assert [daemon.reals()[a]["effective_weight"] for a in four[:2]] == [100, 0]
    daemon.write_config(text(100, 100, 60))
    daemon.ctl("reload")
    assert daemon.reals()[four[1]]["effective_weight"] == 5
    daemon.wait_states({four[2]: "up"})
    assert [daemon.reals()[a]["effective_weight"] for a in four[:3]] == [100, 5, 3]
