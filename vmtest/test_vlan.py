# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""VLAN devices as the way in and the way out, end to end: reals and router have the kernel's VLAN
devices, the balancer's packets must fit them. Bridges carry the tags through."""

import hashlib
import json
import re
import subprocess

import pytest

from conftest import make_shared_lab  # noqa: F401 (a fixture)
from lab import BUILD, VIP4, VIP6, wait_for
from traffic import config, start, vip

Q, AD = "802.1Q", "802.1ad"
# From the outer tag to the inner. One 802.1Q tag and QinQ are in test_bond.py.
STACKS = {
    "802.1ad": [(AD, 5)],
    "priority": [(Q, 0)],
    "802.1Q-twice": [(Q, 100), (Q, 5)],
}
WAYS_IN = {"802.1Q": [(Q, 5)], "QinQ": [(AD, 100), (Q, 5)]}
FILE = bytes(range(256)) * 4096  # 1 MiB


@pytest.fixture(scope="module", autouse=True)
def vlan_module():
    subprocess.run(["modprobe", "8021q"], check=True)


def add_vlans(lab, host, interface, stack, segment, number):
    """VLAN devices on an interface; the uppermost has the host's addresses on the segment."""
    for protocol, vlan in stack:
        upper = f"{interface}.{vlan}"
        lab.run(host, ["ip", "link", "add", "link", interface, "name", upper, "type", "vlan",
                       "proto", protocol, "id", vlan])
        lab.run(host, ["ip", "link", "set", upper, "up"])
        interface = upper
    lab.run(host, f"ip address add 10.{segment}.0.{number}/24 dev {interface} && "
            f"ip address add fd00:{segment}::{number:x}/64 dev {interface} nodad")
    return interface


def move_reals(lab, stack, bridge, balancer_interface):
    """Reals are behind tags from now on, in a segment 5."""
    add_vlans(lab, lab.router, bridge, stack, 5, 254)
    for number, host in enumerate(lab.reals, 1):
        lab.run(host, "ip route del default && ip -6 route del default")
        interface = add_vlans(lab, host, "eth0", stack, 5, number)
        lab.run(host, "ip route add default via 10.5.0.254 && "
                "ip -6 route add default via fd00:5::fe")
        lab.start_nginx(host)
        (lab.dir / host / "www" / "files" / "big").write_bytes(FILE)
        lab.run(host, [BUILD / "xdplb-receiver", "up", "--interface", interface,
                       "--mode", "generic", "--vip", VIP4, "--vip", VIP6,
                       "--bpffs", lab.bpffs / f"receiver-{host}",
                       "--state-dir", lab.dir / host / "receiver"])
    return add_vlans(lab, lab.balancer, balancer_interface, stack, 5, 10)


def start_balancing(lab, interfaces):
    lab.daemon = start(lab, config(vip(["10.5.0.1"]), vip(["fd00:5::1"], "six", VIP6),
                                   interfaces=interfaces))
    return lab


@pytest.fixture(scope="module", params=STACKS, ids=str)
def out_tagged(request, make_shared_lab):
    """The way out is a VLAN device of another interface."""
    lab = make_shared_lab(reals=1, balancer_links=2)
    lab.stack = STACKS[request.param]
    lab.way_out = move_reals(lab, lab.stack, "br1", "eth1")
    return start_balancing(lab, ("eth0", "eth1"))


def url(address, path="/"):
    return f"http://[{address}]{path}" if ":" in address else f"http://{address}{path}"


def wait_served(lab, address, deadline=5):
    wait_for(lambda: lab.curl(url(address), timeout=1) == "real1", deadline, f"{address} served")


def check_download(lab, address):
    got = lab.run("client", f"curl -sf -m 30 {url(address, '/files/big')} | sha256sum", timeout=40)
    assert got.stdout.split()[0] == hashlib.sha256(FILE).hexdigest()


def way_of(lab, real):
    """The interface of a real's next hop as the daemon logged it last."""
    return re.findall(rf"next hop real={re.escape(real)} interface=(\S+)",
                      lab.daemon.log_text())[-1]


def received(lab, interface):
    """Packets that the router got through an interface."""
    shown = lab.run(lab.router, ["ip", "-s", "-j", "link", "show", "dev", interface]).stdout
    return json.loads(shown)[0]["stats64"]["rx"]["packets"]


@pytest.mark.parametrize("address", [VIP4, VIP6])
def test_reals_behind_a_vlan_device_answer(out_tagged, address):
    wait_served(out_tagged, address)
    check_download(out_tagged, address)


def test_a_vlan_device_that_goes_and_is_made_anew_is_followed(out_tagged):
    lab = out_tagged
    wait_served(lab, VIP4)
    lab.run(lab.balancer, ["ip", "link", "del", lab.way_out])
    wait_for(lambda: way_of(lab, "10.5.0.1") == "eth0", 10, "by the default route")
    wait_served(lab, VIP4)
    below, _, _ = lab.way_out.rpartition(".")
    add_vlans(lab, lab.balancer, below, lab.stack[-1:], 5, 10)
    for real, address in (("10.5.0.1", VIP4), ("fd00:5::1", VIP6)):
        wait_for(lambda a=real: way_of(lab, a) == lab.way_out, 10, "by the new device")
        wait_served(lab, address)


# ---- in and out on one interface ----

@pytest.fixture(scope="module", params=WAYS_IN)
def in_tagged(request, make_shared_lab):
    """The router sends the VIPs in a VLAN; the reals are in another; the balancer has one link."""
    lab = make_shared_lab(reals=1)
    move_reals(lab, [(Q, 50)], "br0", "eth0")
    lab.way_in = add_vlans(lab, lab.router, "br0", WAYS_IN[request.param], 7, 254)
    add_vlans(lab, lab.balancer, "eth0", WAYS_IN[request.param], 7, 10)
    lab.run(lab.router, "ip route replace 192.0.2.0/24 via 10.7.0.10 && "
            "ip -6 route replace 2001:db8::/64 via fd00:7::a")
    # As seen by XDP: with the tag in the frame, not beside it.
    lab.run(lab.router, ["ethtool", "-K", "balancer", "txvlan", "off",
                         "tx-vlan-stag-hw-insert", "off"])
    return start_balancing(lab, ("eth0",))


@pytest.mark.parametrize("address", [VIP4, VIP6])
def test_what_comes_in_one_vlan_leaves_in_another(in_tagged, address):
    wait_served(in_tagged, address)
    check_download(in_tagged, address)


@pytest.mark.parametrize("address", [VIP4, VIP6])
def test_an_answer_goes_back_in_the_vlan_of_the_question(in_tagged, address):
    lab = in_tagged
    wait_served(lab, address)
    before = received(lab, lab.way_in), lab.daemon.ctl_json("stats", "show")["reply_reset"]
    for _ in range(20):
        done = lab.run("client", ["curl", "-s", "-m", "5", url(address).rstrip("/") + ":81/"],
                       check=False)
        assert done.returncode == 7, "refused at once"
    assert lab.daemon.ctl_json("stats", "show")["reply_reset"] - before[1] == 20
    assert received(lab, lab.way_in) - before[0] >= 20


def test_what_is_for_the_host_reaches_its_vlan_device(in_tagged):
    for address in ("10.7.0.10", "fd00:7::a", "10.5.0.10"):
        in_tagged.run(in_tagged.router, ["ping", "-c3", "-i0.1", "-W5", address])
