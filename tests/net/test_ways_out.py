# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Ways out: routes, neighbours, interfaces that come and go, modes; and what is not for a VIP."""

import itertools
import json
import re
import socket
import time

import pytest

from lab import BUILD, VIP4, VIP6, wait_for
from traffic import UdpClient, config, start_server, vip

ALWAYS_UP = {"type": "none"}
URLS = {VIP4: f"http://{VIP4}/", VIP6: f"http://[{VIP6}]/"}
# "Within a second" for what follows the kernel's state.
SOON = 1


def both(real4, real6, **options):
    """A configuration with a VIP of each family and one real each."""
    return config(vip([real4]), vip([real6], name="web6", address=VIP6), health=ALWAYS_UP,
                  **options)


def in_mode(text, mode):
    assert "- name: eth0\n" in text
    return text.replace("- name: eth0\n", f"- name: eth0\n  mode: {mode}\n")


def reload(lab, daemon, text):
    daemon.write_config(text.replace("{bpffs}", str(lab.bpffs / "xdplb")))
    rc, _, said = daemon.ctl("reload")
    assert rc == 0, said


def wait_served(lab, address=VIP4):
    """Short tries: a SYN that came too early is gone."""
    wait_for(lambda: lab.curl(URLS[address], timeout=0.3) == "real1", 15, f"{address} is served")


def counted(daemon, name):
    return daemon.ctl_json("stats", "show")[name]


def link(lab, host, interface):
    shown = lab.run(host, ["ip", "-s", "-j", "link", "show", "dev", interface], check=False).stdout
    return json.loads(shown)[0] if shown.strip() else None


def attached(lab, interface):
    """The mode in which an XDP program is on an interface of the balancer, or None."""
    modes = {1: "native", 2: "generic"}
    return modes.get(link(lab, lab.balancer, interface).get("xdp", {}).get("mode"))


def left_by(lab, port):
    """Packets that came out of the balancer's interface behind a port of the router."""
    return link(lab, lab.router, port)["stats64"]["rx"]["packets"]


def next_hop(daemon, real):
    """The last next hop logged for a real: (interface, mac)."""
    found = re.findall(rf"next hop real={re.escape(real)} interface=(\S+) mac=(\S+)",
                       daemon.log_text())
    return found[-1] if found else None


def seconds_until_served(lab, daemon, real, address, hop):
    """How long until packets to a VIP go by this next hop to the real, which answers."""
    began = time.monotonic()
    wait_for(lambda: next_hop(daemon, real) == hop, 15, f"{real} is reached by {hop}")
    wait_served(lab, address)
    return time.monotonic() - began


def assert_soon(changes):
    """Each change, done for both families, is followed SOON; or else so when all are repeated, on a
    machine that was busy. changes() yields how long each took."""
    for _ in range(3):
        took = list(changes())
        if max(took) < SOON:
            return
    raise AssertionError(f"not within {SOON} s: {took}")


# ---- two interfaces ----

@pytest.fixture
def two_links(make_lab):
    lab = make_lab(reals=1, balancer_links=2)
    lab.start_reals()
    return lab


def test_packets_in_on_one_interface_leave_by_another(two_links):
    lab = two_links
    daemon = lab.start_daemon(both("10.2.0.1", "fd00:2::1", interfaces=("eth0", "eth1")))
    assert [attached(lab, name) for name in ("eth0", "eth1")] == ["native", "native"]
    for address, real in ((VIP4, "10.2.0.1"), (VIP6, "fd00:2::1")):
        wait_served(lab, address)
        out, packets = left_by(lab, "balancer1"), daemon.reals()[real]["packets"]
        forwarded = counted(daemon, "forwarded")
        for _ in range(10):
            assert lab.curl(URLS[address]) == "real1"
        sent = daemon.reals()[real]["packets"] - packets
        assert sent >= 40, "10 requests are at least 4 packets each"
        assert left_by(lab, "balancer1") - out >= sent
        assert counted(daemon, "forwarded") - forwarded == sent


def test_an_interface_on_the_reals_side_is_served_too(two_links):
    """The router sends the VIP to eth1, where the packets also leave."""
    lab = two_links
    lab.start_daemon(both("10.2.0.1", "fd00:2::1", interfaces=("eth0", "eth1")))
    lab.run(lab.router, "ip route replace 192.0.2.0/24 via 10.2.0.10 && "
            "ip -6 route replace 2001:db8::/64 via fd00:2::10")
    for address in (VIP4, VIP6):
        wait_served(lab, address)
    came = left_by(lab, "balancer")
    for _ in range(10):
        assert lab.curl(URLS[VIP4]) == "real1"
    # Ten requests are at least 40 packets. Probes are off: what eth0 says is to its neighbours.
    assert left_by(lab, "balancer") - came < 20


def test_an_interface_that_a_reload_removes_or_adds_loses_or_gets_the_program(two_links):
    lab = two_links
    daemon = lab.start_daemon(both("10.2.0.1", "fd00:2::1", interfaces=("eth0", "eth1")))
    wait_served(lab)
    reload(lab, daemon, both("10.2.0.1", "fd00:2::1", interfaces=("eth0",)))
    wait_for(lambda: attached(lab, "eth1") is None, 15, "the program is off eth1")
    assert not (lab.bpffs / "xdplb" / "link_eth1").exists()
    assert attached(lab, "eth0") == "native"
    assert lab.curl(URLS[VIP4]) == "real1"
    reload(lab, daemon, both("10.2.0.1", "fd00:2::1", interfaces=("eth0", "eth1")))
    assert attached(lab, "eth1") == "native"
    assert (lab.bpffs / "xdplb" / "link_eth1").exists()
    assert lab.curl(URLS[VIP4]) == "real1"


# ---- routes and neighbours ----

def test_traffic_follows_a_route_to_a_gateway_and_to_another_interface(two_links):
    """First through the router, then direct by eth1, then through the router again."""
    lab = two_links
    lab.run(lab.balancer, "ip route add 10.2.0.1/32 via 10.1.0.254 && "
            "ip -6 route add fd00:2::1/128 via fd00:1::fe")
    daemon = lab.start_daemon(both("10.2.0.1", "fd00:2::1"))
    gateway = link(lab, lab.router, "br0")["address"]
    real = link(lab, "real1", "eth0")["address"]
    gateway_hop, direct_hop = ("eth0", gateway), ("eth1", real)

    def follows(hop):
        return max(seconds_until_served(lab, daemon, real, address, hop)
                   for real, address in (("10.2.0.1", VIP4), ("fd00:2::1", VIP6)))

    def there_and_back():
        lab.run(lab.balancer, "ip route del 10.2.0.1/32 && ip -6 route del fd00:2::1/128")
        yield follows(direct_hop)
        lab.run(lab.balancer, "ip route add 10.2.0.1/32 via 10.1.0.254 && "
                "ip -6 route add fd00:2::1/128 via fd00:1::fe")
        yield follows(gateway_hop)

    follows(gateway_hop)
    assert_soon(there_and_back)


@pytest.fixture
def one_real(make_lab):
    lab = make_lab(reals=1)
    lab.start_reals()
    return lab


def test_traffic_follows_a_new_mac_of_the_real(one_real):
    lab = one_real
    daemon = lab.start_daemon(both("10.1.0.1", "fd00:1::1"))
    for address in (VIP4, VIP6):
        wait_served(lab, address)
    numbers = itertools.count(1)
    # As a replaced machine or a failover does: it announces its new address.
    lab.run("real1", ["sysctl", "-qw", "net.ipv4.conf.eth0.arp_notify=1",
                      "net.ipv6.conf.eth0.ndisc_notify=1"])

    def move():
        mac = f"02:00:5e:00:53:{next(numbers):02x}"
        lab.run("real1", ["ip", "link", "set", "eth0", "address", mac])
        for real, address in (("10.1.0.1", VIP4), ("fd00:1::1", VIP6)):
            yield seconds_until_served(lab, daemon, real, address, ("eth0", mac))
    assert_soon(move)


def test_a_real_without_a_neighbour_is_a_counted_drop_until_it_is_heard(one_real):
    lab = one_real
    lab.run("real1", ["ip", "link", "set", "eth0", "down"])
    daemon = lab.start_daemon(both("10.1.0.1", "fd00:1::1"))
    for real in ("10.1.0.1", "fd00:1::1"):
        daemon.wait_states({real: "up"}, vip="web" if "." in real else "web6")
    for address in (VIP4, VIP6):
        before = counted(daemon, "drop_no_next_hop")
        assert lab.curl(URLS[address], timeout=0.3) is None
        assert counted(daemon, "drop_no_next_hop") > before
    # What it says itself is heard, whenever the kernel would have asked again.
    lab.run("real1", "ip link set eth0 up && ip route add default via 10.1.0.254 && "
            "ip address add fd00:1::1/64 dev eth0 nodad && "
            "ip -6 route add default via fd00:1::fe && "
            "ping -c1 -W5 10.1.0.10 && ping -c1 -W5 fd00:1::10")
    for address in (VIP4, VIP6):
        wait_served(lab, address)


def test_what_does_not_fit_the_way_out_is_not_sent_until_the_mtu_is_raised(make_lab):
    lab = make_lab(reals=1, mtu=1500)
    lab.start_reals()
    start_server(lab, "real1", "udp-echo", 5353)
    daemon = lab.start_daemon(config(vip(["10.1.0.1"], port=5353, protocol="udp"),
                                     health=ALWAYS_UP))
    daemon.wait_states({"10.1.0.1": "up"})
    wait_for(lambda: next_hop(daemon, "10.1.0.1"), 15, "the next hop")
    client = UdpClient(lab)
    try:
        # 1,500 bytes with two IP headers and one of UDP, and one more.
        fits = 1500 - 20 - 28
        assert client.ask(fits)[0] == "real1"
        before = counted(daemon, "reply_too_big")
        client.socket.settimeout(0.3)
        with pytest.raises(TimeoutError):
            client.ask(fits + 1)
        assert counted(daemon, "reply_too_big") == before + 1
        client.socket.settimeout(2)
        for host, interface in (("router", "balancer"), ("router", "real1"), ("real1", "eth0"),
                                ("balancer", "eth0")):
            lab.run(host, ["ip", "link", "set", interface, "mtu", 1520])
        out = lab.bpffs / "xdplb" / "maps" / "out_interfaces"
        wait_for(lambda: '"mtu": 1520' in lab.run(
            lab.balancer, ["bpftool", "map", "dump", "pinned", out]).stdout, 15,
                 "MTU 1520 is known")
        lab.run(lab.client, "ip route flush cache")
        assert client.ask(fits + 1)[0] == "real1"
        assert counted(daemon, "reply_too_big") == before + 1
    finally:
        client.close()


# ---- interfaces that come and go ----

def recreate(lab):
    """Makes the balancer's eth0 as the lab had made it."""
    lab.run(lab.router, "ip link add balancer mtu 1600 type veth peer name eth0 mtu 1600 "
            f"netns {lab.name}-balancer && ip link set balancer master br0 up && "
            f"ethtool -K balancer tx off && "
            f"ip link set dev balancer xdpdrv obj {BUILD}/tools/xdp_pass.bpf.o sec xdp.frags")
    lab.run(lab.balancer, "ethtool -K eth0 tx off && ip link set eth0 up && "
            "ip address add 10.1.0.10/24 dev eth0 && ip address add fd00:1::10/64 dev eth0 nodad")
    # Its MAC is another one. The router would find out by itself, in up to 8 s.
    lab.run(lab.router, ["ip", "neigh", "flush", "dev", "br0"])


def test_an_interface_that_is_deleted_and_made_again_is_served_without_a_restart(one_real):
    lab = one_real
    daemon = lab.start_daemon(both("10.1.0.1", "fd00:1::1"))
    for address in (VIP4, VIP6):
        wait_served(lab, address)
    ifindex = link(lab, lab.balancer, "eth0")["ifindex"]
    lab.run(lab.balancer, "ip link del eth0")
    wait_for(lambda: f"interface gone interface=eth0 ifindex={ifindex}" in daemon.log_text(), 15,
             "the log tells")
    assert lab.curl(URLS[VIP4], timeout=0.3) is None
    recreate(lab)
    again = link(lab, lab.balancer, "eth0")["ifindex"]
    wait_for(lambda: f"attached interface=eth0 ifindex={again}" in daemon.log_text(), 15,
             "the log tells")
    assert attached(lab, "eth0") == "native"
    assert "error" not in daemon.log_text()
    for address in (VIP4, VIP6):
        wait_served(lab, address)
    assert daemon.ctl("reload")[0] == 0
    assert lab.curl(URLS[VIP4]) == "real1"


def test_a_link_that_goes_down_and_up_is_served_again(one_real):
    lab = one_real
    daemon = lab.start_daemon(both("10.1.0.1", "fd00:1::1"))
    for address in (VIP4, VIP6):
        wait_served(lab, address)

    def down_and_up():
        logged, began = len(daemon.log_text()), time.monotonic()
        lab.run(lab.balancer, "ip link set eth0 down")
        for real in ("10.1.0.1", "fd00:1::1"):
            wait_for(lambda a=real: f"next hop lost real={a}" in daemon.log_text()[logged:], 15,
                     "the log tells")
        yield time.monotonic() - began
        # The kernel drops IPv6 addresses with the link.
        lab.run(lab.balancer, "ip link set eth0 up && "
                "ip address add fd00:1::10/64 dev eth0 nodad")
        began = time.monotonic()
        for address in (VIP4, VIP6):
            wait_served(lab, address)
        yield time.monotonic() - began
    assert_soon(down_and_up)


# ---- generic mode ----

def test_generic_mode_serves_and_a_reload_changes_the_mode(one_real):
    lab = one_real
    native = both("10.1.0.1", "fd00:1::1")
    daemon = lab.start_daemon(in_mode(native, "generic"))
    for text, mode in ((None, "generic"), (native, "native"), (in_mode(native, "generic"),
                                                               "generic")):
        if text:
            reload(lab, daemon, text)
        assert attached(lab, "eth0") == mode
        for address in (VIP4, VIP6):
            wait_served(lab, address)
            for _ in range(5):
                assert lab.curl(URLS[address]) == "real1"


# ---- the VIP on the balancer's own segment; packets for others ----

def test_a_vip_on_the_balancers_interface_serves_its_neighbours(make_lab):
    """real2 is a client on the same segment; it resolves the VIP by ARP and neighbour discovery."""
    lab = make_lab(reals=2)
    vip4, vip6 = "10.1.0.100", "fd00:1::100"
    lab.start_nginx("real1")
    lab.start_receiver("real1", [vip4, vip6])
    lab.run(lab.balancer, f"ip address add {vip4}/24 dev eth0 && "
            f"ip address add {vip6}/64 dev eth0 nodad")
    daemon = lab.start_daemon(config(vip(["10.1.0.1"], address=vip4),
                                     vip(["fd00:1::1"], name="web6", address=vip6),
                                     health=ALWAYS_UP))
    mac = link(lab, lab.balancer, "eth0")["address"]
    for address, url in ((vip4, f"http://{vip4}/"), (vip6, f"http://[{vip6}]/")):
        wait_for(lambda u=url: lab.curl(u, timeout=0.3, host="real2") == "real1", 15,
                 f"{address} serves")
        entry = json.loads(lab.run("real2", ["ip", "-j", "neigh", "show", address]).stdout)
        assert [row["lladdr"] for row in entry] == [mac]

    # Asked again by unicast, to the VIP's address itself.
    before = counted(daemon, "pass_neighbour_discovery")
    lab.run("real2", ["ip", "neigh", "replace", vip6, "lladdr", mac, "dev", "eth0", "nud", "probe"])

    def state():
        shown = json.loads(lab.run("real2", ["ip", "-j", "neigh", "show", vip6]).stdout)
        return shown[0]["state"]
    wait_for(lambda: state() == ["REACHABLE"], 15, "the balancer answers a unicast solicitation")
    assert counted(daemon, "pass_neighbour_discovery") > before


def test_what_is_for_no_vip_passes_untouched(one_real):
    lab = one_real
    daemon = lab.start_daemon(both("10.1.0.1", "fd00:1::1"))
    wait_served(lab)
    for own, family in (("10.1.0.10", socket.AF_INET), ("fd00:1::10", socket.AF_INET6)):
        before = daemon.ctl_json("stats", "show")
        with lab.inside(lab.balancer):
            server = socket.create_server((own, 22), family=family)
        with lab.inside(lab.client):
            client = socket.socket(family)
        with server, client:
            client.settimeout(3)
            client.connect((own, 22))
            peer, _ = server.accept()
            with peer:
                client.sendall(b"x" * 100_000)
                client.shutdown(socket.SHUT_WR)
                assert sum(iter(lambda: len(peer.recv(65536)), 0)) == 100_000
        # In pieces: fragments of what is for no VIP pass, too.
        lab.run(lab.client, ["ping", "-c2", "-i0.2", "-W2", "-s", 4000, own])
        after = daemon.ctl_json("stats", "show")
        assert after["pass_no_vip"] > before["pass_no_vip"]
        assert {key: after[key] for key in after if key.startswith(("drop_", "reply_"))} == \
            {key: before[key] for key in before if key.startswith(("drop_", "reply_"))}
