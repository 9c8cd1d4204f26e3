# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""New configurations while packets flow: nothing is lost, nobody is moved, or nothing changes."""

import contextlib
import json
import os
import signal
import subprocess

import pytest
import yaml

from lab import VIP4, VIP6, wait_for
from traffic import (CAPACITY, Load, answers, busy_connection, config, connections, served_by,
                     served_since, start, vip, weighted)

OTHER4 = "192.0.2.20"


def fingerprints(daemon):
    return {row["name"]: row["fingerprint"] for row in daemon.ctl_json("vip", "list")}


def reload(daemon, text):
    """Reloads another configuration, which must be taken; returns what that changed."""
    daemon.write_config(text)
    return daemon.ctl_json("reload")


# ---- nothing is lost ----


@pytest.mark.limit_s(120)
def test_100000_requests_during_20_reloads_that_change_weights_lose_none(serving_lab):
    lab = serving_lab

    def weights(i):
        return config(vip(weighted(lab.reals4, 10 + 40 * i, 1000 - 40 * i, 500)),
                      capacity={**CAPACITY, "flows": "1M"})
    daemon = start(lab, weights(0))
    rings = set(fingerprints(daemon).values())
    before = served_by(lab)
    load = Load(lab, 100_000)
    for i in range(1, 21):
        # The reloads are spread over the load, whose last part is long enough for the last one.
        wait_for(lambda: daemon.ctl_json("vip", "list")[0]["new_flows"] >= i * 4000, 20,
                 f"{i * 4000} connections")
        assert reload(daemon, weights(i))["reals_changed"] >= 2
        rings.update(fingerprints(daemon).values())
        assert load.is_running()
    assert load.finish() == 0
    assert len(rings) == 21
    served_since(lab, before, 100_000)
    counters = daemon.ctl_json("stats", "show")
    assert {name: n for name, n in counters.items() if name.startswith("drop_") and n} == {}
    assert counters["flow_moved"] == 0


# ---- nobody is moved ----


def change_nothing(lab, daemon):
    reload(daemon, daemon.config.read_text())


def change_weights(lab, daemon):
    reload(daemon, config(vip(weighted(lab.reals4[:3], 1, 5, 1000))))


def change_ring_and_timeouts(lab, daemon):
    reload(daemon, config(vip(lab.reals4[:3], ring=251), timeouts={"tcp": "90s"}))


def add_a_real(lab, daemon):
    reload(daemon, config(vip(lab.reals4)))
    daemon.wait_states({lab.reals4[3]: "up"})


def remove_a_real(lab, daemon):
    reload(daemon, config(vip(lab.reals4[:2])))
    assert set(daemon.reals()) == set(lab.reals4[:2])


def drain_all_but_one(lab, daemon):
    for real in lab.reals4[1:3]:
        assert daemon.ctl("real", "drain", "web", real)[0] == 0


def stop_and_start(lab, daemon):
    daemon.stop()
    lab.start_daemon(daemon.config.read_text(), state_dir=daemon.state_dir)


def kill_and_start(lab, daemon):
    lab.stop(daemon.process, sig=signal.SIGKILL)
    lab.start_daemon(daemon.config.read_text(), state_dir=daemon.state_dir)


@pytest.mark.parametrize("change", [
    change_nothing, change_weights, change_ring_and_timeouts, add_a_real, remove_a_real,
    drain_all_but_one, stop_and_start, kill_and_start])
def test_established_connections_keep_their_real_through(make_lab, change):
    lab = make_lab(reals=4)
    lab.start_reals()
    daemon = start(lab, config(vip(lab.reals4[:3])))
    with connections(lab, 40, reals=lab.reals[:3]) as some, busy_connection(lab):
        change(lab, daemon)
        assert some.ask() == some.reals


def test_new_connections_follow_a_reload_at_once(serving_lab):
    lab = serving_lab
    daemon = start(lab, config(vip(lab.reals4)))
    for i in range(6):
        reload(daemon, config(vip(weighted(lab.reals4, *[int(i % 3 == n) for n in range(3)]))))
        assert answers(lab) == {lab.reals[i % 3]}


# ---- what a reload says and leaves alone ----


def vip_state(lab):
    """The map that says which half of which ring is in use."""
    return subprocess.check_output(["bpftool", "-j", "map", "dump", "pinned",
                                    lab.bpffs / "xdplb" / "maps" / "vip_state"])


def test_a_reload_of_the_same_configuration_changes_nothing(serving_lab):
    lab = serving_lab
    text = config(vip(weighted(lab.reals4, 3, 2, 1)), vip(lab.reals6, "web6", VIP6))
    daemon = start(lab, text)
    before = vip_state(lab), fingerprints(daemon), daemon.ctl_json("status")["interfaces"]
    assert json.loads(before[0])
    # The same reals and VIPs in another order are the same configuration.
    other = config(vip(lab.reals6[::-1], "web6", VIP6), vip(weighted(lab.reals4, 3, 2, 1)[::-1]))
    for again in (text, other):
        report = reload(daemon, again)
        assert {key: n for key, n in report.items() if n and key not in ("ok", "generation")} == {}
        assert before == (vip_state(lab), fingerprints(daemon),
                          daemon.ctl_json("status")["interfaces"])
    assert report["generation"] == 3


def test_a_vip_that_a_reload_adds_is_served_and_one_it_removes_is_passed_to_the_host(make_lab):
    lab = make_lab()
    lab.start_reals((VIP4, VIP6, OTHER4))
    web, other = vip(lab.reals4), vip(lab.reals4, "other", OTHER4)
    daemon = start(lab, config(web))
    lab.run(lab.balancer, ["ip", "address", "add", f"{OTHER4}/32", "dev", "lo"])
    lab.popen(lab.balancer, ["/usr/bin/python3", "-m", "http.server", "80"],
              cwd=lab.dir / "daemon1", stderr=subprocess.DEVNULL)

    def host_answers():
        return "xdplb.yaml" in (lab.curl(f"http://{OTHER4}/") or "")
    wait_for(host_answers, 15, "the host itself answers before")

    assert reload(daemon, config(web, other))["vips_added"] == 1
    for real in lab.reals4:
        daemon.wait_states({real: "up"}, vip="other")
    assert answers(lab, OTHER4) == set(lab.reals)

    assert reload(daemon, config(web))["vips_removed"] == 1
    assert host_answers()
    assert lab.curl(f"http://{VIP4}/") in lab.reals


# ---- what is refused ----

# What is written instead of what, and where the error points: at this word.
BAD = {
    "a weight with a unit": ("weight: 7", "weight: 7x", "7x"),
    "an unknown key": ("weight: 7", "wieght: 7", "wieght"),
    "a port beyond 65535": ("port: 80\n  protocol", "port: 70000\n  protocol", "70000"),
    "no address": ("10.1.0.2", "10.1.0.300", "10.1.0.300"),
    "a real twice": ("10.1.0.2", "10.1.0.1\n  - address: 10.1.0.1", None),
    "no such interface": ("name: eth0", "name: eth9", None),
    "a broken file": ("vips:", "vips: [", None),
}


def position(path, text, word):
    at = text.index(word)
    return f"{path}:{text.count(chr(10), 0, at) + 1}:{at - text.rfind(chr(10), 0, at)}: "


@pytest.fixture(scope="module")
def refusing(make_shared_lab):
    """A daemon that runs on a good configuration and must go on doing so."""
    lab = make_shared_lab(reals=2)
    lab.start_reals()
    daemon = start(lab, config(vip([lab.reals4[0], {"address": lab.reals4[1], "weight": 7}])))
    daemon.good = daemon.config.read_text()
    return daemon


def state(daemon):
    return (daemon.ctl_json("config", "show"), fingerprints(daemon), vip_state(daemon.lab),
            daemon.ctl_json("status")["generation"], daemon.ctl_json("status")["interfaces"])


# A file may be checked on a machine that has other interfaces.
@pytest.mark.parametrize("how, case", [
    (how, case) for how in ("reload", "SIGHUP", "config apply", "config check") for case in BAD
    if (how, case) != ("config check", "no such interface")])
def test_a_bad_file_is_refused_with_its_place_and_the_running_one_stays(refusing, how, case):
    daemon = refusing
    old, new, word = BAD[case]
    assert old in daemon.good
    bad = daemon.good.replace(old, new, 1)
    before, log = state(daemon), len(daemon.log_text())
    path = daemon.config
    if how.startswith("config"):
        path = daemon.config.with_name("other.yaml")
    path.write_text(bad)
    if how == "SIGHUP":
        os.kill(daemon.process.pid, signal.SIGHUP)
        said = wait_for(lambda: "refused" in daemon.log_text()[log:] and daemon.log_text()[log:],
                        15, "the daemon refuses the file")
    else:
        rc, out, said = daemon.ctl("reload") if how == "reload" else \
            daemon.ctl(*how.split(), path)
        assert (rc, out) == (1, "")
    assert (position(path, bad, word) if word else f"{path}:") in said
    assert state(daemon) == before
    assert daemon.lab.curl(f"http://{VIP4}/") in daemon.lab.reals


def test_a_reload_that_would_change_a_capacity_is_refused_with_the_reason(refusing):
    daemon = refusing
    before = state(daemon)
    daemon.config.write_text(daemon.good.replace("flows: 20k", "flows: 40k"))
    rc, _, said = daemon.ctl("reload")
    assert rc == 1 and "capacity.flows" in said and "detach" in said
    assert state(daemon) == before


def test_a_reload_that_removes_more_than_the_guard_allows_needs_force(serving_lab):
    lab = serving_lab
    guard = "guard: {max_removed: 40%}\n"
    daemon = start(lab, guard + config(vip(lab.reals4)))
    daemon.write_config(guard + config(vip(lab.reals4[:2])))  # a third
    assert daemon.ctl("reload")[0] == 0
    daemon.write_config(guard + config(vip(lab.reals4[:1])))  # half of what is left
    rc, _, said = daemon.ctl("reload")
    assert rc == 1
    assert "xdplb.yaml:1:22: guard.max_removed: 1 of 2 reals would go" in said
    assert set(daemon.reals()) == set(lab.reals4[:2])
    assert daemon.ctl("reload", "--force")[0] == 0
    assert set(daemon.reals()) == {lab.reals4[0]}


def test_sighup_takes_a_good_file(serving_lab):
    lab = serving_lab
    daemon = start(lab, config(vip(lab.reals4[:1])))
    daemon.write_config(config(vip(lab.reals4[1:2])))
    os.kill(daemon.process.pid, signal.SIGHUP)
    daemon.wait_states({lab.reals4[1]: "up"})
    assert lab.curl(f"http://{VIP4}/") == "real2"


# ---- xdplbctl config ----


def test_config_apply_holds_until_the_next_reload(serving_lab):
    lab = serving_lab
    daemon = start(lab, config(vip(lab.reals4[:1])))
    other = daemon.config.with_name("other.yaml")
    other.write_text(daemon.config.read_text().replace(lab.reals4[0], lab.reals4[1]))
    assert daemon.ctl("config", "apply", other)[0] == 0
    daemon.wait_states({lab.reals4[1]: "up"})
    assert lab.curl(f"http://{VIP4}/") == "real2"
    assert daemon.ctl("reload")[0] == 0
    daemon.wait_states({lab.reals4[0]: "up"})
    assert lab.curl(f"http://{VIP4}/") == "real1"


def test_what_config_show_prints_is_the_running_configuration(refusing):
    daemon = refusing
    rc, shown, _ = daemon.ctl("config", "show")
    assert rc == 0
    [web] = yaml.safe_load(shown)["vips"]
    assert (web["name"], web["address"], web["port"]) == ("web", VIP4, 80)
    assert [(real["address"], real["weight"]) for real in web["reals"]] == \
        [(daemon.lab.reals4[0], 100), (daemon.lab.reals4[1], 7)]
    before = state(daemon)[:3]
    daemon.config.write_text(shown)
    report = daemon.ctl_json("reload")
    assert {key: n for key, n in report.items() if n and key not in ("ok", "generation")} == {}
    assert state(daemon)[:3] == before


# ---- what cannot be applied ----


@contextlib.contextmanager
def full_map(path):
    """Meanwhile somebody else's entries leave no room in a pinned hash map."""
    shown = json.loads(subprocess.check_output(["bpftool", "-j", "map", "show", "pinned", path]))
    value = ["0"] * shown["bytes_value"]
    keys = [[*map(str, n.to_bytes(shown["bytes_key"], "big"))]
            for n in range(1, shown["max_entries"] + 1)]
    added = []
    try:
        for key in keys:
            if subprocess.run(["bpftool", "map", "update", "pinned", path, "key", *key, "value",
                               *value, "any"], capture_output=True).returncode:
                break
            added.append(key)
        assert 0 < len(added) < len(keys)
        yield
    finally:
        for key in added:
            subprocess.run(["bpftool", "map", "delete", "pinned", path, "key", *key], check=True)


def test_a_reload_that_cannot_be_applied_whole_says_so_and_the_next_one_can(make_lab):
    lab = make_lab()
    lab.start_reals((VIP4, VIP6, OTHER4))
    small = {**CAPACITY, "vips": 4}
    one = vip(lab.reals4)
    daemon = start(lab, config(one, capacity=small))
    with connections(lab, 20) as held, full_map(lab.bpffs / "xdplb/maps/vips"):
        daemon.write_config(config(one, vip(lab.reals4, "other", OTHER4), capacity=small))
        rc, _, said = daemon.ctl("reload")
        assert rc == 1
        assert "in force, but not all of it; the next reload tries again: VIP 192.0.2.20:80: " in said
        assert "reload incomplete" in daemon.log_text()
        assert "reload refused" not in daemon.log_text()
        assert '"config_incomplete"' in (daemon.state_dir / "audit.log").read_text()
        assert held.ask() == held.reals and len(answers(lab)) == 3
    assert daemon.ctl("reload")[0] == 0
    wait_for(lambda: len(answers(lab, OTHER4)) == 3, 15, "the other VIP serves")
