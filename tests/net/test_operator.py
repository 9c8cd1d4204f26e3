# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What an operator does with xdplbctl while traffic flows: drain, disable, look, detach."""

import re
import time

import pytest

from lab import VIP4, VIP6, wait_for
from traffic import Connection, answers, config, connections, start, vip, weighted

QUICK = {"tcp": "1h", "tcp_closing": "1s", "tcp_unproven": "1s", "udp": "2s"}


@pytest.fixture
def daemon(serving_lab):
    lab = serving_lab
    return start(lab, config(vip(lab.reals4), vip(lab.reals6, "web6", VIP6), timeouts=QUICK))


@pytest.fixture(scope="module")
def watched(make_shared_lab):
    """A daemon whose state nobody changes."""
    lab = make_shared_lab()
    lab.start_reals()
    shared = start(lab, config(vip(weighted(lab.reals4, 100, 50, 0)),
                               vip(lab.reals6, "web6", VIP6)))
    assert answers(lab) == {"real1", "real2"}
    return shared


def ok(daemon, *words):
    rc, _, err = daemon.ctl(*words)
    assert (rc, err) == (0, "")


# ---- drain, disable and back ----


def test_a_drained_real_keeps_its_connections_gets_no_new_ones_and_says_when_it_is_empty(daemon):
    lab, real = daemon.lab, daemon.lab.reals4[0]
    with connections(lab, 40) as some:
        ok(daemon, "real", "drain", "web", real)
        assert answers(lab) == {"real2", "real3"}
        daemon.wait_states({real: "draining", lab.reals4[1]: "up", lab.reals4[2]: "up"}, vip="web")
        daemon.wait_states({address: "up" for address in lab.reals6}, vip="web6")
        row = daemon.reals("web")[real]
        assert row["effective_weight"] == 0 and row["admin"] == "drain"
        wait_for(lambda: daemon.reals("web")[real]["active_flows"] == len(some.of("real1")), 15,
                 "the connections are counted")
        assert some.ask() == some.reals
        kept, others = some.of("real1")[0], some.of("real1")[1:]
        for connection in others:
            connection.close()
        wait_for(lambda: daemon.reals("web")[real]["active_flows"] == 1, 30, "one is left")
        assert daemon.reals("web")[real]["state"] == "draining"
        assert kept.ask() == "real1"
        kept.close()
        daemon.wait_states({real: "drained"}, 30, vip="web")

    ok(daemon, "real", "undrain", "web", real)
    daemon.wait_states({real: "up"}, vip="web")
    assert answers(lab) == set(lab.reals)


def test_disabling_a_real_moves_its_flows_at_once_and_enabling_brings_it_back(daemon):
    lab, real = daemon.lab, daemon.lab.reals4[0]
    with connections(lab, 40) as some:
        ok(daemon, "real", "disable", "web", real)
        assert daemon.reals("web")[real]["state"] == "disabled"
        for connection in some.of("real1"):
            # Another real, which knows nothing of the connection.
            with pytest.raises(ConnectionResetError):
                connection.ask()
        for host in ("real2", "real3"):
            assert {connection.ask() for connection in some.of(host)} == {host}
        assert answers(lab) == {"real2", "real3"}
        assert answers(lab, VIP6) == set(lab.reals)
    assert daemon.ctl_json("stats", "show")["flow_moved"] > 0
    ok(daemon, "real", "enable", "web", real)
    daemon.wait_states({real: "up"}, vip="web")
    assert answers(lab) == set(lab.reals)


def test_disabled_and_drained_exclude_each_other_and_the_last_word_counts(daemon):
    lab, real = daemon.lab, daemon.lab.reals4[0]
    for words, state in ((("disable",), "disabled"), (("drain",), "drained"),
                         (("disable",), "disabled"), (("enable",), "up"), (("enable",), "up")):
        ok(daemon, "real", *words, "web", real)
        daemon.wait_states({real: state}, vip="web")
        assert ("real1" in answers(lab)) == (state == "up")


def test_a_vip_whose_reals_are_all_drained_still_serves_its_connections(daemon):
    lab = daemon.lab
    with connections(lab, 30) as some:
        for real in lab.reals4:
            ok(daemon, "real", "drain", "web", real)
        assert some.ask() == some.reals
        with pytest.raises(OSError):
            Connection(lab, timeout=1)
        assert daemon.ctl_json("stats", "show")["drop_no_real"] > 0
        assert {row["name"]: row["state"] for row in daemon.ctl_json("vip", "list")} == \
            {"web": "down", "web6": "up"}


def test_a_real_of_weight_0_gets_nothing_and_keeps_what_it_has(daemon):
    lab = daemon.lab
    with connections(lab, 30) as some:
        daemon.write_config(config(vip(weighted(lab.reals4, 0, 1, 1)), timeouts=QUICK))
        daemon.ctl_json("reload")
        assert answers(lab) == {"real2", "real3"}
        assert some.ask() == some.reals


# ---- looking ----


@pytest.mark.parametrize("words, said", [
    (("real", "drain", "nope", "10.1.0.1"), "nope"),
    (("real", "drain", "web", "10.9.9.9"), "10.9.9.9"),
    (("real", "disable", "web", "10.9.9.9"), "10.9.9.9"),
    (("real", "enable", "web", "fd00:1::1"), "fd00:1::1"),
    (("real", "undrain", "web", "10.1.0"), "10.1.0"),
    (("real", "show", "web", "10.9.9.9"), "10.9.9.9"),
    (("real", "list", "nope"), "nope"),
    (("vip", "show", "nope"), "nope"),
    (("health", "list", "nope"), "nope")])
def test_what_is_not_there_is_named_and_nothing_changes(watched, words, said):
    before = [(row["vip"], row["address"], row["state"])
              for row in watched.ctl_json("real", "list")]
    rc, out, err = watched.ctl(*words)
    assert (rc, out) == (1, "")
    assert said in err
    assert before == [(row["vip"], row["address"], row["state"])
                      for row in watched.ctl_json("real", "list")]


REAL = ("vip", "address", "weight", "effective_weight", "state", "active_flows", "new_flows",
        "packets", "bytes")
VIP = ("name", "address", "port", "protocol", "scheduler", "state", "reals_up", "reals", "packets",
       "bytes", "fingerprint")


@pytest.mark.parametrize("words, fields", [
    (("real", "list"), REAL),
    (("real", "list", "web"), REAL),
    (("real", "show", "web", "10.1.0.1"), (*REAL, "health")),
    (("vip", "list"), VIP),
    (("vip", "show", "web"), VIP),
    (("flow", "count"), ("flows",)),
    (("health", "list"), ("vip", "address", "type", "state")),
    (("stats", "show"), ("forwarded", "pass_no_vip", "drop_no_real", "drop_fragment",
                         "flow_inserted")),
    (("stats", "show", "--per-cpu"), ("forwarded", "per_cpu")),
    (("status",), ("version", "pid", "interfaces", "vips", "reals", "flows")),
    (("config", "show"), ("interfaces", "bpffs", "encap", "capacity", "vips"))])
def test_json_documents_have_their_fields(watched, words, fields):
    document = watched.ctl_json(*words)
    rows = document if isinstance(document, list) else [document]
    assert rows
    for row in rows:
        assert not set(fields) - set(row)


def test_lists_tell_what_is_configured_and_what_happens(watched):
    lab = watched.lab
    rows = watched.reals("web")
    assert list(rows) == lab.reals4
    assert [(row["weight"], row["effective_weight"], row["state"]) for row in rows.values()] == \
        [(100, 100, "up"), (50, 50, "up"), (0, 0, "up")]
    assert rows[lab.reals4[0]]["new_flows"] > rows[lab.reals4[2]]["new_flows"] == 0
    web, web6 = watched.ctl_json("vip", "list")
    assert (web["name"], web["address"], web["port"], web["protocol"], web["scheduler"]) == \
        ("web", VIP4, 80, "tcp", "maglev")
    assert (web["state"], web["reals_up"], web["reals"]) == ("up", 2, 3)
    assert (web6["address"], web6["reals_up"], web6["fingerprint"] != web["fingerprint"]) == \
        (VIP6, 3, True)


def test_status_tells_the_daemon_and_its_interface(watched):
    status = watched.ctl_json("status")
    [interface] = status["interfaces"]
    assert (interface["name"], interface["present"], interface["attached"]) == ("eth0", True, True)
    assert status["pid"] == watched.process.pid
    assert (status["vips"], status["vips_up"], status["reals"]) == (2, 2, 6)
    rc, text, _ = watched.ctl("status")
    assert rc == 0 and f"pid        {watched.process.pid}" in text


def test_a_cable_that_is_out_and_since_when_a_vip_is_down_are_told(serving_lab):
    lab = serving_lab
    daemon = start(lab, config(vip(lab.reals4), health={"type": "tcp", "interval": "100ms",
                                                        "timeout": "100ms", "fall": 2, "rise": 1}))
    def row():
        return daemon.ctl_json("vip", "list")[0]
    def up(state):
        wait_for(lambda: row()["state"] == state, 15, f"the VIP is {state}")
    lab.run("router", "ip link set balancer down")
    try:
        up("down")
        assert "eth0 native attached (no link)\n" in daemon.ctl("status")[1]
        assert "warning: interface link down interface=eth0\n" in daemon.log_text()
        assert "warning: vip down vip=web " in daemon.log_text()
        assert re.search(r" kernel link_down interface=eth0\n", daemon.ctl("events")[1])
        began = time.monotonic()
        wait_for(lambda: row()["since_ms"] >= 1500, 15, "it is down for a while")
        assert row()["since_ms"] <= 1000 * (time.monotonic() - began) + 15000
    finally:
        lab.run("router", "ip link set balancer up")
    up("up")
    assert row()["since_ms"] < 15000
    assert "eth0 native attached\n" in daemon.ctl("status")[1]
    assert "xdplbd: interface link up interface=eth0\n" in daemon.log_text()


def test_a_reload_warns_the_operator_and_the_log(daemon):
    daemon.write_config(config(vip(daemon.lab.reals4, backup_below="50%")))
    rc, out, err = daemon.ctl("reload")
    said = "vips[0].backup_below: the VIP has no backups: it changes nothing\n"
    assert rc == 0 and out.startswith("generation 2, ") and "warning" not in out
    assert err.startswith("xdplbctl: warning: ") and err.endswith(said)
    assert re.search(r"^xdplbd: warning: \S+:\d+:\d+: " + re.escape(said), daemon.log_text(), re.M)


def test_the_status_counts_vips_that_are_up_but_not_well(serving_lab):
    lab = serving_lab
    daemon = lab.start_daemon(config(vip([*lab.reals4, "10.1.0.77"], min_healthy="100%"), health={
        "type": "tcp", "port": 80, "interval": "100ms", "timeout": "100ms"}))
    daemon.wait_states({**dict.fromkeys(lab.reals4, "up"), "10.1.0.77": "down"})
    assert re.search(r"^vips +1 of 1 up, 1 degraded$", daemon.ctl("status")[1], re.M)
    assert re.search(r" degraded \S+s? +3 +4 .* 3 of 4 up, fewer than min_healthy 100%\n",
                     daemon.ctl("vip", "list")[1])


def test_without_a_daemon_every_command_says_so_and_fails(lab):
    daemon = lab.start_daemon(config(vip(lab.reals4)))
    daemon.stop()
    for words in (("status",), ("real", "list"), ("reload",), ("detach",)):
        rc, out, err = daemon.ctl(*words)
        assert (rc, out) == (1, "") and str(daemon.socket) in err


# ---- the end ----


def test_detach_removes_program_links_and_pins_and_ends_the_daemon(daemon):
    lab = daemon.lab
    pins = lab.bpffs / "xdplb"
    assert (pins / "prog").exists() and (pins / "link_eth0").exists()
    assert "prog/xdp" in lab.run(lab.balancer, ["ip", "link", "show", "eth0"]).stdout
    ok(daemon, "detach")
    assert daemon.process.wait(10) == 0
    assert daemon.log_text().endswith("xdplbd: ending\n")  # and not: packets go on
    assert not pins.exists()
    wait_for(lambda: "prog/xdp" not in lab.run(lab.balancer, ["ip", "link", "show", "eth0"]).stdout,
             15, "no program on the interface")
    # The host has its packets again: the VIP is an address of its own now.
    lab.run(lab.balancer, ["ip", "address", "add", f"{VIP4}/32", "dev", "lo"])
    lab.run(lab.client, ["ping", "-c1", "-W2", VIP4])
    # And everything can begin anew.
    again = start(lab, daemon.config.read_text(), state_dir=daemon.state_dir)
    assert again.ctl_json("status")["adopted"] is False
    assert answers(lab) == set(lab.reals)
