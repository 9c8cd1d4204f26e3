# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Ping of a VIP: answered by the balancer while the VIP is up, or as `echo` says."""

import re

import pytest

from lab import VIP4, VIP6, wait_for
from traffic import config, start, vip

VIPS = [VIP4, VIP6]


def services(lab, **keys):
    """Two VIPs with one address, and one of the other family. No probe waits long."""
    health = {"type": "http", "port": 80, "path": "/healthz", "interval": "100ms",
              "timeout": "1s", "fall": 2, "rise": 1}
    return config(vip(lab.reals4, **keys), vip(lab.reals4[:1], "other", port=81, **keys),
                  vip(lab.reals6, "web6", VIP6, **keys), health=health)


@pytest.fixture(scope="module")
def lab(make_shared_lab):
    made = make_shared_lab(reals=2)
    made.start_reals()
    made.daemon = start(made, services(made))
    return made


@pytest.fixture
def as_configured(lab):
    """The reals serve and the configuration is the usual one again afterwards."""
    yield
    for host in lab.reals:
        if lab.curl("http://127.0.0.1/healthz", host=host) is None:
            lab.start_nginx(host)
    reload(lab, services(lab))
    wait_for(lambda: all(row["state"] == "up" for row in lab.daemon.ctl_json("real", "list")),
             15, "all reals are up")


def reload(lab, text):
    lab.daemon.write_config(text)
    lab.daemon.ctl_json("reload")


def received(lab, address, wait, *options):
    """How many of three pings are answered."""
    done = lab.run(lab.client, ["ping", "-n", "-c", "3", "-i", "0.02", "-W", wait, *options,
                                address], check=False)
    return int(re.search(r" (\d) received", done.stdout)[1])


def is_answered(lab, address, *options):
    """Whether every ping is, however busy the machine."""
    return received(lab, address, 5, *options) == 3


def is_silent(lab, address):
    return received(lab, address, 0.3) == 0


def counted(lab, name):
    return lab.daemon.ctl_json("stats", "show")[name]


@pytest.mark.parametrize("address", VIPS)
@pytest.mark.parametrize("size", [0, 1, 56, 1400, 1452])
def test_a_ping_is_answered_with_what_it_carries(lab, address, size):
    before = counted(lab, "reply_echo")
    assert is_answered(lab, address, "-s", size)  # compares the data
    assert counted(lab, "reply_echo") == before + 3


def test_a_ping_with_options_is_answered(lab):
    assert is_answered(lab, VIP4, "-R")
    assert is_answered(lab, VIP4, "-T", "tsonly")


@pytest.mark.parametrize("address", VIPS)
def test_a_vip_that_is_down_is_silent_until_it_is_up_again(lab, as_configured, address):
    for host in lab.reals:
        lab.stop_nginx(host)
    wait_for(lambda: all(row["state"] == "down" for row in lab.daemon.ctl_json("real", "list")),
             15, "all reals are down")
    wait_for(lambda: is_silent(lab, address), 15, "the VIP is silent")
    before = counted(lab, "drop_echo")
    assert is_silent(lab, address)
    assert counted(lab, "drop_echo") == before + 3
    lab.start_nginx(lab.reals[0])
    wait_for(lambda: not is_silent(lab, address), 15, "the VIP answers")
    assert is_answered(lab, address)


def test_another_vip_with_the_address_keeps_it_up(lab, as_configured):
    for address in lab.reals4:
        lab.daemon.ctl_json("real", "disable", "web", address)
    assert is_answered(lab, VIP4)
    lab.daemon.ctl_json("real", "disable", "other", lab.reals4[0])
    wait_for(lambda: is_silent(lab, VIP4), 15, "the address is silent")
    for name, address in (("web", lab.reals4[0]), ("web", lab.reals4[1]), ("other", lab.reals4[0])):
        lab.daemon.ctl_json("real", "enable", name, address)
    wait_for(lambda: not is_silent(lab, VIP4), 15, "the address answers")
    assert is_answered(lab, VIP4)


@pytest.mark.parametrize("address", VIPS)
def test_a_reload_says_whether_there_are_answers(lab, as_configured, address):
    reload(lab, services(lab, echo="off"))
    assert is_silent(lab, address)
    reload(lab, services(lab, echo="always"))
    assert is_answered(lab, address)
    for host in lab.reals:
        lab.stop_nginx(host)
    wait_for(lambda: all(row["state"] == "down" for row in lab.daemon.ctl_json("real", "list")),
             15, "all reals are down")
    assert is_answered(lab, address)


def test_a_restarted_daemon_answers_as_before(lab, as_configured):
    lab.daemon.stop()
    assert is_answered(lab, VIP4)
    lab.daemon = start(lab, services(lab), state_dir=lab.daemon.state_dir)
    assert is_answered(lab, VIP4)
    assert is_answered(lab, VIP6)


@pytest.mark.parametrize("address", ["10.1.0.10", "fd00:1::10"])
def test_pings_of_other_addresses_reach_the_host(lab, address):
    before = counted(lab, "reply_echo")
    assert is_answered(lab, address)
    assert counted(lab, "reply_echo") == before


@pytest.mark.parametrize("address", VIPS)
def test_answers_are_limited_in_rate(lab, address):
    before = counted(lab, "drop_reply_limit")
    wait_for(lambda: lab.run(lab.client, ["ping", "-n", "-q", "-f", "-w", "1", "-l", "200", address],
                             check=False) and counted(lab, "drop_reply_limit") > before,
             15, "more pings than answers")
