# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""VIPs of many ports and of prefixes: real clients, nginx behind them, and other ports at a reload."""

import pytest

from lab import VIP4, VIP6, wait_for
from traffic import Connection, config, start, vip

RANGE, INSIDE, OUTSIDE = range(8000, 8004), 8002, 8004
PREFIX4, PREFIX6 = "192.0.2.64/26", "2001:db8::ff00/120"
MEMBERS4, MEMBERS6 = ["192.0.2.64", "192.0.2.100", "192.0.2.127"], ["2001:db8::ff00", "2001:db8::ffff"]
NOT_MEMBER4 = "192.0.2.130"


@pytest.fixture(scope="module")
def lab(make_shared_lab):
    made = make_shared_lab()
    made.start_reals((VIP4, VIP6, *MEMBERS4, *MEMBERS6), [*RANGE, OUTSIDE, 9001])
    made.daemon = start(made, text(made))
    return made


def text(lab, ports="8000-8003"):
    return config(
        vip(lab.reals4, "range", VIP4, ports),
        vip(lab.reals4[:1], "inside", VIP4, INSIDE),
        vip(lab.reals6, "any6", VIP6, 0),
        vip(lab.reals4, "prefix4", PREFIX4, "80-8003"),
        vip(lab.reals6, "prefix6", PREFIX6, 0))


def url(address, port):
    return f"http://[{address}]:{port}/" if ":" in address else f"http://{address}:{port}/"


def test_every_port_of_a_range_is_served_and_no_other(lab):
    for port in RANGE:
        assert lab.curl(url(VIP4, port)) in lab.reals
    assert lab.curl(url(VIP4, OUTSIDE)) is None
    before = lab.daemon.ctl_json("stats", "show")["reply_reset"]
    with pytest.raises(ConnectionRefusedError):
        Connection(lab, VIP4, OUTSIDE)
    assert lab.daemon.ctl_json("stats", "show")["reply_reset"] > before


def test_one_port_inside_a_range_takes_precedence(lab):
    assert {lab.curl(url(VIP4, INSIDE)) for _ in range(12)} == {lab.reals[0]}
    assert len({lab.curl(url(VIP4, RANGE[0])) for _ in range(30)}) > 1


def test_any_port_is_served(lab):
    for port in (80, *RANGE, OUTSIDE, 9001):
        assert lab.curl(url(VIP6, port)) in lab.reals


@pytest.mark.parametrize("address", MEMBERS4 + MEMBERS6)
def test_an_address_of_a_prefix_is_served_as_itself(lab, address):
    where = "/seen-as/" + address
    host = lab.curl(url(address, 80) + where[1:])
    assert host in lab.reals
    row = wait_for(lambda: [r for r in lab.access_log(host) if r[2] == where], 15, "it is logged")
    assert row[0][1] == address


def test_an_address_beside_the_prefix_is_not_the_balancers(lab):
    before = lab.daemon.ctl_json("stats", "show")["pass_no_vip"]
    assert lab.curl(url(NOT_MEMBER4, 80), timeout=1) is None
    assert lab.daemon.ctl_json("stats", "show")["pass_no_vip"] > before


def test_they_are_shown_as_they_are_written(lab):
    shown = {row["name"]: (row["address"], row["port"]) for row in lab.daemon.ctl_json("vip", "list")}
    assert shown == {"range": (VIP4, "8000-8003"), "inside": (VIP4, INSIDE), "any6": (VIP6, 0),
                     "prefix4": (PREFIX4, "80-8003"), "prefix6": (PREFIX6, 0)}
    rows = {line.split()[0]: line.split()[1:3] for line in
            lab.daemon.ctl("vip", "list")[1].splitlines()}
    assert rows["range"] == [VIP4, "8000-8003"]
    assert rows["any6"] == [VIP6, "any"]
    assert rows["prefix4"] == [PREFIX4, "80-8003"]
    assert "any" in lab.daemon.ctl("vip", "show", "prefix6")[1]


def test_other_ports_keep_the_connections_that_still_fit(lab):
    def reload(ports):
        lab.daemon.write_config(text(lab, ports))
        return lab.daemon.ctl_json("reload")

    kept = [Connection(lab, VIP4, 8001) for _ in range(10)]
    lost = Connection(lab, VIP4, 8003)
    reals = [c.ask() for c in kept]
    lost.ask()
    try:
        for ports in ("7000-8003", "8001-9000", "8000-8001", 8001, "8001-8002"):
            changed = reload(ports)
            assert changed["vips_changed"] == 1
            assert changed["vips_added"] == changed["vips_removed"] == 0
            assert changed["reals_added"] == changed["reals_removed"] == 0
            assert [c.ask() for c in kept] == reals
        with pytest.raises(ConnectionResetError):
            lost.ask()
        assert {row["state"] for row in lab.daemon.ctl_json("real", "list")} == {"up"}
    finally:
        for c in [*kept, lost]:
            c.close()
        reload("8000-8003")
    assert lab.curl(url(VIP4, 8003)) in lab.reals
