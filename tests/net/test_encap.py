# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Ways to reach a real other than IP in IP: GUE, L2 DSR, and a change from one to another."""

import hashlib
import json
import socket
import subprocess

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether

from lab import VIP4, VIP6, wait_for
from traffic import (Connection, UdpClient, answers, busy_connection, config, connections, start,
                     start_server, vip)

UDP4, UDP6 = "192.0.2.53", "2001:db8::53"
MIXED4, MIXED6 = "192.0.2.46", "2001:db8::64"
VIPS = (VIP4, VIP6, UDP4, UDP6, MIXED4, MIXED6)
FILE = bytes(range(256)) * 8192  # 2 MiB


def start_servers(lab, *options):
    for host in lab.reals:
        lab.start_nginx(host)
        (lab.dir / host / "www" / "files" / "big").write_bytes(FILE)
        lab.start_receiver(host, VIPS, *options)
        start_server(lab, host, "udp-echo", 5353)
        start_server(lab, host, "sink", 9000)


def services(lab):
    """A VIP for each combination of families, and one for each other kind of traffic."""
    four, six = lab.reals4, lab.reals6
    return [vip(four), vip(six, "six-in-six", VIP6), vip(six, "four-in-six", MIXED4),
            vip(four, "six-in-four", MIXED6), vip(four, "echo", UDP4, 5353, "udp"),
            vip(six, "echo6", UDP6, 5353, "udp"), vip(four, "sink", VIP4, 9000),
            vip(six, "sink6", VIP6, 9000)]


@pytest.fixture(scope="module", params=["zero", "computed"])
def gue(request, make_shared_lab):
    """GUE to another port than the usual one; IPv6 without and with a checksum."""
    made = make_shared_lab(reals=2)
    start_servers(made, "--gue-port", 4754)
    made.daemon = start(made, config(*services(made), encap="gue",
                                     gue={"gue_port": 4754, "gue_checksum6": request.param}))
    made.checksum = request.param
    return made


def url(address, path="/"):
    return f"http://[{address}]{path}" if ":" in address else f"http://{address}{path}"


def drops(lab):
    return {name: n for name, n in lab.daemon.ctl_json("stats", "show").items()
            if name.startswith("drop_") and n}


def assert_download_is_whole(lab, address):
    got = lab.run("client", f"curl -sf -m 20 '{url(address, '/files/big')}' | sha256sum")
    assert got.stdout.split()[0] == hashlib.sha256(FILE).hexdigest()


def assert_upload_is_whole(lab, address):
    connection = Connection(lab, address, 9000, timeout=20)
    assert connection.upload(FILE) == f"{len(FILE)} {hashlib.sha256(FILE).hexdigest()}"
    connection.close()


@pytest.mark.parametrize("address", [VIP4, VIP6, MIXED4, MIXED6],
                         ids=["4-in-4", "6-in-6", "4-in-6", "6-in-4"])
def test_every_real_behind_gue_answers_and_a_download_is_whole(gue, address):
    assert answers(gue, address) == set(gue.reals)
    assert_download_is_whole(gue, address)


@pytest.mark.parametrize("address", [VIP4, VIP6])
def test_an_upload_through_gue_is_whole(gue, address):
    assert_upload_is_whole(gue, address)


def assert_udp_flows_keep_their_real(lab, address, size):
    clients = [UdpClient(lab, address) for _ in range(40)]
    first = [c.ask(size) for c in clients]
    assert {real for real, _ in first} == set(lab.reals)
    assert [c.ask(size) for c in clients] == first
    for c in clients:
        c.close()


@pytest.mark.parametrize("address", [UDP4, UDP6])
def test_udp_flows_through_gue_keep_their_real(gue, address):
    assert_udp_flows_keep_their_real(gue, address, 1200)


def waiting(wire):
    """The GUE packets that have come."""
    frames = []
    while True:
        try:
            frame = Ether(wire.recv(4096))
        except BlockingIOError:
            return frames
        if UDP in frame and frame[UDP].dport == 4754:
            frames.append(frame)


def captured(lab, address, n):
    """n GUE packets to real1 that carry new connections to a VIP."""
    with lab.inside(lab.router):
        wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    wire.bind(("real1", 0))
    wire.setblocking(False)
    frames = []
    while len(frames) < n:
        assert lab.curl(url(address)) in lab.reals
        frames += waiting(wire)
    wire.close()
    return frames


@pytest.mark.parametrize("address, outer", [(VIP4, IP), (MIXED4, IPv6)])
def test_flows_have_different_source_ports_and_the_checksum_that_is_configured(gue, address,
                                                                               outer):
    frames = captured(gue, address, 40)  # some six of a connection
    ports = {frame[UDP].sport for frame in frames}
    assert len(ports) >= 2 and all(49152 <= port <= 65535 for port in ports)
    for frame in frames:
        sent = frame[UDP].chksum
        assert (sent != 0) == (outer is IPv6 and gue.checksum == "computed")
        if sent:
            del frame[UDP].chksum
            assert Ether(bytes(frame))[UDP].chksum == sent


def test_nothing_was_dropped_on_either_side(gue):
    assert answers(gue) == set(gue.reals)
    assert drops(gue) == {}
    for host in gue.reals:
        counters = gue.receiver_status(host)["counters"]
        assert counters["decapsulated"] > 0
        assert {k: n for k, n in counters.items() if k.startswith("drop_") and n} == {}


# ---- A reload changes the way ----


def instructions(lab):
    """Length of the program that is pinned."""
    out = subprocess.check_output(["bpftool", "-j", "prog", "show", "pinned",
                                   lab.bpffs / "xdplb" / "prog"])
    return json.loads(out)["bytes_xlated"]


def test_connections_stay_while_their_vip_changes_from_one_to_another_and_back(make_lab):
    lab = make_lab(reals=2)
    start_servers(lab)
    ipip, both = config(*services(lab)), config(vip(lab.reals4, encap="gue"), *services(lab)[1:])
    lab.daemon = start(lab, ipip)
    small = instructions(lab)
    with connections(lab, 20) as some, busy_connection(lab):
        for text in (both, ipip, both):
            lab.daemon.write_config(text)
            lab.daemon.ctl_json("reload")
            assert some.ask() == some.reals
            assert (instructions(lab) > small) == (text is both)
    assert drops(lab) == {}
    assert lab.daemon.ctl_json("vip", "show", "web")["encap"] == "gue"


def test_a_daemon_that_finds_another_way_in_the_maps_than_in_its_file_changes_it(make_lab):
    lab = make_lab(reals=2)
    start_servers(lab)
    lab.daemon = start(lab, config(vip(lab.reals4, encap="gue")))
    with connections(lab, 10) as some:
        lab.daemon.stop()
        assert some.ask() == some.reals
        lab.daemon = start(lab, config(vip(lab.reals4)), state_dir=lab.daemon.state_dir)
        assert some.ask() == some.reals
    assert drops(lab) == {}


def test_the_real_sees_no_gue_once_its_vip_goes_by_ip_in_ip(make_lab):
    lab = make_lab(reals=1)
    start_servers(lab, "--gue-port", "off")
    lab.daemon = start(lab, config(vip(lab.reals4, encap="gue")))
    assert lab.curl(url(VIP4), timeout=1) is None
    lab.daemon.write_config(config(vip(lab.reals4)))
    lab.daemon.ctl_json("reload")
    wait_for(lambda: lab.curl(url(VIP4)) == "real1", 15, "real1 answers")


# ---- L2 DSR ----


def prepare_real(lab, host):
    """All that a real needs for L2 DSR: the VIPs on lo, and no ARP for them."""
    lab.run(host, "sysctl -qw net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2")
    for address in VIPS:
        lab.run(host, ["ip", "address", "add", f"{address}/128" if ":" in address else
                       f"{address}/32", "dev", "lo"])
    lab.start_nginx(host)
    (lab.dir / host / "www" / "files" / "big").write_bytes(FILE)
    start_server(lab, host, "udp-echo", 5353)
    start_server(lab, host, "sink", 9000)


@pytest.fixture(scope="module")
def l2dsr(make_shared_lab):
    """Reals on the balancer's segment, at an MTU without room for any header."""
    made = make_shared_lab(reals=2, mtu=1500)
    for host in made.reals:
        prepare_real(made, host)
    made.daemon = start(made, config(*services(made), encap="l2dsr"))
    return made


@pytest.mark.parametrize("address", [VIP4, VIP6, MIXED4, MIXED6],
                         ids=["4-by-4", "6-by-6", "4-by-6", "6-by-4"])
def test_every_real_on_the_segment_answers_and_a_download_is_whole(l2dsr, address):
    assert answers(l2dsr, address) == set(l2dsr.reals)
    assert_download_is_whole(l2dsr, address)


@pytest.mark.parametrize("address", [VIP4, VIP6])
def test_an_upload_by_l2dsr_needs_no_room_for_a_header(l2dsr, address):
    assert_upload_is_whole(l2dsr, address)
    assert drops(l2dsr) == {}


@pytest.mark.parametrize("address", [UDP4, UDP6])
def test_udp_flows_by_l2dsr_keep_their_real(l2dsr, address):
    assert_udp_flows_keep_their_real(l2dsr, address, 1400)


def test_a_real_behind_a_gateway_is_refused_and_served_once_it_is_on_the_link(make_lab):
    lab = make_lab(reals=1, balancer_links=2)
    prepare_real(lab, "real1")
    lab.run("balancer", "ip address flush dev eth1")
    lab.daemon = start(lab, config(vip(lab.reals4, encap="l2dsr")))
    assert lab.curl(url(VIP4), timeout=1) is None
    assert drops(lab).keys() == {"drop_not_on_link"}
    assert "real not on link" in lab.daemon.log_text() and lab.reals4[0] in lab.daemon.log_text()
    lab.run("balancer", "ip address add 10.2.0.10/24 dev eth1")
    wait_for(lambda: lab.curl(url(VIP4), timeout=1) == "real1", 15, "real1 answers")
    lab.run("balancer", "ip address del 10.2.0.10/24 dev eth1")
    before = drops(lab)["drop_not_on_link"]
    wait_for(lambda: lab.curl(url(VIP4), timeout=1) is None, 15, "real1 is not reached")
    assert drops(lab)["drop_not_on_link"] > before


def test_connections_stay_while_their_vip_changes_to_l2dsr_and_back(make_lab):
    lab = make_lab(reals=2)
    start_servers(lab)
    ipip, l2dsr = config(vip(lab.reals4)), config(vip(lab.reals4, encap="l2dsr"))
    lab.daemon = start(lab, ipip)
    with connections(lab, 20) as some:
        for text in (l2dsr, ipip, l2dsr):
            lab.daemon.write_config(text)
            lab.daemon.ctl_json("reload")
            assert some.ask() == some.reals
