# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Idle flows end after the timeout of their state, and no sooner."""

import contextlib
import socket
import time

import pytest

from lab import VIP4, wait_for
from traffic import (Connection, UdpClient, config, connections, start, start_server, vip,
                     weighted)

TIMEOUTS = {"tcp": "3s", "tcp_closing": "1s", "tcp_unproven": "1s", "udp": "2s"}
HOUR = {"tcp": "1h", "tcp_closing": "1h", "tcp_unproven": "1h", "udp": "1h"}
# A tick is at most 1/16 of a timeout or so; the rest is the time until a busy machine looks.
EARLY, LATE = 0.9, 3


def only(**timeouts):
    """One short timeout among long ones: who is gone, is gone for that."""
    return {**HOUR, **timeouts}


@pytest.fixture(scope="module")
def reals(make_shared_lab):
    lab = make_shared_lab(reals=2)
    lab.start_reals()
    for host in lab.reals:
        start_server(lab, host, "udp-echo", 5353)
    return lab


@pytest.fixture
def begin(reals):
    """A function that starts a daemon with an empty flow table on (timeouts, weights=...)."""
    daemons = []

    def begin_on(*args):
        daemons.append(start(reals, both(reals, *args)))
        return daemons[-1]
    yield begin_on
    for daemon in daemons:
        assert daemon.ctl("detach")[0] == 0
        daemon.process.wait(10)


def both(lab, timeouts, weights=(1, 1)):
    return config(vip(weighted(lab.reals4, *weights)),
                  vip(weighted(lab.reals4, *weights), "echo", VIP4, 5353, "udp",
                      health={"port": 80}), timeouts=timeouts)


def count(daemon):
    """(live, unproven, closing) flows."""
    row = daemon.ctl_json("flow", "count")
    return row["flows"], row["unproven"], row["closing"]


def is_counted(daemon, flows, deadline=10):
    wait_for(lambda: count(daemon) == flows, deadline, f"{flows} flows, now {count(daemon)}")


# ---- each state ----


@contextlib.contextmanager
def established(lab):
    connection = Connection(lab)
    connection.ask()
    yield connection.ask
    connection.close()


@contextlib.contextmanager
def closing(lab):
    # The client closed its half; nginx its own a moment later.
    connection = Connection(lab)
    connection.ask()
    connection.close()
    yield None


@contextlib.contextmanager
def reset(lab):
    connection = Connection(lab)
    connection.ask()
    connection.reset()
    yield None


@contextlib.contextmanager
def syn(lab):
    # The reals' answers are lost, and the client's kernel tries again only after a second.
    lab.run(lab.client, "nft add table inet lost; nft 'add chain inet lost in "
            "{ type filter hook input priority 0; policy drop; }'")
    with lab.inside(lab.client):
        s = socket.socket()
    try:
        s.setblocking(False)
        s.connect_ex((VIP4, 80))
        # One SYN and no other: what would be sent again finds no way.
        lab.run(lab.client, "nft 'add chain inet lost out "
                "{ type filter hook output priority 0; policy drop; }'")
        yield None
    finally:
        s.close()
        lab.run(lab.client, "nft delete table inet lost")


@contextlib.contextmanager
def udp(lab):
    client = UdpClient(lab)
    for _ in range(3):
        client.ask()
    yield client.ask
    client.close()


@contextlib.contextmanager
def one_datagram(lab):
    client = UdpClient(lab)
    client.ask()
    yield None
    client.close()


@pytest.mark.parametrize("flow, key, seconds, counted", [
    (established, "tcp", 3, (1, 0, 0)),
    (closing, "tcp_closing", 2, (0, 0, 1)),
    (reset, "tcp_closing", 2, (0, 0, 1)),
    (syn, "tcp_unproven", 2, (0, 1, 0)),
    (udp, "udp", 2, (1, 0, 0)),
    (one_datagram, "udp", 2, (0, 1, 0))])
def test_an_idle_flow_ends_after_the_timeout_of_its_state(reals, begin, flow, key, seconds, counted):
    lab = reals
    daemon = begin(only(**{key: f"{seconds}s"}))
    with flow(lab) as keep_alive:
        began = time.monotonic()
        is_counted(daemon, counted)
        # A flow that is used stays far beyond its timeout.
        end = began + 1.5 * seconds
        while keep_alive and time.monotonic() < end:
            began = time.monotonic()
            keep_alive()
            assert count(daemon) == counted
            time.sleep(seconds / 10)
        used = time.monotonic()
        while (seen := count(daemon)) != (0, 0, 0):
            assert seen == counted
            assert time.monotonic() < used + seconds + LATE, "the flow does not end"
            time.sleep(0.05)
        assert time.monotonic() > began + EARLY * seconds, "the flow ended early"


@pytest.mark.parametrize("flow, counted", [
    (established, (1, 0, 0)), (closing, (0, 0, 1)), (syn, (0, 1, 0)), (udp, (1, 0, 0))])
def test_a_flow_does_not_end_by_the_timeout_of_another_state(reals, begin, flow, counted):
    lab = reals
    keys = {established: "tcp", closing: "tcp_closing", syn: "tcp_unproven", udp: "udp"}
    others = {key: "1s" for key in HOUR if key != keys[flow]}
    daemon = begin(only(**others))
    with flow(lab):
        began = time.monotonic()
        is_counted(daemon, counted)
        while time.monotonic() < began + 2.5:
            assert count(daemon) == counted
            time.sleep(0.1)


def test_a_connection_from_a_port_that_was_used_before_is_picked_anew(reals, begin):
    lab = reals
    # Everybody goes to the first real, then the ring has only the second one.
    daemon = begin(HOUR, (1, 0))
    first = Connection(lab, source_port=33333)
    assert first.ask() == "real1"
    first.reset()
    is_counted(daemon, (0, 0, 1))
    daemon.write_config(both(lab, HOUR, (0, 1)))
    daemon.ctl_json("reload")
    second = Connection(lab, source_port=33333)
    assert second.ask() == "real2"
    second.close()


# ---- changed by a reload ----


def test_new_timeouts_neither_move_nor_end_live_flows(reals, begin):
    lab = reals
    daemon = begin(HOUR)
    clients = [UdpClient(lab) for _ in range(20)]
    for _ in range(2):
        first = [client.ask()[0] for client in clients]
    with connections(lab, 20) as some:
        n = len(some.all) + len(clients)
        is_counted(daemon, (n, 0, 0))
        # The ring changes as well, so that a forgotten flow would go elsewhere.
        for i, timeouts in enumerate(({"tcp": "20s", "udp": "20s"}, {"tcp": "10m", "udp": "5s"},
                                      HOUR, {"tcp": "7s", "udp": "7s"}, HOUR)):
            daemon.write_config(both(lab, {**TIMEOUTS, **timeouts}, (i % 2, 1 - i % 2)))
            daemon.ctl_json("reload")
            assert count(daemon) == (n, 0, 0)
            assert some.ask() == some.reals
            assert [client.ask()[0] for client in clients] == first
        assert daemon.ctl_json("stats", "show")["flow_moved"] == 0
    for client in clients:
        client.close()


def test_a_shorter_timeout_holds_for_flows_that_are_there_already(reals, begin):
    lab = reals
    daemon = begin(HOUR)
    with established(lab), udp(lab):
        is_counted(daemon, (2, 0, 0))
        daemon.write_config(both(lab, only(udp="2s")))
        daemon.ctl_json("reload")
        is_counted(daemon, (1, 0, 0), 2 + LATE)
        daemon.write_config(both(lab, only(tcp="2s")))
        daemon.ctl_json("reload")
        is_counted(daemon, (0, 0, 0), 2 + LATE)
