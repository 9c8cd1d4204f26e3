# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""How reals leave: drains with a timeout and what remains then, their progress, reals that die."""

import contextlib
import contextlib
import os
import pty
import re
import signal
import socket
import subprocess
import threading
import time

import pytest

from lab import BUILD, CLIENT4, VIP4, wait_for
from traffic import (Connection, UdpClient, answers, config, connections, start, start_server, vip)

QUICK = {"tcp": "1h", "tcp_closing": "1s", "tcp_unproven": "1s", "udp": "2s"}
# Quick to give up.
NERVOUS = {"type": "tcp", "port": 80, "interval": "100ms", "timeout": "300ms", "fall": 2, "rise": 1}
UDP4 = "192.0.2.53"


@pytest.fixture
def daemon(serving_lab):
    lab = serving_lab
    return start(lab, config(vip(lab.reals4), timeouts=QUICK))


def ok(daemon, *words):
    rc, _, err = daemon.ctl(*words)
    assert (rc, err) == (0, "")


def drain(daemon, *options):
    ok(daemon, "real", "drain", "web", daemon.lab.reals4[0], *options)


def real1(daemon):
    return daemon.reals("web")[daemon.lab.reals4[0]]


def wait_logged(daemon, text, deadline=10):
    wait_for(lambda: text in daemon.log_text(), deadline, f"{text!r}; log:\n{daemon.log_text()}")


def are_reset(some):
    for connection in some:
        with pytest.raises(ConnectionResetError):
            connection.ask()


# ---- the deadline ----


@pytest.mark.parametrize("then, state", [("keep", "draining"), ("move", "drained"),
                                         ("reset", "drained")])
def test_at_the_timeout_what_remains_is_kept_moved_or_reset(daemon, then, state):
    lab = daemon.lab
    with connections(lab, 30) as some:
        drain(daemon, "--timeout", "3s", "--then", then)
        row = real1(daemon)
        assert row["drain"]["then"] == then and 0 < row["drain"]["left_ms"] <= 3000
        assert row["state"] == "draining"
        assert some.ask() == some.reals
        wait_logged(daemon, f"flows={len(some.of('real1'))} then={then}")
        assert real1(daemon)["state"] == state
        for host in ("real2", "real3"):
            assert {c.ask() for c in some.of(host)} == {host}
        if then == "keep":
            assert {c.ask() for c in some.of("real1")} == {"real1"}
        else:
            are_reset(some.of("real1"))
        stats = daemon.ctl_json("stats", "show")
        # Whoever is moved is reset as well: by a real that does not know him.
        assert (stats["flow_moved"] > 0) == (then == "move")
        assert stats["reply_flow_reset"] == (len(some.of("real1")) if then == "reset" else 0)
        assert answers(lab) == {"real2", "real3"}
    ok(daemon, "real", "undrain", "web", lab.reals4[0])
    daemon.wait_states({lab.reals4[0]: "up"})
    assert answers(lab) == set(lab.reals)


def test_a_vip_says_how_its_reals_are_drained_and_the_command_says_otherwise(serving_lab):
    lab = serving_lab
    daemon = start(lab, config(vip(lab.reals4, drain={"timeout": "1h"}), timeouts=QUICK,
                               drain={"then": "reset"}))
    drain(daemon)
    assert real1(daemon)["drain"]["then"] == "reset"
    assert 3_500_000 < real1(daemon)["drain"]["left_ms"] <= 3_600_000
    drain(daemon, "--timeout", "1m", "--then", "move")
    assert real1(daemon)["drain"]["then"] == "move"
    assert real1(daemon)["drain"]["left_ms"] <= 60_000
    drain(daemon, "--timeout", "0s")
    shown = real1(daemon)["drain"]
    assert shown.pop("waits_for") in ("count", "flows", "handshakes", None)
    assert shown == {"left_ms": None, "then": "keep", "disables": False, "removes": False}


@pytest.mark.parametrize("options, said", [
    (("--timeout", "5"), "timeout: expected a duration"),
    (("--timeout", "25h"), "timeout: expected a duration"),
    (("--timeout", "5s", "--then", "drop"), "then: expected keep or move or reset"),
    (("--then", "move"), "without a timeout")])
def test_a_drain_that_makes_no_sense_is_refused(daemon, options, said):
    rc, out, err = daemon.ctl("real", "drain", "web", daemon.lab.reals4[0], *options)
    assert (rc, out) == (1, "")
    assert said in err
    assert real1(daemon)["admin"] == "enabled"


def test_a_drained_real_becomes_disabled_if_asked_and_that_is_remembered(daemon):
    lab = daemon.lab
    with connections(lab, 20) as some:
        drain(daemon, "--disable")
        assert real1(daemon)["state"] == "draining"
        assert some.ask() == some.reals
    daemon.wait_states({lab.reals4[0]: "disabled"}, 30)
    daemon.stop()
    again = lab.start_daemon(daemon.config.read_text(), state_dir=daemon.state_dir)
    assert real1(again)["state"] == "disabled"
    assert answers(lab) == {"real2", "real3"}


@pytest.mark.parametrize("passes_while_down", [False, True])
def test_a_deadline_outlives_the_daemon(daemon, passes_while_down):
    lab = daemon.lab
    with connections(lab, 30) as some:
        drain(daemon, "--timeout", "6s", "--then", "reset")
        began = time.monotonic()
        lab.stop(daemon.process, sig=signal.SIGKILL)
        if passes_while_down:
            wait_for(lambda: time.monotonic() > began + 6.1, 15, "the deadline")
        assert some.ask() == some.reals
        again = lab.start_daemon(daemon.config.read_text(), state_dir=daemon.state_dir)
        if not passes_while_down:
            assert real1(again)["state"] == "draining"
            assert some.ask() == some.reals
            wait_logged(again, "drain timed out")
            assert time.monotonic() > began + 5.9
        again.wait_states({lab.reals4[0]: "drained"})
        are_reset(some.of("real1"))
        assert again.ctl_json("stats", "show")["reply_flow_reset"] == len(some.of("real1"))


@contextlib.contextmanager
def half_open(lab, n):
    """So many connections whose SYN was the last that passed; on leaving, the reals' answers pass."""
    lab.run(lab.client, "nft add table inet deaf && nft add chain inet deaf in "
            "'{ type filter hook input priority 0; }' && nft add rule inet deaf in tcp sport 80 drop")
    some = []
    with lab.inside(lab.client):
        for _ in range(n):
            some.append(socket.socket())
            some[-1].settimeout(0)
            some[-1].connect_ex((VIP4, 80))
    # A repeated SYN would begin anew, at another real.
    lab.run(lab.client, "nft add table inet mute && nft add chain inet mute out "
            "'{ type filter hook output priority 0; }' && "
            "nft add rule inet mute out 'tcp dport 80 tcp flags & (syn | ack) == syn drop'")
    yield some
    lab.run(lab.client, "nft delete table inet deaf")


def test_a_connection_that_was_about_to_begin_is_not_torn_by_the_end_of_a_drain(daemon):
    lab = daemon.lab
    daemon.write_config(config(vip(lab.reals4[:2])))
    daemon.ctl_json("reload")
    with half_open(lab, 30) as some:
        drain(daemon, "--disable")
        # Passes over the flow table in which no flow is established.
        for _ in range(3):
            assert daemon.ctl_json("flow", "count")["flows"] == 0
            assert real1(daemon)["state"] == "draining"
        assert real1(daemon)["drain"]["waits_for"] == "handshakes"
        assert re.search(r" drain by operator, \S+; handshakes under way\n",
                         daemon.ctl("real", "list")[1])
        waiting = wait_for_drain(daemon, "--disable")
        assert waiting.stderr.readline() == \
            f"web {lab.reals4[0]}: 0 of 0 flows left, handshakes under way\n"
    served = []
    for connection in some:
        connection.settimeout(10)
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        served.append(b"".join(iter(lambda c=connection: c.recv(4096), b"")).decode().split()[-1])
        connection.close()
    assert len(served) == 30 and set(served) == {"real1", "real2"}
    daemon.wait_states({lab.reals4[0]: "disabled"}, 30)
    assert waiting.wait(15) == 0


# ---- waiting ----


def wait_for_drain(daemon, *options, stderr=subprocess.PIPE, env=None):
    return subprocess.Popen([BUILD / "xdplbctl", "--socket", daemon.socket, "real", "drain", "web",
                             daemon.lab.reals4[0], "--wait", *options], text=True,
                            stdout=subprocess.PIPE, stderr=stderr, env={**os.environ, **(env or {})})


def test_who_waits_sees_the_flows_fall_line_by_line(daemon):
    lab = daemon.lab
    with connections(lab, 40) as some:
        mine = some.of("real1")
        wait_for(lambda: real1(daemon)["active_flows"] == len(mine), 15, "flows are counted")
        waiting = wait_for_drain(daemon)
        lines = [waiting.stderr.readline()]
        for left in range(len(mine) - 1, -1, -1):
            mine[left].close()
            if left in (len(mine) // 2, 0):
                # Only what is counted is said.
                lines.append(waiting.stderr.readline())
                while f": {left} of " not in lines[-1]:
                    lines.append(waiting.stderr.readline())
    assert waiting.wait(30) == 0
    assert waiting.stdout.read() == f"vip web, address {lab.reals4[0]}, state drained\n"
    text = re.compile(rf"web {lab.reals4[0]}: (\d+) of {len(mine)} flows left\n")
    counts = [int(text.fullmatch(line)[1]) for line in lines + waiting.stderr.readlines()]
    assert counts[0] == len(mine) and counts[-1] == 0
    assert counts == sorted(counts, reverse=True) and len(set(counts)) == len(counts)


def test_who_waits_is_told_what_was_counted_since_the_drain_began(daemon):
    lab = daemon.lab
    daemon.ctl_json("flow", "count")
    with connections(lab, 20) as some:
        # At once: the last pass may have been before these.
        waiting = wait_for_drain(daemon)
        n = len(some.of("real1"))
        assert waiting.stderr.readline() == f"web {lab.reals4[0]}: {n} of {n} flows left\n"
    assert waiting.wait(30) == 0


@pytest.mark.parametrize("env", [{}, {"NO_COLOR": "1"}])
def test_on_a_terminal_a_bar_is_drawn(daemon, env):
    lab = daemon.lab
    ours, theirs = pty.openpty()
    with connections(lab, 20) as some:
        mine = some.of("real1")
        wait_for(lambda: real1(daemon)["active_flows"] == len(mine), 15, "flows are counted")
        waiting = wait_for_drain(daemon, "--timeout", "1h", "--then", "move", stderr=theirs, env=env)
        drawn = os.read(ours, 4096).decode()
        for connection in mine:
            connection.close()
    assert waiting.wait(30) == 0
    os.close(theirs)
    with contextlib.suppress(OSError):  # at the end; a terminal hands out 4 kB at a time
        while more := os.read(ours, 65536):
            drawn += more.decode()
    os.close(ours)
    assert f"{len(mine)} of {len(mine)} flows left, move in " in drawn
    assert f"0 of {len(mine)} flows left" in drawn
    assert re.search(r"\[\S*#{30}", drawn) and re.search(r"\[\S*\.{30}", drawn)
    assert ("\033[33m" in drawn) == (not env)
    assert drawn.count("\n") == 1


def test_who_waits_is_told_that_flows_stay_or_the_drain_was_ended(daemon):
    lab = daemon.lab
    with connections(lab, 20) as some:
        waiting = wait_for_drain(daemon, "--timeout", "1s")
        assert waiting.wait(10) == 1
        assert f"{len(some.of('real1'))} flows are left" in waiting.stderr.read()
        waiting = wait_for_drain(daemon)
        waiting.stderr.readline()
        ok(daemon, "real", "undrain", "web", lab.reals4[0])
        assert waiting.wait(10) == 1
        assert "the drain was ended: the real is up" in waiting.stderr.read()


# ---- reals that die ----


def die(lab, daemon, host="real1"):
    """A host that is gone: it answers nothing any more."""
    lab.run(host, "nft add table inet dead && nft add chain inet dead in "
                  "'{ type filter hook input priority 0; policy drop; }'")
    daemon.wait_states({lab.reals4[lab.reals.index(host)]: "down"}, vip="web")


@pytest.mark.parametrize("on_down", ["reroute", "reset"])
def test_a_client_of_a_dead_real_hears_at_once_that_its_connection_is_over(serving_lab, on_down):
    lab = serving_lab
    daemon = start(lab, config(vip(lab.reals4, on_down=on_down), health=NERVOUS))
    with connections(lab, 30) as some:
        die(lab, daemon)
        took = []
        for connection in some.of("real1"):
            began = time.monotonic()
            are_reset([connection])
            took.append(time.monotonic() - began)
        # Not by a retransmission, which is 200 ms later; most of them, on a busy machine.
        assert sorted(took)[len(took) // 2] < 0.15, took
        stats = daemon.ctl_json("stats", "show")
        assert (stats["reply_flow_reset"] > 0) == (on_down == "reset")
        assert (stats["flow_moved"] > 0) == (on_down == "reroute")
        assert answers(lab) == {"real2", "real3"}


@pytest.mark.parametrize("on_down, heard", [("reroute", TimeoutError),
                                            ("reset", ConnectionResetError)])
def test_where_no_other_real_could_tell_only_reset_does(serving_lab, on_down, heard):
    lab = serving_lab
    daemon = start(lab, config(vip(lab.reals4[:1], on_down=on_down), health=NERVOUS))
    connection = Connection(lab)
    assert connection.ask() == "real1"
    die(lab, daemon)
    connection.socket.settimeout(2)
    with pytest.raises(heard):
        connection.ask()
    connection.close()


def test_a_udp_flow_leaves_a_dead_real_at_once(serving_lab):
    lab = serving_lab
    for host in lab.reals:
        lab.stop_receiver(host)
        lab.start_receiver(host, (VIP4, UDP4))
        start_server(lab, host, "udp-echo", 5353)
    daemon = start(lab, config(vip(lab.reals4), vip(lab.reals4, "echo", UDP4, 5353, "udp"),
                               health=NERVOUS))
    clients = [UdpClient(lab, UDP4) for _ in range(60)]
    before = [client.ask()[0] for client in clients]
    assert set(before) == set(lab.reals)
    die(lab, daemon)
    daemon.wait_states({lab.reals4[0]: "down"}, vip="echo")
    after = [client.ask() for client in clients]
    assert {real for real, _ in after} == {"real2", "real3"}
    assert {client for _, client in after} == {CLIENT4}
    assert [b for b in before if b != "real1"] == \
        [a for b, (a, _) in zip(before, after) if b != "real1"]
    for client in clients:
        client.close()


def test_a_repeated_syn_to_a_real_that_went_down_finds_another(serving_lab):
    lab = serving_lab
    for host in lab.reals:
        start_server(lab, host, "silent", 8080)
    daemon = start(lab, config(vip(lab.reals4), health={**NERVOUS, "port": 8080}))
    # It takes the probe and drops what users send.
    lab.run("real1", "nft add table inet deaf && nft add chain inet deaf in "
            "'{ type filter hook input priority 0; }' && "
            "nft add rule inet deaf in tcp dport 80 drop")
    answered = []

    def connect():
        connection = Connection(lab, timeout=20)
        answered.append(connection.ask())
        connection.close()
    threads = [threading.Thread(target=connect) for _ in range(60)]  # all of three reals get some
    for thread in threads:
        thread.start()
    # Whoever is still there after the second SYN has a real that drops them.
    wait_for(lambda: real1(daemon)["packets"] > 2 * real1(daemon)["new_flows"] > 0, 15,
             "SYNs are repeated")
    waiting = sum(thread.is_alive() for thread in threads)
    assert waiting > 0
    die(lab, daemon)
    for thread in threads:
        thread.join()
    assert len(answered) == 60 and set(answered) == {"real2", "real3"}


# ---- reals that do not answer their clients ----


EJECTION = {"enabled": True, "interval": "2s", "min_flows": 5, "time": "5s", "max_time": "10s",
            "trial": "30%"}
# The real's own address: what it takes from users has the VIP's.
PROBED = {"type": "http", "port": 80, "path": "/healthz", "interval": "200ms", "timeout": "3s",
          "fall": 5}


def deafen(lab, host):
    """Takes the probe and drops users' SYNs."""
    lab.run(host, f"nft add table inet deaf && nft add chain inet deaf in "
                  f"'{{ type filter hook input priority 0; }}' && "
                  f"nft add rule inet deaf in ip daddr {VIP4} tcp flags syn drop")


def cure(lab, host):
    lab.run(host, "nft delete table inet deaf")


class Clients:
    """Clients that connect all the time, each for at most 4 s."""

    def __init__(self, lab, n=12):
        self.lab, self.ended = lab, threading.Event()
        self.threads = [threading.Thread(target=self._connect) for _ in range(n)]
        for thread in self.threads:
            thread.start()

    def _connect(self):
        while not self.ended.wait(0.05):
            try:
                connection = Connection(self.lab, timeout=4)
                connection.ask()
                connection.close()
            except OSError:
                pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.ended.set()
        for thread in self.threads:
            thread.join()


def circuit(daemon, n=0):
    return daemon.reals("web")[daemon.lab.reals4[n]]["circuit"]["state"]


@pytest.mark.limit_s(120)
def test_a_real_that_drops_its_users_is_ejected_tried_and_taken_back(serving_lab):
    lab = serving_lab
    daemon = start(lab, config(vip(lab.reals4, ejection=EJECTION), health=PROBED))
    with connections(lab, 20) as some, Clients(lab):
        deafen(lab, "real1")
        wait_for(lambda: circuit(daemon) == "open", 20, "real1 is ejected")
        row = real1(daemon)
        assert row["state"] == "ejected" and row["effective_weight"] == 0
        assert row["repeated_syns"] > 0 and row["circuit"]["repeated_share"] >= 0.2
        assert row["circuit"]["ejections"] == 1
        assert "of its SYNs repeated" in daemon.ctl("real", "list")[1]
        # What is established stays; what is new succeeds.
        assert some.ask() == some.reals
        assert answers(lab) == {"real2", "real3"}
        assert [circuit(daemon, n) for n in (1, 2)] == ["closed", "closed"]
        # On trial it fails, and is ejected for longer.
        wait_for(lambda: circuit(daemon) == "half-open", 20, "real1 is tried")
        assert 0 < real1(daemon)["effective_weight"] < 100
        wait_for(lambda: real1(daemon)["circuit"]["ejections"] == 2, 20, "real1 is ejected again")
        assert real1(daemon)["circuit"]["left_ms"] > 5000
        cure(lab, "real1")
        wait_for(lambda: circuit(daemon) == "closed", 40, "real1 has proven itself")
        assert some.ask() == some.reals
    daemon.settle()
    assert answers(lab) == set(lab.reals)
    assert real1(daemon)["effective_weight"] == 100
    events = daemon.log_text()
    for state in ("open", "half-open", "closed"):
        assert f"real circuit {state} vip=web real={lab.reals4[0]}" in events


def test_no_more_reals_are_ejected_than_allowed_and_none_where_it_is_off(serving_lab):
    lab = serving_lab
    daemon = start(lab, config(vip(lab.reals4, ejection=EJECTION), vip(lab.reals4, "off", port=81),
                               health={**PROBED, "port": 80}))
    for host in ("real1", "real2"):
        deafen(lab, host)
    with Clients(lab, 24):
        wait_for(lambda: "open" in [circuit(daemon, n) for n in range(3)], 20, "one is ejected")
        states = [circuit(daemon, n) for n in range(3)]
        assert sorted(states) == ["closed", "closed", "open"] and states[2] == "closed"
    assert {row["circuit"]["state"] for row in daemon.reals("off").values()} == {"closed"}
    # Switched off, the ejected one is back.
    daemon.write_config(config(vip(lab.reals4), health=PROBED))
    daemon.ctl_json("reload")
    assert {row["state"] for row in daemon.reals("web").values()} == {"up"}


def test_an_ejected_real_serves_where_nobody_else_does_and_is_not_switched_to(serving_lab):
    lab = serving_lab
    uses = [{"name": "blue"}, {"name": "green"}]
    daemon = start(lab, config(
        vip(None, pools=uses, ejection={**EJECTION, "time": "10m", "max_time": "10m"}),
        pools={"blue": lab.reals4[:1], "green": lab.reals4[1:]}, health=PROBED))
    with Clients(lab):
        deafen(lab, "real1")
        wait_for(lambda: circuit(daemon) == "open", 20, "real1 is ejected")
    cure(lab, "real1")
    rc, _, err = daemon.ctl("vip", "set", "web", "pool=blue")
    assert rc == 1 and f"({lab.reals4[0]}: ejected)" in err
    assert answers(lab) == {"real2", "real3"}
    # Weightless reals are up, and no reason to leave the only one ejected.
    ok(daemon, "vip", "set", "web", "pools=blue,green:0", "--force")
    assert answers(lab) == {"real1"}
    wait_for(lambda: circuit(daemon) == "closed", 15, "real1 is taken back")
    assert answers(lab) == {"real1"}
