# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Probes through the data path on the kernel that runs: every encapsulation and combination of
families, to reals with xdplb-receiver and to reals that take headers off with the kernel's tunnels;
and scripts, whose sockets a program in their cgroup marks."""

import subprocess

import pytest

from conftest import make_shared_lab  # noqa: F401 (a fixture)
from probes import script
from test_tunnels import VIPS, decapsulate_with_tunnels
from traffic import config, vip

PROBE = {"type": "http", "path": "/healthz", "interval": "1s", "timeout": "900ms", "fall": 2,
         "rise": 1, "via": "tunnel"}
SCRIPTS = ("ipip-4-in-4", "gue-6-in-6")


@pytest.fixture(scope="module", params=["receiver", "kernel"])
def lab(request, make_shared_lab):
    made = make_shared_lab(reals=2, mtu=1500)
    if request.param == "kernel":
        subprocess.run(["modprobe", "-a", "ipip", "ip6_tunnel", "sit", "fou", "fou6"], check=True)
    for host in made.reals:
        made.start_nginx(host)
        if request.param == "kernel":
            decapsulate_with_tunnels(made, host)
        else:
            made.start_receiver(host, VIPS.values())
    probe = script(made, interval="20s", timeout="9s", via="tunnel")
    vips = [vip(made.reals4 if families.endswith("4") else made.reals6, f"{encap}-{families}",
                address, encap=encap, ring=251) for (encap, families), address in VIPS.items()]
    vips += [{**each, "name": f"{each['name']}-script", "port": 81, "health": probe}
             for each in vips if each["name"] in SCRIPTS]
    made.daemon = made.start_daemon(config(*vips, health=PROBE, gue={"gue_checksum6": "computed"}))
    return made


def wait_for_all(lab, first, second):
    for (encap, families) in VIPS:
        reals = lab.reals4 if families.endswith("4") else lab.reals6
        lab.daemon.wait_states({reals[0]: first, reals[1]: second}, 20, f"{encap}-{families}")
        if f"{encap}-{families}" in SCRIPTS:
            lab.daemon.wait_states({reals[0]: first, reals[1]: second}, 20,
                                   f"{encap}-{families}-script")


@pytest.mark.limit_s(300)
def test_reals_are_up_until_they_have_no_vip(lab):
    wait_for_all(lab, "up", "up")
    for address in VIPS.values():
        length = 128 if ":" in address else 32
        lab.run("real1", ["ip", "address", "del", f"{address}/{length}", "dev", "lo"])
    wait_for_all(lab, "down", "up")
