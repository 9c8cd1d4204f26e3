# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Bonds as the way in, bonds and VLAN devices as the way out, end to end; what the kernel changes
there is followed. The switch behind a bond is the lab's router."""

import hashlib
import json
import re
import subprocess

import pytest

from conftest import make_shared_lab  # noqa: F401 (a fixture)
from lab import BUILD, VIP4, VIP6, wait_for
from traffic import busy_connection, config, vip

Q, AD = "802.1Q", "802.1ad"
FILE = bytes(range(256)) * 4096  # 1 MiB
# Times what emulation takes longer.
SOON = 1

# The balancer's link, and the tags between it and the reals, from the outer to the inner.
WAYS = {
    "bond": ("active-backup", []),
    "qinq-on-lacp-bond": ("802.3ad", [(AD, 100), (Q, 5)]),
    "vlan": (None, [(Q, 5)]),
}


def add_second_wire(lab):
    lab.run(lab.router, f"ip link add balancer1 mtu 1600 type veth peer name eth1 mtu 1600 "
            f"netns {lab.name}-balancer && ethtool -K balancer1 tx off")
    lab.run(lab.balancer, "ethtool -K eth1 tx off")
    # What XDP sends to a veth arrives if its peer runs an XDP program, too.
    lab.run(lab.router, f"ip link set dev balancer1 xdpdrv obj {BUILD}/tools/xdp_pass.bpf.o "
            "sec xdp.frags")


def bond(lab, mode):
    """The balancer's eth0 and a second wire become bond0. With LACP the switch has a bond, too;
    with active-backup it has two ports."""
    add_second_wire(lab)
    options = f"mode {mode} miimon 50" + (" lacp_rate fast" if mode == "802.3ad" else "")
    lab.run(lab.balancer, f"""
        set -e
        ip address flush dev eth0
        ip link set eth0 down
        ip link add bond0 mtu 1600 type bond {options}
        ip link set eth0 master bond0 && ip link set eth1 master bond0 && ip link set bond0 up
        ip address add 10.1.0.10/24 dev bond0 && ip address add fd00:1::10/64 dev bond0 nodad
        ip route add default via 10.1.0.254 && ip -6 route add default via fd00:1::fe""")
    if mode == "active-backup":
        lab.run(lab.router, ["ip", "link", "set", "balancer1", "master", "br0", "up"])
    else:
        lab.run(lab.router, f"""
            set -e
            ip link set balancer down nomaster
            ip link add bond1 mtu 1600 type bond {options}
            ip link set balancer master bond1 && ip link set balancer1 master bond1
            ip link set bond1 master br0 up""")
    # The bond's MAC need not be that of the interface that was there.
    lab.run(lab.router, ["ip", "neigh", "flush", "dev", "br0"])
    for gateway in ("10.1.0.254", "fd00:1::fe"):
        wait_for(lambda g=gateway: lab.run(lab.balancer, ["ping", "-c1", "-W1", g],
                                           check=False).returncode == 0, 30, f"{gateway} answers")
    return "bond0"


def add_vlans(lab, host, interface, stack, number):
    """VLAN devices on an interface; the uppermost has the host's addresses in segment 5."""
    for protocol, vlan in stack:
        upper = f"{interface}.{vlan}"
        lab.run(host, f"ip link add link {interface} name {upper} type vlan proto {protocol} "
                f"id {vlan} && ip link set {upper} up")
        interface = upper
    lab.run(host, f"ip address add 10.5.0.{number}/24 dev {interface} && "
            f"ip address add fd00:5::{number:x}/64 dev {interface} nodad")
    return interface


def move_real(lab, stack):
    """The real is behind tags from now on."""
    lab.run("real1", "ip route del default && ip -6 route del default")
    lab.real_interface = add_vlans(lab, "real1", "eth0", stack, 1)
    lab.run("real1", "ip route add default via 10.5.0.254 && "
            "ip -6 route add default via fd00:5::fe")
    lab.gateway_interface = add_vlans(lab, lab.router, "br0", stack, 254)


@pytest.fixture(scope="module", params=WAYS)
def lab(request, make_shared_lab):
    mode, stack = WAYS[request.param]
    subprocess.run(["modprobe", "-a", "bonding", "8021q"], check=True)
    made = make_shared_lab(reals=1)
    made.mode, made.stack = mode, stack
    made.base = bond(made, mode) if mode else "eth0"
    made.real_interface, made.gateway_interface, made.way_out = "eth0", "br0", made.base
    made.real4, made.real6 = "10.1.0.1", "fd00:1::1"
    if stack:
        move_real(made, stack)
        made.way_out = add_vlans(made, made.balancer, made.base, stack, 10)
        made.real4, made.real6 = "10.5.0.1", "fd00:5::1"
    made.start_nginx("real1")
    (made.dir / "real1" / "www" / "files" / "big").write_bytes(FILE)
    # No native XDP on VLAN devices.
    made.run("real1", [BUILD / "xdplb-receiver", "up", "--interface", made.real_interface,
                       "--mode", "generic", "--vip", VIP4, "--vip", VIP6,
                       "--bpffs", made.bpffs / "receiver", "--state-dir", made.dir / "receiver"])
    made.daemon = made.start_daemon(config(vip([made.real4]), vip([made.real6], "web6", VIP6),
                                           health={"type": "none"}, interfaces=(made.base,)))
    return made


def url(address, path="/"):
    return f"http://[{address}]{path}" if ":" in address else f"http://{address}{path}"


def wait_served(lab, deadline=SOON):
    for address in (VIP4, VIP6):
        wait_for(lambda a=address: lab.curl(url(a), timeout=1) == "real1", deadline,
                 f"{address} served; log:\n{lab.daemon.log_text()}")


def mac(lab, host, interface):
    shown = lab.run(host, ["ip", "-j", "link", "show", "dev", interface]).stdout
    return json.loads(shown)[0]["address"]


def next_hop(lab, real):
    """A real's next hop as the daemon logged it last: (interface, mac)."""
    return re.findall(rf"next hop real={re.escape(real)} interface=(\S+) mac=(\S+)",
                      lab.daemon.log_text())[-1]


def wait_next_hop(lab, hop):
    for real in (lab.real4, lab.real6):
        wait_for(lambda r=real: next_hop(lab, r) == hop, SOON, f"{real} by {hop}")


def test_reals_answer_and_a_download_is_whole(lab):
    attached = lab.run(lab.balancer, ["ip", "-j", "link", "show", "dev", lab.base]).stdout
    assert json.loads(attached)[0]["xdp"]["mode"] == 1, "native"
    wait_served(lab, 20)
    for address in (VIP4, VIP6):
        got = lab.run("client", f"curl -sf -m 30 {url(address, '/files/big')} | sha256sum",
                      timeout=40)
        assert got.stdout.split()[0] == hashlib.sha256(FILE).hexdigest()


def test_a_new_mac_of_the_real_is_followed(lab):
    new = "02:00:5e:00:53:01"
    lab.run("real1", ["sysctl", "-qw", f"net/ipv4/conf/{lab.real_interface}/arp_notify=1",
                      f"net/ipv6/conf/{lab.real_interface}/ndisc_notify=1"])
    lab.run("real1", ["ip", "link", "set", lab.real_interface, "address", new])
    wait_next_hop(lab, (lab.way_out, new))
    wait_served(lab)


def test_a_route_to_a_gateway_and_back_is_followed(lab):
    segment = 5 if lab.stack else 1
    direct = lab.way_out, mac(lab, "real1", lab.real_interface)
    gateway = lab.way_out, mac(lab, lab.router, lab.gateway_interface)
    lab.run(lab.balancer, f"ip route add {lab.real4}/32 via 10.{segment}.0.254 && "
            f"ip -6 route add {lab.real6}/128 via fd00:{segment}::fe")
    wait_next_hop(lab, gateway)
    wait_served(lab)
    lab.run(lab.balancer, f"ip route del {lab.real4}/32 && ip -6 route del {lab.real6}/128")
    wait_next_hop(lab, direct)
    wait_served(lab)


def test_a_way_out_that_goes_down_and_up_is_followed(lab):
    addresses = json.loads(lab.run(lab.balancer, ["ip", "-j", "-6", "address", "show", "dev",
                                                  lab.way_out, "scope", "global"]).stdout)
    address6 = next(row["local"] for row in addresses[0]["addr_info"])
    seen = len(lab.daemon.log_text())
    lab.run(lab.balancer, ["ip", "link", "set", lab.way_out, "down"])

    def lost(real):
        # The connected route is gone; the default route, where it is another, does instead.
        return re.search(rf"next hop (lost real={re.escape(real)}$|"
                         rf"real={re.escape(real)} interface=(?!{lab.way_out} ))",
                         lab.daemon.log_text()[seen:], re.M)
    for real in (lab.real4, lab.real6):
        wait_for(lambda r=real: lost(r), SOON, f"{real} not by {lab.way_out}")
    # The kernel drops IPv6 addresses with the link.
    lab.run(lab.balancer, f"ip link set {lab.way_out} up && "
            f"ip address add {address6}/64 dev {lab.way_out} nodad")
    # LACP starts anew with the bond.
    wait_served(lab, 15 if lab.mode == "802.3ad" else SOON)


@pytest.mark.parametrize("lab", [way for way, (mode, _) in WAYS.items() if mode], indirect=True)
@pytest.mark.parametrize("address", [VIP4, VIP6])
def test_a_connection_lives_on_when_a_wire_of_the_bond_is_cut(lab, address):
    wait_served(lab)
    with busy_connection(lab, address):
        for wire in ("balancer", "balancer1"):
            lab.run(lab.router, ["ip", "link", "set", wire, "down"])
            wait_served(lab, 15)
            lab.run(lab.router, ["ip", "link", "set", wire, "up"])
            wait_served(lab, 15)
            wait_for(lambda: carriers(lab) == 2, 5, "both wires")


def carriers(lab):
    """Wires that the bond counts on."""
    text = lab.run(lab.balancer, ["cat", "/proc/net/bonding/bond0"]).stdout
    return len(re.findall(r"^Slave Interface:.*\nMII Status: up$", text, re.M))
