# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Reals that fail in every way: how soon they are out, what that costs, and that they come back."""

import os
import signal
import socket
import threading
import time

import pytest

from lab import VIP4, VIP6, wait_for
from traffic import (Connection, UdpClient, answers, config, connections, start, start_server, vip)

INTERVAL, TIMEOUT, FALL, RISE = 0.2, 0.5, 3, 2
PROBE = {"type": "http", "path": "/healthz", "interval": "200ms", "timeout": "500ms",
         "fall": FALL, "rise": RISE}
SLACK = 3  # a busy machine, and the time until somebody looks


def out_within(probe_takes):
    """By when a real is down whose probes take that long to fail."""
    return FALL * max(INTERVAL, probe_takes) + TIMEOUT + SLACK


class Requests:
    """One request after the other, each on a new connection, until the end of the block."""

    def __init__(self, lab):
        self.lab = lab
        self.done = []  # (when it began and ended, the real that answered or None)
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(2)]

    def _run(self):
        while not self._ended.is_set():
            began = time.monotonic()
            try:
                connection = Connection(self.lab)
                real = connection.ask()
                connection.close()
            except OSError:
                real = None
            self.done.append((began, time.monotonic(), real))

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def wait_for_more(self, n):
        """Waits until n more requests have begun and ended."""
        now = time.monotonic()
        wait_for(lambda: sum(began >= now for began, _, _ in self.done) >= n, 20, f"{n} requests")


# ---- out and back ----


def test_a_real_killed_under_load_costs_requests_only_until_it_is_out(serving_lab):
    lab = serving_lab
    daemon = start(lab, config(vip(lab.reals4), health=PROBE))
    with Requests(lab) as requests:
        requests.wait_for_more(60)
        killed = time.monotonic()
        lab.stop_nginx("real1", signal.SIGKILL)
        daemon.wait_states({lab.reals4[0]: "down"}, out_within(0))
        out = time.monotonic()
        requests.wait_for_more(100)
        mended = time.monotonic()
        lab.start_nginx("real1")
        daemon.wait_states({lab.reals4[0]: "up"}, RISE * INTERVAL + TIMEOUT + SLACK)
        back = time.monotonic()
        requests.wait_for_more(100)
    failed = [(began, ended) for began, ended, real in requests.done if real is None]
    assert failed, "nothing was lost: was there any load?"
    assert all(ended > killed and began < out for began, ended in failed)
    assert {real for began, ended, real in requests.done
            if began > out and ended < mended} == {"real2", "real3"}
    assert {real for began, _, real in requests.done if began > back} == set(lab.reals)
    assert "reason=\"connect: Connection refused\"" in daemon.log_text()


def kill(lab):
    lab.stop_nginx("real1", signal.SIGKILL)


def freeze(lab):
    os.killpg(lab.nginx("real1").pid, signal.SIGSTOP)


def thaw(lab):
    os.killpg(lab.nginx("real1").pid, signal.SIGCONT)


def blackhole(lab):
    lab.run("real1", "nft add table inet lost; "
            "nft 'add chain inet lost in { type filter hook input priority 0; policy drop; }'")


def unblackhole(lab):
    lab.run("real1", "nft delete table inet lost")


@pytest.mark.parametrize("fail, mend, probe_takes, reason", [
    (kill, lambda lab: lab.start_nginx("real1"), 0, "connect: Connection refused"),
    (freeze, thaw, TIMEOUT, "http_timeout"),
    (blackhole, unblackhole, TIMEOUT, "connect_timeout")])
def test_a_real_that_fails_is_out_and_its_flows_move_at_once(make_lab, fail, mend, probe_takes,
                                                             reason):
    lab = make_lab()
    lab.start_reals((VIP4, VIP6, "192.0.2.53"))
    for host in lab.reals:
        start_server(lab, host, "udp-echo", 5353)
    daemon = start(lab, config(
        vip(lab.reals4), vip(lab.reals4, "echo", "192.0.2.53", 5353, "udp",
                             health={"port": 80}), health=PROBE))
    clients = [UdpClient(lab, "192.0.2.53") for _ in range(60)]
    for _ in range(2):  # the second datagram proves the flow
        first = [client.ask()[0] for client in clients]
    assert set(first) == set(lab.reals)
    with connections(lab, 30) as some:
        fail(lab)
        daemon.wait_states({lab.reals4[0]: "down"}, out_within(probe_takes), vip="web")
        daemon.wait_states({lab.reals4[0]: "down"}, out_within(probe_takes), vip="echo")
        assert {row["reason"] for row in daemon.ctl_json("real", "list")
                if row["address"] == lab.reals4[0]} == {reason}
        assert answers(lab) == {"real2", "real3"}
        # Datagrams go to a real that lives, and stay with it; who was elsewhere does not move.
        second = [client.ask()[0] for client in clients]
        assert "real1" not in second
        assert [b for a, b in zip(first, second) if a != "real1"] == \
            [a for a in first if a != "real1"]
        # A connection is reset by the real it goes to now (if not by its own when that was killed):
        # it learns at once what it would else learn from a timeout.
        for connection in some.of("real1"):
            with pytest.raises(ConnectionError):
                connection.ask()
        for host in ("real2", "real3"):
            assert {connection.ask() for connection in some.of(host)} == {host}
        assert daemon.ctl_json("stats", "show")["flow_moved"] >= first.count("real1")

        mend(lab)
        daemon.wait_states({lab.reals4[0]: "up"}, vip="web")
        daemon.wait_states({lab.reals4[0]: "up"}, vip="echo")
        assert [client.ask()[0] for client in clients] == second
        assert answers(lab) == set(lab.reals)


# ---- probes ----


@pytest.mark.parametrize("kind, reason", [
    ("garbage", "bad_reply"), ("drip", "http_timeout"), ("silent", "http_timeout")])
def test_a_real_that_answers_its_probes_badly_is_down_and_nobody_waits_for_it(make_lab, kind,
                                                                              reason):
    lab = make_lab(reals=2)
    lab.start_nginx("real1")
    start_server(lab, "real1", kind, 8080)
    start_server(lab, "real2", kind, 8080)
    slow = {**PROBE, "port": 8080, "timeout": "800ms"}
    daemon = lab.start_daemon(config(
        vip(lab.reals4, health=slow), vip(lab.reals6, "web6", VIP6, health=slow),
        vip(lab.reals4[:1], "good", VIP4, 81, health={"port": 80}), health=PROBE))
    daemon.wait_states({lab.reals4[0]: "up"}, vip="good")
    # The API answers all the while.
    took = []
    for _ in range(60):
        began = time.monotonic()
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(5)
            s.connect(str(daemon.socket))
            s.sendall(b"GET /v1/health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert s.recv(4096).startswith(b"HTTP/1.1 200")
        took.append(time.monotonic() - began)
        time.sleep(0.02)
    # The scheduler of a busy machine may have kept some waiting; who waits for a probe always does.
    assert sorted(took)[len(took) * 3 // 4] < 0.2, sorted(took)
    for name, reals in (("web", lab.reals4), ("web6", lab.reals6)):
        daemon.wait_states({real: "down" for real in reals}, vip=name)
        for row in daemon.ctl_json("health", "list", name):
            assert (row["last_result"], row["last_ok"]) == (reason, False)
    assert daemon.reals("good")[lab.reals4[0]]["state"] == "up"


@pytest.mark.parametrize("probe, state, reason", [
    ({"type": "tcp", "port": 80}, "up", "connected"),
    ({"type": "tcp", "port": 81}, "down", "connect: Connection refused"),
    ({"type": "tcp", "port": 8080}, "up", "connected"),
    ({"type": "http", "port": 80, "path": "/files/none"}, "down", "status 404"),
    ({"type": "http", "port": 80, "path": "/files/none", "expect": [200, 404]}, "up",
     "status 404"),
    ({"type": "http", "port": 80, "path": "/", "body": "real1"}, "up", "status 200"),
    ({"type": "http", "port": 80, "path": "/", "body": "real2"}, "down", "body_mismatch")])
def test_a_probe_decides_by_what_it_was_told_to_expect(bare_real, probe, state, reason):
    lab = bare_real
    daemon = lab.start_daemon(config(vip(lab.reals4), health=probe))
    daemon.wait_states({lab.reals4[0]: state})
    assert daemon.reals()[lab.reals4[0]]["reason"] == reason
    daemon.ctl("detach")
    daemon.process.wait(10)


@pytest.fixture(scope="module")
def bare_real(make_shared_lab):
    """One real: nginx on port 80, a server that says nothing on port 8080."""
    lab = make_shared_lab(reals=1)
    lab.start_nginx("real1")
    start_server(lab, "real1", "silent", 8080)
    return lab


def test_a_real_without_probes_is_up_whatever_it_does(lab):
    daemon = lab.start_daemon(config(vip(lab.reals4), health={"type": "none"}))
    daemon.wait_states({real: "up" for real in lab.reals4})
    for row in daemon.ctl_json("health", "list"):
        assert (row["type"], row["probes"], row["state"]) == ("none", 0, "up")


def test_fall_and_rise_are_counted_in_probes(bare_real):
    lab = bare_real
    daemon = start(lab, config(vip(lab.reals4), health={**PROBE, "fall": 5, "rise": 4}))

    def row():
        return daemon.ctl_json("health", "list")[0]
    for do, count, needed, state in ((lab.stop_nginx, "failures", 5, "down"),
                                     (lab.start_nginx, "successes", 4, "up")):
        do("real1")
        seen = set()
        while (now := row())["state"] != state:
            seen.add(now[count])
            time.sleep(0.02)
        # Neither earlier nor later; more results may have come since.
        assert max(seen, default=0) < needed <= now[count], (seen, now)
    daemon.ctl("detach")
    daemon.process.wait(10)


# ---- nobody is left ----


def dropped(daemon):
    return daemon.ctl_json("stats", "show")["drop_no_real"]


def send(lab, address, n):
    """n datagrams to which nobody answers."""
    with lab.inside(lab.client), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        for _ in range(n):
            s.sendto(b"?", (address, 5353))


def test_packets_for_a_vip_whose_reals_are_all_down_are_counted_drops(serving_lab):
    lab = serving_lab
    daemon = start(lab, config(vip(lab.reals4), vip(lab.reals4, "echo", VIP4, 5353, "udp",
                                                    health={"port": 80}), health=PROBE))
    for host in lab.reals:
        lab.stop_nginx(host)
    for name in ("web", "echo"):
        daemon.wait_states({real: "down" for real in lab.reals4}, vip=name)
    for row in daemon.ctl_json("vip", "list"):
        assert (row["state"], row["reals_up"], row["reals"]) == ("down", 0, 3)
    before = dropped(daemon)
    send(lab, VIP4, 7)
    wait_for(lambda: dropped(daemon) == before + 7, 15, "seven drops are counted")
    assert lab.curl(f"http://{VIP4}/", timeout=1) is None
    assert dropped(daemon) > before + 7
    lab.start_nginx("real3")
    daemon.wait_states({lab.reals4[2]: "up"}, vip="web")
    assert answers(lab) == {"real3"}


def test_packets_for_a_vip_without_reals_are_counted_drops(lab):
    daemon = lab.start_daemon(config(vip([], "echo", VIP4, 5353, "udp")))
    [row] = daemon.ctl_json("vip", "list")
    assert (row["state"], row["reals_up"], row["reals"]) == ("down", 0, 0)
    send(lab, VIP4, 5)
    wait_for(lambda: dropped(daemon) == 5, 15, "five drops are counted")
