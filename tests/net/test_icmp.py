# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""ICMP on the way of real connections: path-MTU discovery by the reals, traceroute to a VIP."""

import hashlib
import os
import re
import socket

import pytest
from scapy.layers.inet import ICMP, IP, TCP
from scapy.layers.inet6 import ICMPv6PacketTooBig, IPv6
from scapy.layers.l2 import Ether

from lab import CLIENT4, CLIENT6, VIP4, VIP6, wait_for
from traffic import Connection, config, start, vip

CLIENT_MTU = 1400
QUOTED_MTU = 1300
BIG = os.urandom(1 << 20) * 20
UNSERVED = 4444


@pytest.fixture(scope="module")
def lab(make_shared_lab):
    """Three reals, and a client behind a link that is narrower than anybody knows."""
    made = make_shared_lab()
    made.start_reals()
    for host in made.reals:
        (made.dir / host / "www" / "files" / "big").write_bytes(BIG)
    # The client goes on to believe in 1500: its connections are opened with that segment size.
    made.run(made.router, ["ip", "link", "set", "client", "mtu", CLIENT_MTU])
    made.daemon = start(made, config(vip(made.reals4), vip(made.reals6, "web6", VIP6)))
    return made


@pytest.fixture(autouse=True)
def nothing_learnt(lab):
    """What other tests taught the reals about paths is forgotten."""
    for host in lab.reals:
        lab.run(host, "ip -4 route flush cache && ip -6 route flush cache")


def url(address, path):
    return f"http://[{address}]{path}" if ":" in address else f"http://{address}{path}"


def counters(lab):
    return lab.daemon.ctl_json("stats", "show")


def path_mtu(lab, host, client):
    """What a real has learnt about the way to the client."""
    route = lab.run(host, ["ip", "route", "get", client]).stdout
    found = re.search(r"\bmtu (\d+)", route)
    return int(found[1]) if found else None


def download(lab, address):
    """A real that served the whole file, and how long the client waited."""
    where = lab.dir / "download"
    done = lab.run(lab.client, ["curl", "-sS", "-m20", "-o", where, "-w", "%{time_total}",
                                url(address, "/files/big")], check=False)
    assert done.returncode == 0, f"download: {done.stderr}"
    assert hashlib.sha256(where.read_bytes()).digest() == hashlib.sha256(BIG).digest()
    return float(done.stdout)


@pytest.mark.parametrize("address, client", [(VIP4, CLIENT4), (VIP6, CLIENT6)])
def test_a_large_download_finds_the_smaller_mtu_of_the_clients_link(lab, address, client):
    assert all(path_mtu(lab, host, client) is None for host in lab.reals)
    before = counters(lab)
    took = download(lab, address)
    after = counters(lab)
    knowing = [host for host in lab.reals if path_mtu(lab, host, client) == CLIENT_MTU]

    def who_served():
        return [host for host in lab.reals if any(row[2] == "/files/big" and row[1] == address
                                                  for row in lab.access_log(host))]
    served = wait_for(who_served, 15, "the download is logged")
    # The router's error reached the real that serves the flow, and no other.
    assert knowing == served and len(served) == 1
    assert after["flow_icmp_error"] > before["flow_icmp_error"]
    assert {name: after[name] - before[name] for name in after
            if name.startswith("drop") and after[name] != before[name]} == {}
    assert took < 10


def next_segment(wire):
    """The packet of the connection that its real is to send next, without data."""
    packets = []
    while True:
        try:
            packet = Ether(wire.recv(65535)).payload
        except BlockingIOError:
            break
        if TCP in packet and packet[TCP].sport == 80:
            packets.append(packet)
    packet = packets[-1]
    packet[TCP].seq += len(packet[TCP].payload)
    return packet


def tell_too_big(lab, quote):
    """The router's error about a packet of a real's, of which it quotes so much."""
    is_v6 = quote[0] >> 4 == 6
    message = (ICMPv6PacketTooBig(mtu=QUOTED_MTU, cksum=0) if is_v6 else
               ICMP(type=3, code=4, nexthopmtu=QUOTED_MTU))
    with lab.inside(lab.router):
        raw = socket.socket(socket.AF_INET6 if is_v6 else socket.AF_INET, socket.SOCK_RAW,
                            socket.IPPROTO_ICMPV6 if is_v6 else socket.IPPROTO_ICMP)
    with raw:
        # Over IPv6 the kernel writes the checksum.
        raw.sendto(bytes(message / quote), (VIP6 if is_v6 else VIP4, 0))


@pytest.mark.parametrize("address, client, header", [(VIP4, CLIENT4, len(IP())),
                                                     (VIP6, CLIENT6, len(IPv6()))])
def test_an_error_that_quotes_8_bytes_of_tcp_is_taken_by_the_connections_real(lab, address, client,
                                                                             header):
    with lab.inside(lab.client):
        wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    connection = Connection(lab, address)
    with wire:
        wire.setblocking(False)
        real = connection.ask()
        packet = next_segment(wire)
    before = counters(lab)
    tell_too_big(lab, bytes(packet)[:header + 8])
    wait_for(lambda: path_mtu(lab, real, client) == QUOTED_MTU, 15, "the real has learnt it")
    assert [path_mtu(lab, host, client) == QUOTED_MTU for host in lab.reals].count(True) == 1
    assert counters(lab)["flow_icmp_error"] == before["flow_icmp_error"] + 1
    assert connection.ask() == real
    connection.close()


@pytest.mark.parametrize("address", [VIP4, VIP6])
@pytest.mark.parametrize("kind", [[], ["-U"], ["-I"], ["-T", "-p", "80"], ["-T", "-p", UNSERVED]],
                         ids=["udp", "udp-53", "icmp", "tcp", "tcp-unserved"])
def test_traceroute_ends_at_the_vip(lab, address, kind):
    out = lab.run(lab.client, ["traceroute", "-n", "-m", "8", "-q", "1", "-w", "2", *kind,
                               address]).stdout
    hops = [line.split()[1] for line in out.splitlines()[1:]]
    assert hops[-1] == address, out
    assert hops[:-1] == ["2001:db8:c::1" if ":" in address else "198.51.100.1"], out
