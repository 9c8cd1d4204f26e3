# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Clients through the balancer to reals, end to end, on the kernel that runs: reals that take off
headers with xdplb-receiver or with the kernel's own tunnels as docs/receiver.md says (but for its
advmss: clients are told what fits), or have none to take off."""

import hashlib
import itertools
import re
import subprocess

import pytest

from conftest import make_shared_lab  # noqa: F401 (a fixture)
from lab import CLIENT4, CLIENT6, wait_for
from traffic import Connection, config, start, start_server, vip

ENCAPS = ("ipip", "gue", "l2dsr")
FAMILIES = ("4-in-4", "6-in-6", "4-in-6", "6-in-4")
UPLOADS = 8080
FILE = bytes(range(256)) * 4096  # 1 MiB

# Every VIP has an address of its own: what a client has learnt about one says nothing of another.
VIPS = {(encap, families): f"192.0.2.{10 * e + n}" if families[0] == "4" else f"2001:db8::{e}:{n}"
        for e, encap in enumerate(ENCAPS, 1) for n, families in enumerate(FAMILIES, 1)}
each_vip = pytest.mark.parametrize("encap, families", VIPS, ids=map("-".join, VIPS))

# The shell lines of docs/receiver.md.
TUNNELS = """
set -e
ip link set tunl0 up
ip link set sit0 up
ip -6 tunnel change ip6tnl0 mode any
ip link set ip6tnl0 up
sysctl -qw net.ipv4.conf.tunl0.rp_filter=0
sysctl -qw net.ipv4.conf.ip6tnl0.rp_filter=0
sysctl -qw net.ipv4.conf.all.arp_ignore=1
sysctl -qw net.ipv4.conf.all.arp_announce=2
ip fou add port 6080 gue
ip -6 fou add port 6080 gue
"""


def decapsulate_with_tunnels(lab, host):
    """What a real does that has no program: the shell lines, and the VIPs on lo."""
    lab.run(host, TUNNELS)
    for address in VIPS.values():
        lab.run(host, ["ip", "address", "add", f"{address}/128", "dev", "lo", "nodad",
                       "preferred_lft", "0"] if ":" in address else
                ["ip", "address", "add", f"{address}/32", "dev", "lo", "scope", "host"])


@pytest.fixture(scope="module", params=["receiver", "kernel"])
def lab(request, make_shared_lab):
    """A VIP for each encapsulation and combination of families, all with the same reals. The MTU is
    1500 everywhere."""
    made = make_shared_lab(reals=2, mtu=1500)
    made.kind = request.param
    if made.kind == "kernel":
        subprocess.run(["modprobe", "-a", "ipip", "ip6_tunnel", "sit", "fou", "fou6"], check=True)
    for host in made.reals:
        made.start_nginx(host)
        start_server(made, host, "sink", UPLOADS)
        (made.dir / host / "www" / "files" / "big").write_bytes(FILE)
        if made.kind == "kernel":
            decapsulate_with_tunnels(made, host)
        else:
            made.start_receiver(host, VIPS.values())
    made.daemon = start(made, config(*(
        vip(made.reals4 if families.endswith("4") else made.reals6,
            f"{encap}-{families}-{port}", address, port, encap=encap)
        for (encap, families), address in VIPS.items() for port in (80, UPLOADS)),
        health={"type": "none"}))
    made.narrower = itertools.count(1440, -10)
    return made


def url(address, path="/"):
    return f"http://[{address}]{path}" if ":" in address else f"http://{address}{path}"


def download(lab, address):
    """A large download; returns the real that served it."""
    before = {host: big_files_served(lab, host, address) for host in lab.reals}
    got = lab.run("client", f"curl -sf -m 60 {url(address, '/files/big')} | sha256sum", timeout=70)
    assert got.stdout.split()[0] == hashlib.sha256(FILE).hexdigest()
    return wait_for(lambda: next((host for host in lab.reals if
                                  big_files_served(lab, host, address) > before[host]), None),
                    5, "the real has logged it")


def big_files_served(lab, host, address):
    return sum(row[1] == address and row[2] == "/files/big" for row in lab.access_log(host))


@each_vip
def test_every_real_answers_and_a_download_is_whole(lab, encap, families):
    address = VIPS[encap, families]
    done = lab.run("client", ["curl", "-sf", "-m", "5", "-H", "Connection: close",
                              url(address, "/?[1-20]")], timeout=60)
    assert len(done.stdout.split()) == 20
    assert set(done.stdout.split()) == set(lab.reals)
    download(lab, address)


@each_vip
def test_an_upload_arrives_whole(lab, encap, families):
    address = VIPS[encap, families]
    told = lab.daemon.ctl_json("stats", "show")["reply_too_big"]
    connection = Connection(lab, address, UPLOADS, timeout=60)
    try:
        assert connection.upload(FILE) == f"{len(FILE)} {hashlib.sha256(FILE).hexdigest()}"
    finally:
        connection.close()
    # The client's first full segments do not fit where the receiver has not asked for smaller ones.
    was_told = lab.daemon.ctl_json("stats", "show")["reply_too_big"] > told
    assert was_told == (lab.kind == "kernel" and encap != "l2dsr")


@pytest.fixture
def narrow(lab):
    """The MTU of the client's link: less than the client believes, and than any test had before."""
    mtu = next(lab.narrower)
    lab.run(lab.router, ["ip", "link", "set", "client", "mtu", mtu])
    yield mtu
    lab.run(lab.router, ["ip", "link", "set", "client", "mtu", 1500])


def path_mtu(lab, host, client):
    """What a real has learnt about the way to the client, or None."""
    found = re.search(r"\bmtu (\d+)", lab.run(host, ["ip", "route", "get", client]).stdout)
    return int(found[1]) if found else None


@each_vip
def test_a_download_finds_the_smaller_mtu_of_the_clients_link(lab, encap, families, narrow):
    address = VIPS[encap, families]
    client = CLIENT6 if ":" in address else CLIENT4
    before = lab.daemon.ctl_json("stats", "show")
    served = download(lab, address)
    after = lab.daemon.ctl_json("stats", "show")
    # The router's error went to the real that serves the flow, and to no other.
    assert [host for host in lab.reals if path_mtu(lab, host, client) == narrow] == [served]
    assert after["flow_icmp_error"] > before["flow_icmp_error"]


def test_a_reload_under_load_fails_no_request(lab):
    load = lab.popen("client", ["stdbuf", "-oL", "curl", "-s", "-o", "/dev/null",
                                "--connect-timeout", "5", "-m", "10", "-H", "Connection: close",
                                "--rate", "20/s",
                                "-w", "%{http_code}\\n", url(VIPS["gue", "4-in-4"], "/?[1-200]")],
                     stdout=subprocess.PIPE)
    assert load.stdout.readline() == "200\n"
    text = lab.daemon.config.read_text()
    changed = text.replace("ipip-6-in-4-80", "renamed")
    assert changed != text
    reloads = 0
    while load.poll() is None:
        lab.daemon.write_config(text if reloads % 2 else changed)
        rc, _, err = lab.daemon.ctl("reload", timeout=30)
        assert rc == 0, err
        reloads += 1
    assert reloads >= 2, "the load was over before the reloads were"
    assert load.stdout.read().split() == ["200"] * 199
