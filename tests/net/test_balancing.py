# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Packets of real clients through the balancer to real servers, and what is counted."""

import hashlib
import json
import math
import os
import socket
import subprocess

import pytest
from scapy.layers.inet import IP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether

from lab import CLIENT4, CLIENT6, VIP4, VIP6, wait_for
from traffic import (Connection, Load, UdpClient, config, served_by, served_since, start,
                     start_server, vip, weighted)

UDP4, UDP6 = "192.0.2.53", "2001:db8::53"
MIXED4, MIXED6 = "192.0.2.46", "2001:db8::64"
SHARES = {"real1": 60, "real2": 30, "real3": 10}
BALANCER4, BALANCER6 = "10.1.0.10", "fd00:1::10"


@pytest.fixture(scope="module")
def lab(make_shared_lab):
    """Every kind of VIP: the tests only look at what their own traffic changes."""
    made = make_shared_lab()
    made.start_reals((VIP4, VIP6, UDP4, UDP6, MIXED4, MIXED6))
    for host in made.reals:
        start_server(made, host, "udp-echo", 5353)
        start_server(made, host, "sink", 9000)
    four, six = made.reals4, made.reals6
    made.daemon = start(made, config(
        vip(weighted(four, *SHARES.values())),
        vip(six, "web6", VIP6),
        vip([six[0]], "four-in-six", MIXED4),
        vip([four[0]], "six-in-four", MIXED6),
        vip(four, "echo", UDP4, 5353, "udp"),
        vip(six, "echo6", UDP6, 5353, "udp"),
        vip(four, "sink", VIP4, 9000),
        vip(six, "sink6", VIP6, 9000),
    ))
    return made


def vips(lab):
    return {row["name"]: row for row in lab.daemon.ctl_json("vip", "list")}


def growth(lab, action, name, *fields):
    """What action() adds to counters of a VIP."""
    before = vips(lab)[name]
    action()
    after = vips(lab)[name]
    return [after[field] - before[field] for field in fields]


# ---- who gets what ----


def test_connections_spread_by_weight(lab):
    n, before = 4000, served_by(lab)
    assert Load(lab, n, 20).finish() == 0
    served = served_since(lab, before, n)
    for host, weight in SHARES.items():
        due = n * weight / 100
        # Six standard deviations: a right spread fails once in 10^8 runs.
        assert abs(served[host] - due) < 6 * math.sqrt(due * (1 - weight / 100)), served


@pytest.mark.parametrize("vip_address, client", [(VIP4, CLIENT4), (VIP6, CLIENT6)])
def test_nginx_sees_the_address_of_the_client_and_the_vip(lab, vip_address, client):
    uri = f"/seen-by/{vip_address}"
    host = lab.curl(f"http://[{vip_address}]{uri}" if ":" in vip_address else
                    f"http://{vip_address}{uri}")
    assert host in lab.reals
    row = wait_for(lambda: [r for r in lab.access_log(host) if r[2] == uri], 15, "it is logged")
    assert row[0][:2] == [client, vip_address]


@pytest.mark.parametrize("name, address, real, outer, inner", [
    ("web", VIP4, 0, IP, IP), ("web6", VIP6, 0, IPv6, IPv6),
    ("four-in-six", MIXED4, 0, IPv6, IP), ("six-in-four", MIXED6, 0, IP, IPv6)])
def test_a_vip_of_either_family_reaches_a_real_of_either_family(lab, name, address, real, outer,
                                                               inner):
    with lab.inside(lab.router):
        wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    wire.bind((lab.reals[real], 0))
    wire.settimeout(5)
    url = f"http://[{address}]/" if ":" in address else f"http://{address}/"
    wait_for(lambda: lab.curl(url) == lab.reals[real], 15, f"{lab.reals[real]} answers")
    while True:
        frame = Ether(wire.recv(4096))
        if outer in frame and frame[outer].src in (BALANCER4, BALANCER6) and \
                inner in frame[outer].payload and frame[outer].payload[inner].dst == address:
            break
    wire.close()
    assert frame[outer].dst == (lab.reals4 if outer is IP else lab.reals6)[real]
    assert frame[outer].payload[inner].src == (CLIENT4 if inner is IP else CLIENT6)


@pytest.mark.parametrize("address, seen", [(UDP4, CLIENT4), (UDP6, CLIENT6)])
def test_udp_flows_keep_their_real_and_use_all_reals(lab, address, seen):
    clients = [UdpClient(lab, address) for _ in range(45)]
    first = [c.ask() for c in clients]
    assert {client for _, client in first} == {seen}
    assert {real for real, _ in first} == set(lab.reals)
    for _ in range(3):
        assert [c.ask() for c in clients] == first
    for c in clients:
        c.close()


# ---- counters ----


def test_packets_bytes_and_flows_are_counted_exactly(lab):
    client = UdpClient(lab, UDP4)

    def send():
        for _ in range(10):
            client.ask(100)
    # An IPv4 and a UDP header around 100 bytes.
    assert growth(lab, send, "echo", "packets", "bytes", "new_flows") == [10, 1280, 1]
    client.close()


def test_a_vips_counters_are_the_sum_of_its_reals_and_forwarded_of_all_vips(lab):
    def connect():
        for _ in range(20):
            assert lab.curl(f"http://{VIP4}/") in lab.reals
    assert growth(lab, connect, "web", "new_flows") == [20]
    shown = [lab.daemon.ctl_json("vip", "show", name) for name in vips(lab)]
    for row in shown:
        for field in ("packets", "bytes", "new_flows"):
            assert row[field] == sum(real[field] for real in row["members"]), (row["name"], field)

    def forwarded_is_the_sum():  # once the last packet of the connections has come
        forwarded = lab.daemon.ctl_json("stats", "show")["forwarded"]
        return forwarded == sum(row["packets"] for row in vips(lab).values()) > 100
    wait_for(forwarded_is_the_sum, 15, "forwarded is the sum of all VIPs' packets")


def dump(lab, name):
    """A pinned map as bpftool sees it."""
    path = lab.bpffs / "xdplb" / "maps" / name
    return json.loads(subprocess.check_output(["bpftool", "-j", "map", "dump", "pinned", path]))


def per_cpu(row):
    """The values of a map's row, one for every CPU, with the names that BTF gives them."""
    return [value["value"] for value in row["formatted"]["values"]]


def test_bpftool_prints_the_verdicts_by_name_for_every_cpu(lab):
    lab.run(lab.client, ["ping", "-c1", "-W1", BALANCER4])
    [row] = dump(lab, "stats")
    cpus = per_cpu(row)
    assert sum(cpu["pass_no_vip"] for cpu in cpus) > 0
    # Packets of probes and neighbours come at any time.
    quiet = [name for name in cpus[0] if name.startswith(("drop_", "reply_", "flow_"))]
    assert len(quiet) > 15

    def same():  # once the last packet of earlier connections has come
        cpus = per_cpu(dump(lab, "stats")[0])
        shown = lab.daemon.ctl_json("stats", "show", "--per-cpu")
        assert len(cpus) == len(shown["per_cpu"]) >= 1
        return all([cpu[name] for cpu in cpus] == [cpu[name] for cpu in shown["per_cpu"]] and
                   sum(cpu[name] for cpu in cpus) == shown[name] for name in quiet)
    wait_for(same, 15, "bpftool and xdplbctl count the same")


def test_bpftool_prints_the_counters_of_a_member_by_name(lab):
    assert lab.curl(f"http://{MIXED4}/") == "real1"

    def same():  # once the last packet of the connection has come
        [real] = lab.daemon.ctl_json("real", "list", "four-in-six")
        cpus = per_cpu(dump(lab, "member_stats")[real["member_id"]])
        return all(sum(cpu[field] for cpu in cpus) == real[field] > 0
                   for field in ("packets", "bytes", "new_flows"))
    wait_for(same, 15, "bpftool and xdplbctl count the same")


# ---- sizes ----


@pytest.mark.parametrize("url", [f"http://{VIP4}/files/big", f"http://[{VIP6}]/files/big"])
def test_a_large_download_arrives_whole(lab, url):
    data = os.urandom(20_000_000)
    for host in lab.reals:
        (lab.dir / host / "www" / "files" / "big").write_bytes(data)
    copy = lab.dir / "copy"
    lab.curl(url, "-o", copy, timeout=30)
    assert copy.read_bytes() == data


def upload_arrives(lab, address, size):
    data = hashlib.sha256(b"upload").digest() * (size // 32)
    connection = Connection(lab, address, 9000, timeout=20)
    answer = connection.upload(data)
    connection.close()
    assert answer == f"{len(data)} {hashlib.sha256(data).hexdigest()}"


@pytest.mark.parametrize("address", [VIP4, VIP6])
def test_a_large_upload_fits_an_mtu_of_1600(lab, address):
    [packets, size] = growth(lab, lambda: upload_arrives(lab, address, 8_000_000),
                             "sink6" if ":" in address else "sink", "packets", "bytes")
    assert size > 8_000_000
    assert size / packets > 1000, "packets were not full"


def test_an_interface_with_an_mtu_of_9000_serves_jumbo_packets(make_lab):
    lab = make_lab(reals=1, mtu=9000)
    # Packets of 8900 bytes from the client, so that they fit once encapsulated.
    lab.run(lab.client, ["ip", "link", "set", "eth0", "mtu", "8900"])
    lab.run(lab.router, ["ip", "link", "set", "client", "mtu", "8900"])
    lab.start_reals()
    start_server(lab, "real1", "sink", 9000)
    lab.daemon = start(lab, config(vip(lab.reals4), vip(lab.reals4, "sink", VIP4, 9000),
                                   vip(lab.reals6, "sink6", VIP6, 9000)))
    assert lab.curl(f"http://{VIP4}/") == "real1"
    for address, name in ((VIP4, "sink"), (VIP6, "sink6")):
        packets, size = growth(lab, lambda: upload_arrives(lab, address, 8_000_000), name,
                               "packets", "bytes")
        assert size / packets > 5000, "no jumbo packets"
