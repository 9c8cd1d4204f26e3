# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A VIP's address, a port nobody serves: what a real client sees (defaults.on_no_port)."""

import errno
import os
import socket
import time

import pytest

from conftest import new_name
from lab import VIP4, VIP6, Lab, wait_for
from traffic import config, vip

PORT = 4444
VIPS = [VIP4, VIP6]


@pytest.fixture(scope="module")
def shared():
    lab = Lab(new_name(), reals=1)
    lab.start_reals()
    yield lab
    lab.down()


@pytest.fixture(scope="module")
def daemon(shared):
    return shared.start_daemon(text("reply"))


@pytest.fixture
def on_no_port(shared, daemon):
    """A function that puts a value of on_no_port in force."""
    def put(value):
        daemon.write_config(text(value).replace("{bpffs}", str(shared.bpffs / "xdplb")))
        rc, _, said = daemon.ctl("reload")
        assert rc == 0, said
    return put


def text(on_no_port):
    return config(vip(["10.1.0.1"], on_no_port=on_no_port, health={"type": "none"}),
                  vip(["10.1.0.1"], name="web6", address=VIP6, on_no_port=on_no_port,
                      health={"type": "none"}))


def client_socket(lab, address, kind):
    with lab.inside(lab.client):
        made = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
    made.settimeout(10)
    return made


def connect(lab, address, timeout=10):
    """The error of a TCP connection to the port (0: it came about) and the time it took."""
    with client_socket(lab, address, socket.SOCK_STREAM) as tcp:
        tcp.settimeout(timeout)
        start = time.monotonic()
        try:
            tcp.connect((address, PORT))
            result = 0
        except TimeoutError:
            result = errno.ETIMEDOUT
        except OSError as error:
            result = error.errno
        return result, time.monotonic() - start


def ask(lab, address, timeout=10):
    """The error of a datagram and waiting for its answer, or the answer."""
    with client_socket(lab, address, socket.SOCK_DGRAM) as udp:
        udp.settimeout(timeout)
        udp.connect((address, PORT))
        udp.send(b"hello")
        try:
            return udp.recv(100)
        except TimeoutError:
            return errno.ETIMEDOUT
        except OSError as error:
            return error.errno


def counted(daemon, name):
    return daemon.ctl_json("stats", "show")[name]


@pytest.mark.parametrize("address", VIPS)
def test_reply_refuses_a_tcp_connection_at_once(shared, daemon, on_no_port, address):
    on_no_port("reply")
    quickest = None
    for _ in range(5):  # a busy machine may be slow once or twice
        before = counted(daemon, "reply_reset")
        result, took = connect(shared, address)
        assert result == errno.ECONNREFUSED
        assert counted(daemon, "reply_reset") == before + 1
        quickest = min(took, quickest or took)
        if quickest < 0.9:
            return
    raise AssertionError(f"{quickest} s: not the first SYN was answered but a retransmission")


@pytest.mark.parametrize("address", VIPS)
def test_reply_refuses_a_datagram_at_once(shared, daemon, on_no_port, address):
    on_no_port("reply")
    before = counted(daemon, "reply_unreachable")
    assert ask(shared, address) == errno.ECONNREFUSED
    assert counted(daemon, "reply_unreachable") == before + 1


def test_curl_cannot_connect_instead_of_timing_out(shared, on_no_port):
    on_no_port("reply")
    done = shared.run(shared.client, ["curl", "-sS", "-m3", f"http://{VIP4}:{PORT}/"], check=False)
    assert done.returncode == 7, f"7: could not connect, 28: timed out: {done.stderr}"


def test_a_traceroute_like_datagram_with_a_zero_checksum_is_refused_too(shared, on_no_port):
    """The quote in the ICMP message must be one that the client's stack takes for its own."""
    on_no_port("reply")
    with client_socket(shared, VIP4, socket.SOCK_DGRAM) as udp:
        udp.setsockopt(socket.SOL_SOCKET, SO_NO_CHECK, 1)
        udp.connect((VIP4, PORT))
        udp.send(b"")
        with pytest.raises(ConnectionRefusedError):
            udp.recv(1)


SO_NO_CHECK = 11


@pytest.mark.parametrize("address", VIPS)
def test_drop_stays_silent_and_is_counted(shared, daemon, on_no_port, address):
    on_no_port("drop")
    before = counted(daemon, "drop_no_port")
    assert connect(shared, address, timeout=0.3)[0] == errno.ETIMEDOUT
    assert ask(shared, address, timeout=0.3) == errno.ETIMEDOUT
    assert counted(daemon, "drop_no_port") == before + 2


@pytest.mark.parametrize("address", VIPS)
def test_pass_reaches_the_balancers_own_stack(shared, daemon, on_no_port, address):
    on_no_port("pass")
    shared.run(shared.balancer, ["ip", "address", "add", address, "dev", "lo"] +
               (["nodad"] if ":" in address else []))
    with shared.inside(shared.balancer):
        server = socket.create_server((address, PORT),
                                      family=socket.AF_INET6 if ":" in address else socket.AF_INET)
    try:
        before = counted(daemon, "pass_no_port")
        assert connect(shared, address)[0] == 0
        # The stack answers itself where nobody listens.
        assert ask(shared, address) == errno.ECONNREFUSED
        # SYN, ACK, FIN and their like, and the datagram.
        assert counted(daemon, "pass_no_port") >= before + 3
    finally:
        server.close()
        shared.run(shared.balancer, ["ip", "address", "del", address, "dev", "lo"])


@pytest.mark.parametrize("value", ["reply", "drop", "pass"])
def test_the_served_port_is_served_whatever_the_others_get(shared, on_no_port, value):
    on_no_port(value)
    wait_for(lambda: shared.curl(f"http://{VIP4}/", timeout=0.3) == "real1", 15, "IPv4 serves")
    wait_for(lambda: shared.curl(f"http://[{VIP6}]/", timeout=0.3) == "real1", 15, "IPv6 serves")


def test_replies_are_limited_in_rate_and_what_is_over_is_counted(shared, daemon, on_no_port):
    on_no_port("reply")
    before = daemon.ctl_json("stats", "show")
    start = time.monotonic()

    def gain(name):
        return counted(daemon, name) - before[name]

    def flooded():
        for _ in range(1000):
            udp.sendto(b"", (VIP4, PORT))
        return gain("drop_reply_limit") >= 1000
    with client_socket(shared, VIP4, socket.SOCK_DGRAM) as udp:
        wait_for(flooded, 15, "replies are refused")
    # Each CPU has a burst of 1,000 and 1,000 a second.
    allowed = os.cpu_count() * 1000 * (1 + time.monotonic() - start)
    assert 0 < gain("reply_unreachable") <= allowed
    # The bucket fills again.
    wait_for(lambda: ask(shared, VIP4, timeout=0.3) == errno.ECONNREFUSED, 15, "replies go on")
