# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The daemon ends, crashes and starts again; a second balancer picks as the first does."""

import shutil
import signal

import pytest

from lab import VIP4, VIP6, wait_for
from traffic import (CAPACITY, Connection, Load, answers, config, connections, start, vip, weighted)

ONCE = {"type": "http", "path": "/healthz", "interval": "30s", "timeout": "5s"}
NONE = {"type": "none"}


def start_again(lab, daemon):
    return lab.start_daemon(daemon.config.read_text(), state_dir=daemon.state_dir)


def end(lab, daemon, sig):
    lab.stop(daemon.process, sig=sig)
    return daemon.process.returncode


# ---- the daemon is not needed ----


@pytest.mark.parametrize("sig, status", [(signal.SIGTERM, 0), (signal.SIGKILL, -signal.SIGKILL)])
def test_traffic_goes_on_without_the_daemon(serving_lab, sig, status):
    lab = serving_lab
    daemon = start(lab, config(vip(lab.reals4), vip(lab.reals6, "web6", VIP6)))
    with connections(lab, 20) as some:
        assert end(lab, daemon, sig) == status
        assert daemon.ctl("status")[0] == 1
        assert some.ask() == some.reals
        assert answers(lab) == set(lab.reals)
        assert answers(lab, VIP6) == set(lab.reals)


def test_no_request_fails_while_the_daemon_is_killed_and_started_again(serving_lab):
    lab = serving_lab
    daemon = start(lab, config(vip(lab.reals4), capacity={**CAPACITY, "flows": "1M"}))
    load = Load(lab, None)
    for n in (5_000, 15_000, 25_000):
        wait_for(lambda: daemon.ctl_json("vip", "list")[0]["new_flows"] >= n, 20, f"{n} requests")
        end(lab, daemon, signal.SIGKILL)
        daemon = start_again(lab, daemon)
        assert load.is_running()
    assert load.finish() == 0


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGKILL])
def test_a_daemon_that_starts_again_goes_on_where_the_last_one_ended(serving_lab, sig):
    lab = serving_lab
    daemon = start(lab, config(vip(weighted(lab.reals4, 3, 2, 1)), vip(lab.reals6, "web6", VIP6)))
    assert daemon.ctl_json("status")["adopted"] is False
    with connections(lab, 20) as some:
        for real in lab.reals4:
            wait_for(lambda: daemon.reals("web")[real]["active_flows"] > 0, 15, "flows are counted")

        def seen():
            return {(row["vip"], row["address"]): [row[key] for key in (
                "state", "effective_weight", "active_flows", "new_flows", "packets", "bytes",
                "member_id")] for row in daemon.ctl_json("real", "list")}
        rings = [row["fingerprint"] for row in daemon.ctl_json("vip", "list")]
        wait_for(lambda: seen() == seen(), 15, "the last packet has come")
        before = seen()
        assert all(row[4] > 0 for (name, _), row in before.items() if name == "web")
        end(lab, daemon, sig)
        daemon = start_again(lab, daemon)
        assert daemon.ctl_json("status")["adopted"] is True
        assert daemon.ctl_json("status")["interfaces"][0]["attached"] is True
        wait_for(lambda: seen() == before, 15, f"what was there before: {before}, now {seen()}")
        assert [row["fingerprint"] for row in daemon.ctl_json("vip", "list")] == rings
        assert some.ask() == some.reals
        assert daemon.ctl_json("stats", "show")["flow_moved"] == 0


def test_a_stopped_daemon_takes_a_changed_file_when_it_starts(serving_lab):
    lab = serving_lab
    daemon = start(lab, config(vip(lab.reals4[:2])))
    with connections(lab, 20, reals=lab.reals[:2]) as some:
        daemon.stop()
        daemon.write_config(config(vip(lab.reals4[1:])))
        daemon = start_again(lab, daemon)
        daemon.wait_states({lab.reals4[2]: "up"})
        assert set(daemon.reals()) == set(lab.reals4[1:])
        assert some.ask() == some.reals
        assert answers(lab) == set(lab.reals[1:])


# ---- what was known of the reals ----


def test_a_real_stays_as_it_was_until_a_probe_proves_otherwise(serving_lab):
    lab = serving_lab
    lab.stop_nginx("real1")
    daemon = lab.start_daemon(config(vip(lab.reals4), health=ONCE))
    before = {lab.reals4[0]: "down", lab.reals4[1]: "up", lab.reals4[2]: "up"}
    daemon.wait_states(before)
    daemon.stop()
    # Now it is the other way round; the first probe finds out, but one is not `rise` or `fall`.
    lab.stop_nginx("real2")
    lab.start_nginx("real1")
    daemon = start_again(lab, daemon)

    def states():
        return {address: row["state"] for address, row in daemon.reals().items()}
    assert states() == before
    wait_for(lambda: all(row["probes"] for row in daemon.ctl_json("health", "list")), 15,
             "every real is probed")
    assert [row["last_ok"] for row in daemon.ctl_json("health", "list")] == [True, False, True]
    assert states() == before
    daemon.write_config(config(vip(lab.reals4)))
    daemon.ctl_json("reload")
    daemon.wait_states({lab.reals4[0]: "up", lab.reals4[1]: "down", lab.reals4[2]: "up"})


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGKILL])
def test_what_the_operator_said_outlives_the_daemon_and_the_data_plane(serving_lab, sig):
    lab = serving_lab
    daemon = start(lab, config(vip(lab.reals4), vip(lab.reals6, "web6", VIP6)))
    assert daemon.ctl("real", "drain", "web", lab.reals4[0])[0] == 0
    assert daemon.ctl("real", "disable", "web", lab.reals4[1])[0] == 0
    expected = {lab.reals4[0]: "drained", lab.reals4[1]: "disabled", lab.reals4[2]: "up"}
    daemon.wait_states(expected, vip="web")
    end(lab, daemon, sig)
    daemon = start_again(lab, daemon)
    daemon.wait_states(expected, vip="web")
    daemon.wait_states({real: "up" for real in lab.reals6}, vip="web6")
    assert answers(lab) == {"real3"}
    assert answers(lab, VIP6) == set(lab.reals)

    assert daemon.ctl("detach")[0] == 0
    assert daemon.process.wait(10) == 0
    daemon = start_again(lab, daemon)
    daemon.wait_states(expected, vip="web")
    assert daemon.ctl("real", "undrain", "web", lab.reals4[0])[0] == 0
    assert daemon.ctl("real", "enable", "web", lab.reals4[1])[0] == 0
    daemon.wait_states({real: "up" for real in lab.reals4}, vip="web")
    daemon.stop()
    daemon = start_again(lab, daemon)
    daemon.wait_states({real: "up" for real in lab.reals4}, vip="web")


def test_recorded_changes_that_cannot_be_read_are_an_error_with_their_place(lab):
    state_dir = lab.dir / "state"
    state_dir.mkdir()
    (state_dir / "runtime.json").write_text('{"reals": {"web": }}')
    daemon = lab.start_daemon(config(vip(lab.reals4)), state_dir=state_dir, wait=False)
    assert daemon.process.wait(10) == 1
    assert f"{state_dir}/runtime.json:1:" in daemon.log_text()
    assert not (lab.bpffs / "xdplb" / "prog").exists()


# ---- a second balancer ----


def fleet(lab, order=1, key_of=None):
    """A balancer with the key file of another one; it has the same VIPs and reals in its order."""
    state_dir = lab.dir / "state"
    state_dir.mkdir()
    if key_of:
        shutil.copy(key_of.state_dir / "flow-hash.key", state_dir)
    vips = [vip(weighted(lab.reals4, 100, 50, 10)[::order]),
            vip(lab.reals6[::order], "web6", VIP6),
            vip(weighted(lab.reals4, 5, 6, 7)[::order], "echo", VIP4, 5353, "udp")]
    daemon = lab.start_daemon(config(*vips[::order], health=NONE), state_dir=state_dir)
    for row in daemon.ctl_json("real", "list"):
        daemon.wait_states({row["address"]: "up"}, vip=row["vip"])
    return daemon


def fingerprints(daemon):
    return {row["name"]: row["fingerprint"] for row in daemon.ctl_json("vip", "list")}


def test_balancers_pick_alike_with_the_same_key_whatever_the_order_of_the_file(make_lab):
    labs = [make_lab(), make_lab()]
    for lab in labs:
        lab.start_reals()
    first = fleet(labs[0])
    second = fleet(labs[1], -1, first)
    assert fingerprints(first) == fingerprints(second)

    def picks(lab):
        """Who answers connections from given ports."""
        reals = []
        for port in range(30000, 30060):
            connection = Connection(lab, source_port=port)
            reals.append(connection.ask())
            connection.reset()
        return reals
    picked = picks(labs[0])
    assert picked == picks(labs[1])
    assert len(set(picked)) > 1


def test_another_key_makes_another_fingerprint(make_lab):
    labs = [make_lab(), make_lab()]
    first, second = fleet(labs[0]), fleet(labs[1])
    a, b = fingerprints(first), fingerprints(second)
    assert set(a) == set(b) and not set(a.values()) & set(b.values())
    # The key is nobody else's.
    assert (first.state_dir / "flow-hash.key").stat().st_mode & 0o777 == 0o600
