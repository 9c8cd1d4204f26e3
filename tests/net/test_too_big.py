# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Path-MTU discovery by the client: an MTU of 1500 everywhere, and nobody clamps the segments."""

import hashlib
import re
import socket

import pytest

from lab import VIP4, VIP6
from traffic import Connection, UdpClient, config, start, start_server, vip

MIXED4, MIXED6 = "192.0.2.46", "2001:db8::64"
VIPS = (VIP4, VIP6, MIXED4, MIXED6)
UPLOAD = 100_000_000
SINK, ECHO = 9000, 5353
OUTER = {VIP4: 20, VIP6: 40, MIXED4: 40, MIXED6: 20}
IDS = ["4-in-4", "6-in-6", "4-in-6", "6-in-4"]


def services(lab):
    """A VIP for each combination of families, for TCP and UDP."""
    reals = {VIP4: lab.reals4, VIP6: lab.reals6, MIXED4: lab.reals6, MIXED6: lab.reals4}
    for number, (address, members) in enumerate(reals.items()):
        yield vip(members, f"sink{number}", address, SINK)
        yield vip(members, f"echo{number}", address, ECHO, "udp")


@pytest.fixture(scope="module", params=["ipip", "gue"])
def lab(request, make_shared_lab):
    made = make_shared_lab(reals=2, mtu=1500)
    for host in made.reals:
        made.start_nginx(host)
        made.start_receiver(host, VIPS, "--no-advmss")
        start_server(made, host, "sink", SINK)
        start_server(made, host, "udp-echo", ECHO)
    made.daemon = start(made, config(*services(made), encap=request.param))
    made.header = {a: n + (8 if request.param == "gue" else 0) for a, n in OUTER.items()}
    return made


@pytest.fixture
def forget(lab):
    """The client knows nothing of any path yet."""
    lab.run(lab.client, "ip route flush cache; ip -6 route flush cache")


def path_mtu(lab, address):
    """What the client has learnt about the way to a VIP."""
    route = lab.run(lab.client, ["ip", "route", "get", address]).stdout
    found = re.search(r"\bmtu (\d+)", route)
    return int(found[1]) if found else None


def counters(lab):
    return lab.daemon.ctl_json("stats", "show")


def growth(before, after):
    return {name: after[name] - before[name] for name in after if after[name] != before[name]}


@pytest.mark.parametrize("address", VIPS, ids=IDS)
def test_an_upload_of_100_mb_is_whole_and_the_client_has_learnt_the_mtu(lab, forget, address):
    data = hashlib.sha256(address.encode()).digest() * (UPLOAD // 32)
    assert path_mtu(lab, address) is None
    before = counters(lab)
    connection = Connection(lab, address, SINK, timeout=30)
    assert connection.upload(data) == f"{len(data)} {hashlib.sha256(data).hexdigest()}"
    connection.close()
    rose = growth(before, counters(lab))
    assert path_mtu(lab, address) == 1500 - lab.header[address]
    assert 1 <= rose["reply_too_big"] <= 1000, rose
    assert not [name for name in rose if name.startswith("drop")], rose


@pytest.mark.parametrize("address", VIPS, ids=IDS)
def test_a_datagram_too_long_is_lost_and_the_next_one_comes_in_fragments(lab, forget, address):
    size = 1500 - lab.header[address] - (48 if ":" in address else 28)
    client = UdpClient(lab, address, ECHO)
    try:
        real, _ = client.ask(size)
        before = counters(lab)
        client.socket.settimeout(0.3)
        with pytest.raises(TimeoutError):
            client.ask(size + 1)
        assert growth(before, counters(lab))["reply_too_big"] == 1
        client.socket.settimeout(2)
        assert client.ask(size + 1)[0] == real
        assert growth(before, counters(lab))["flow_fragment"] == 1
    finally:
        client.close()


IP_MTU_DISCOVER, IP_PMTUDISC_DONT = 10, 0


def test_a_client_without_df_is_told_too(lab, forget):
    client = UdpClient(lab, VIP4, ECHO, timeout=0.3)
    client.socket.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT)
    before = counters(lab)
    try:
        with pytest.raises(TimeoutError):
            client.ask(1500 - 28)
    finally:
        client.close()
    assert growth(before, counters(lab))["reply_too_big"] == 1
