# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Clients through the balancer to reals, end to end, on the kernel that runs: reals that decapsulate
with xdplb-receiver, reals that decapsulate with the kernel's own tunnels as docs/receiver.md says,
and reals that have nothing to decapsulate."""

import hashlib
import subprocess

import pytest

from conftest import make_shared_lab  # noqa: F401 (a fixture)
from lab import VIP4, VIP6
from traffic import config, vip

MIXED4, MIXED6 = "192.0.2.46", "2001:db8::64"
VIPS = (VIP4, VIP6, MIXED4, MIXED6)
FILE = bytes(range(256)) * 8192  # 2 MiB

# Emulation is slow.
pytestmark = pytest.mark.limit_s(240)

# The shell lines of docs/receiver.md, with the lab's addresses.
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
ip route replace default via 10.1.0.254 dev eth0 advmss 1412
ip -6 route replace default via fd00:1::fe dev eth0 advmss 1392
"""
FOU = """
set -e
ip fou add port 6080 gue
ip -6 fou add port 6080 gue
"""
NO_ARP = "sysctl -qw net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2"

# How packets come, and the shell lines of a real that takes them without a program of ours.
KINDS = {
    "receiver": ("ipip", None),
    "receiver-gue": ("gue", None),
    "tunnels": ("ipip", [TUNNELS]),
    "fou": ("gue", [TUNNELS, FOU]),
    "l2dsr": ("l2dsr", [NO_ARP]),
}


def prepare(lab, host, scripts):
    """What a real does that has no program: its shell lines, and the VIPs on lo."""
    for script in scripts:
        lab.run(host, script)
    for address in VIPS:
        lab.run(host, ["ip", "address", "add", f"{address}/128", "dev", "lo", "nodad",
                       "preferred_lft", "0"] if ":" in address else
                ["ip", "address", "add", f"{address}/32", "dev", "lo", "scope", "host"])


@pytest.fixture(scope="module", params=KINDS)
def lab(request, make_shared_lab):
    """A VIP for each combination of families, all with the same reals."""
    encap, scripts = KINDS[request.param]
    if scripts:
        subprocess.run(["modprobe", "-a", "ipip", "ip6_tunnel", "sit", "fou", "fou6"], check=True)
    made = make_shared_lab(reals=2)
    for host in made.reals:
        made.start_nginx(host)
        (made.dir / host / "www" / "files" / "big").write_bytes(FILE)
        if scripts:
            prepare(made, host, scripts)
        else:
            made.start_receiver(host, VIPS)
    made.daemon = made.start_daemon(config(
        vip(made.reals4),
        vip(made.reals6, "six-in-six", VIP6),
        vip(made.reals6, "four-in-six", MIXED4),
        vip(made.reals4, "six-in-four", MIXED6),
        encap=encap,
    ))
    for row in made.daemon.ctl_json("real", "list"):
        made.daemon.wait_states({row["address"]: "up"}, vip=row["vip"], deadline=30)
    return made


def url(address, path="/"):
    return f"http://[{address}]{path}" if ":" in address else f"http://{address}{path}"


@pytest.mark.parametrize("address", VIPS, ids=["4-in-4", "6-in-6", "4-in-6", "6-in-4"])
def test_every_real_answers_and_a_download_is_whole(lab, address):
    done = lab.run("client", ["curl", "-sf", "-m", "5", "-H", "Connection: close",
                              url(address, "/?[1-20]")], timeout=60)
    assert len(done.stdout.split()) == 20
    answers = set(done.stdout.split())
    assert answers == set(lab.reals)
    got = lab.run("client", f"curl -sf -m 30 {url(address, '/files/big')} | sha256sum", timeout=40)
    assert got.stdout.split()[0] == hashlib.sha256(FILE).hexdigest()


def test_a_reload_under_load_fails_no_request(lab):
    load = lab.popen("client", ["stdbuf", "-oL", "curl", "-s", "-o", "/dev/null",
                                "--connect-timeout", "5", "-m", "10", "-H", "Connection: close", "--rate", "20/s",
                                "-w", "%{http_code}\\n", url(VIP4, "/?[1-200]")],
                     stdout=subprocess.PIPE)
    assert load.stdout.readline() == "200\n"
    text = lab.daemon.config.read_text()
    changed = text.replace("six-in-four", "renamed")
    assert changed != text
    reloads = 0
    while load.poll() is None:
        lab.daemon.write_config(text if reloads % 2 else changed)
        rc, _, err = lab.daemon.ctl("reload", timeout=30)
        assert rc == 0, err
        reloads += 1
    assert reloads >= 2, "the load was over before the reloads were"
    assert load.stdout.read().split() == ["200"] * 199
