# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What is known of reals beside up and down outlives the daemon: ejections, advice, flaps."""

import json
import os
import signal
import time

import pytest

import test_drain
from lab import wait_for
from test_drain import PROBED, Clients, cure, deafen
from test_probe_agent import PORT, Agent
from traffic import answers, config, connections, replace, start, vip

EJECTION = {**test_drain.EJECTION, "time": "8s", "max_time": "1m"}
AGENT = {"type": "agent", "port": PORT, "interval": "200ms", "timeout": "1s", "fall": 100,
         "rise": 1}
HTTP = {"type": "http", "path": "/files/state", "interval": "100ms", "timeout": "5s", "fall": 2,
        "rise": 2}
ENDS = pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGKILL])


def written(daemon):
    """The records for the next daemon: {(VIP, address): record}."""
    path = daemon.state_dir / "standing.json"
    vips = json.loads(path.read_text())["reals"] if path.exists() else {}
    return {(name, address): record for name, reals in vips.items()
            for address, record in reals.items()}


def wait_written(daemon, real, *keys):
    """Until a record of a real has these parts: then even a crash loses nothing."""
    wait_for(lambda: set(keys) <= set(written(daemon).get(("web", real), {})), 15,
             f"{keys} of {real} are written: {written(daemon)}")


def start_again(daemon, sig, between=lambda: None):
    daemon.lab.stop(daemon.process, sig=sig)
    between()
    return daemon.lab.start_daemon(daemon.config.read_text(), state_dir=daemon.state_dir)


def say(lab, text, host="real1"):
    """What a real answers to a probe; None: 404."""
    state = lab.dir / host / "www" / "files" / "state"
    if text:
        replace(state, text)
    else:
        state.unlink(missing_ok=True)


# ---- ejections ----


@ENDS
@pytest.mark.limit_s(120)
def test_an_ejected_real_stays_so_for_the_rest_of_its_time(serving_lab, sig):
    lab, real = serving_lab, serving_lab.reals4[0]
    daemon = start(lab, config(vip(lab.reals4, ejection=EJECTION), health=PROBED))

    def row():
        return daemon.reals()[real]

    def state():
        return row()["circuit"]["state"]
    with Clients(lab, 24):
        deafen(lab, "real1")
        wait_for(lambda: state() == "open", 20, "real1 is ejected")
        ends_at = time.monotonic() + row()["circuit"]["left_ms"] / 1000
        wait_written(daemon, real, "circuit")
        before = row()
        daemon = start_again(daemon, sig)
        after = row()
        assert after["state"] == "ejected" and after["effective_weight"] == 0
        for key in ("ejections", "repeated_share", "others_share"):
            assert after["circuit"][key] == before["circuit"][key]
        assert 0 < after["circuit"]["left_ms"] < before["circuit"]["left_ms"]
        assert answers(lab) == {"real2", "real3"}
        assert row()["state"] == "ejected"
        assert row()["new_flows"] == before["new_flows"]
        wait_for(lambda: state() != "open", 20, "its time ends")
        assert ends_at - 0.5 < time.monotonic() < ends_at + 5
    assert f"real circuit half-open vip=web real={real}" in daemon.log_text()
    # Of its trial, too: it fails, now or with the next clients.
    with Clients(lab, 24):
        wait_for(lambda: row()["circuit"]["ejections"] == 2, 20, "real1 is ejected again")
    assert row()["circuit"]["left_ms"] > 8000
    cure(lab, "real1")


@ENDS
def test_a_real_on_trial_goes_on_with_the_weight_of_a_trial(serving_lab, sig):
    lab, real = serving_lab, serving_lab.reals4[0]
    state_dir = lab.dir / "state"
    state_dir.mkdir()
    (state_dir / "standing.json").write_text(json.dumps(
        {"reals": {"web": {real: {"circuit": {"state": "half-open", "ejections": 2}}}}}))
    daemon = start(lab, config(vip(lab.reals4, ejection=EJECTION), health=PROBED),
                   state_dir=state_dir)
    for _ in range(2):
        row = daemon.reals()[real]
        assert (row["state"], row["effective_weight"]) == ("up", 30)
        assert (row["circuit"]["state"], row["circuit"]["ejections"]) == ("half-open", 2)
        daemon = start_again(daemon, sig)


# ---- agents ----


# What the agents of the three reals say; state and weight that follow.
SAID = [("drain # backup runs", "drained", 0), ("75%", "up", 75), ("maint", "disabled", 0)]


@ENDS
def test_what_agents_said_holds_until_they_say_otherwise(serving_lab, sig):
    lab = serving_lab
    agents = [Agent(lab, host, text=f"{says}\n") for host, (says, _, _) in zip(lab.reals, SAID)]
    daemon = lab.start_daemon(config(vip(lab.reals4), health=AGENT))

    def seen():
        return [(row["reason"], row["state"].replace("draining", "drained"),
                 row["effective_weight"]) for row in daemon.ctl_json("real", "list")]
    expected = [(f"agent: {says}", state, weight) for says, state, weight in SAID]
    wait_for(lambda: seen() == expected, 15, f"the agents are heard: {seen()}")
    for real in lab.reals4:
        wait_written(daemon, real, "advice", "agent")
    new_flows = [row["new_flows"] for row in daemon.ctl_json("real", "list")]

    def silence():
        for agent in agents:
            agent.stop()
    daemon = start_again(daemon, sig, silence)
    assert seen() == expected
    # They cannot be asked: nobody has said otherwise.
    wait_for(lambda: all(row["probes"] for row in daemon.ctl_json("health", "list")), 15,
             "all are asked")
    assert seen() == expected
    assert answers(lab) == {"real2"}
    assert [row["new_flows"] for row in daemon.ctl_json("real", "list")][::2] == new_flows[::2]
    # "up" is about the service: it takes nothing back.
    agents = [Agent(lab, host) for host in lab.reals]
    wait_for(lambda: all(row["last_ok"] for row in daemon.ctl_json("health", "list")), 15,
             "all have answered")
    assert seen() == expected
    for agent in agents:
        agent.say("ready 100%\n")
    daemon.wait_states({real: "up" for real in lab.reals4})
    wait_for(lambda: not written(daemon), 15, f"nothing is left to remember: {written(daemon)}")


def test_an_agent_that_said_down_has_to_say_up(make_lab):
    lab = make_lab(reals=1)
    agent = Agent(lab, "real1", text="down\n")
    daemon = lab.start_daemon(config(vip(lab.reals4), health=AGENT))
    daemon.wait_states({lab.reals4[0]: "down"})
    wait_written(daemon, lab.reals4[0], "agent")
    daemon = start_again(daemon, signal.SIGKILL, lambda: agent.say("50%\n"))
    wait_for(lambda: daemon.ctl_json("health", "list")[0]["probes"] > 3, 15, "it is asked")
    assert daemon.reals()[lab.reals4[0]]["state"] == "down"
    agent.say("up\n")
    daemon.wait_states({lab.reals4[0]: "up"})


def test_a_clean_end_waits_for_nothing_to_be_written(make_lab):
    lab = make_lab(reals=1)
    agent = Agent(lab, "real1")
    daemon = lab.start_daemon(config(vip(lab.reals4), health={**AGENT, "interval": "50ms"}))
    # The second change falls into the pause after the first one's record.
    for weight in (50, 60):
        agent.say(f"{weight}%\n")
        wait_for(lambda: daemon.reals()[lab.reals4[0]]["effective_weight"] == weight, 15,
                 "the agent is heard")
    daemon = start_again(daemon, signal.SIGTERM, agent.stop)
    assert daemon.reals()[lab.reals4[0]]["effective_weight"] == 60


def test_what_is_known_of_a_real_goes_with_it(make_lab):
    lab = make_lab(reals=2)
    agents = [Agent(lab, host, text="drain\n") for host in lab.reals]
    daemon = lab.start_daemon(config(vip(lab.reals4), health=AGENT))
    for real in lab.reals4:
        wait_written(daemon, real, "advice")
    daemon.write_config(config(vip(lab.reals4[1:]), health=AGENT))
    daemon.ctl_json("reload", "--force")
    wait_for(lambda: set(written(daemon)) == {("web", lab.reals4[1])}, 15, "real1 is forgotten")
    # While nobody looks, real1 is there again: it begins anew.
    daemon.write_config(config(vip(lab.reals4), health=AGENT))
    for agent in agents:
        agent.stop()
    daemon = start_again(daemon, signal.SIGTERM)
    reals = daemon.reals()
    assert reals[lab.reals4[0]]["lowered_percent"] == 0
    assert reals[lab.reals4[1]]["reason"] == "agent: drain"
    assert reals[lab.reals4[0]]["reason"] is None or "drain" not in reals[lab.reals4[0]]["reason"]


# ---- degraded ----


@ENDS
def test_a_degraded_real_keeps_its_lower_weight(serving_lab, sig):
    lab, real = serving_lab, serving_lab.reals4[0]
    for host in lab.reals[1:]:
        say(lab, "well", host)
    daemon = start(lab, config(vip(lab.reals4), health={**HTTP, "degraded_status": [404],
                                                        "degraded_weight": "30%"}))

    def row():
        return daemon.reals()[real]
    wait_for(lambda: row()["effective_weight"] == 30, 15, "its weight is lowered")
    wait_written(daemon, real, "advice")
    with connections(lab, 20) as some:
        # Its probe hangs: nothing new is known of it.
        daemon = start_again(daemon, sig,
                             lambda: os.killpg(lab.nginx("real1").pid, signal.SIGSTOP))
        assert (row()["state"], row()["effective_weight"]) == ("up", 30)
        assert (row()["reason"], row()["lowered_percent"]) == ("degraded: status 404", 70)
        os.killpg(lab.nginx("real1").pid, signal.SIGCONT)
        say(lab, "well")
        wait_for(lambda: row()["effective_weight"] == 100, 15, "it is itself again")
        assert some.ask() == some.reals


# ---- flaps ----


@ENDS
def test_a_flapping_real_is_held_down_for_the_rest_of_its_time(make_lab, sig):
    lab = make_lab(reals=1)
    real = lab.reals4[0]
    lab.start_nginx("real1")
    say(lab, "well")
    daemon = start(lab, config(vip(lab.reals4),
                               health={**HTTP, "hold_down": "8s", "hold_down_max": "1h"}))

    def row():
        return daemon.reals()[real]
    for text, state in ((None, "down"), ("well", "up"), (None, "down")):
        say(lab, text)
        daemon.wait_states({real: state})
    wait_for(lambda: written(daemon).get(("web", real), {}).get("flaps", {}).get("count") == 2, 15,
             "two flaps are written")
    left = row()["held_down_ms"]
    began = time.monotonic()
    assert left > 5000
    say(lab, "well")
    daemon = start_again(daemon, sig)
    passed = (time.monotonic() - began) * 1000
    assert left - passed - 2000 < row()["held_down_ms"] < left
    assert (row()["state"], row()["flaps"]) == ("down", 2)
    wait_for(lambda: row()["successes"] > 4, 15, "it answers")
    assert row()["state"] == "down" and "held down" in daemon.ctl("real", "list")[1]
    daemon.wait_states({real: "up"})
    assert left - 500 < (time.monotonic() - began) * 1000 < left + 5000
    # The next one is the third.
    say(lab, None)
    daemon.wait_states({real: "down"})
    assert row()["flaps"] == 3 and row()["held_down_ms"] > 11000


# ---- since when ----


@ENDS
def test_a_real_is_down_since_before_the_restart(make_lab, sig):
    lab = make_lab(reals=2)
    down, up = lab.reals4
    for host in lab.reals:
        lab.start_nginx(host)
        say(lab, "well", host)
    daemon = start(lab, config(vip(lab.reals4), health=HTTP))
    say(lab, None)
    daemon.wait_states({down: "down"})
    wait_written(daemon, down, "verdict")
    assert set(written(daemon)) == {("web", down)}  # of one that is well there is nothing to say
    wait_for(lambda: daemon.reals()[down]["since_ms"] > 500, 15, "time passes")
    before = daemon.reals()
    # Its probe hangs: nothing new is known of it.
    daemon = start_again(daemon, sig, lambda: os.killpg(lab.nginx("real1").pid, signal.SIGSTOP))
    row = daemon.reals()[down]
    assert (row["state"], row["reason"]) == ("down", "status 404")
    for key in ("since_ms", "reason_since_ms"):
        assert before[down][key] <= row[key] < before[down][key] + 20000
    # Since it is up is known of the others after a clean end.
    assert (daemon.reals()[up]["since_ms"] > before[up]["since_ms"]) == (sig == signal.SIGTERM)
    os.killpg(lab.nginx("real1").pid, signal.SIGCONT)
    say(lab, "well")
    daemon.wait_states({down: "up"})
    [event] = [e for e in daemon.ctl_json("events") if e["what"] == "real_up"][-1:]
    assert event["real"] == down and event["for_ms"] > before[down]["since_ms"]
    wait_for(lambda: not written(daemon), 15, "nothing is left to say")


def test_after_a_detach_nothing_is_known_of_reals_that_were_well(make_lab):
    lab = make_lab(reals=1)
    lab.start_nginx("real1")
    say(lab, "well")
    daemon = start(lab, config(vip(lab.reals4), health=HTTP))
    os.killpg(lab.nginx("real1").pid, signal.SIGSTOP)
    daemon.ctl("detach")
    daemon.process.wait(10)
    daemon = lab.start_daemon(daemon.config.read_text(), state_dir=daemon.state_dir)
    row = daemon.reals()[lab.reals4[0]]
    assert (row["state"], row["reason"]) == ("unknown", None) and row["since_ms"] < 5000
    assert "no result yet" in daemon.ctl("real", "list")[1]


@ENDS
def test_a_real_that_is_assumed_up_is_still_assumed_so(make_lab, sig):
    lab = make_lab(reals=1)
    away = {**HTTP, "source": "10.1.0.200", "start": "up"}  # no address of ours: no probe is made
    daemon = start(lab, config(vip(lab.reals4), health=away))
    wait_written(daemon, lab.reals4[0], "verdict")
    daemon = start_again(daemon, sig)
    assert daemon.reals()[lab.reals4[0]]["assumed"]
    # Not proven: its first failure decides.
    daemon.write_config(config(vip(lab.reals4), health={**HTTP, "fall": 100}))
    daemon.ctl_json("reload")
    daemon.wait_states({lab.reals4[0]: "down"}, 8)


# ---- the file ----


def test_a_damaged_record_is_told_and_the_daemon_starts_without_it(lab):
    state_dir = lab.dir / "state"
    state_dir.mkdir()
    path = state_dir / "standing.json"
    for text, place in (('{"reals":\n{"web": }}', "2:9"), ("", "1:"), ('{"reals": []}', "1:1"),
                        ("[" * 100000, "1:")):
        path.write_text(text)
        daemon = lab.start_daemon(config(vip(lab.reals4), health={"type": "none"}),
                                  state_dir=state_dir)
        daemon.wait_states({real: "up" for real in lab.reals4})
        assert f"{path}:{place}" in daemon.log_text(), daemon.log_text()
        daemon.stop()
        assert json.loads(path.read_text()) == {"reals": {}}


def test_of_a_record_what_makes_sense_counts(lab):
    state_dir = lab.dir / "state"
    state_dir.mkdir()
    one, two, three = lab.reals4
    (state_dir / "standing.json").write_text(json.dumps({"reals": {
        "web": {one: {"circuit": {"state": "ajar"}},
                two: {"circuit": {"state": "open", "ejections": 1, "until_ms": 2**62}},
                three: {"circuit": "open"}, "10.9.9.9": {"advice": {"admin": "drain"}}},
        "gone": {two: {"advice": {"admin": "drain"}}},
        "odd": 7}}))
    daemon = lab.start_daemon(config(vip(lab.reals4, ejection=EJECTION), health={"type": "none"}),
                              state_dir=state_dir)
    daemon.wait_states({one: "up", two: "ejected", three: "up"})
    # A time that this configuration never gives becomes its longest.
    assert 50000 < daemon.reals()[two]["circuit"]["left_ms"] <= 60000
    for words in (f"reals.web.{one}: circuit: state: expected", f"reals.web.{three}: circuit: ",
                  "reals.odd: expected an object"):
        assert words in daemon.log_text()
    wait_for(lambda: set(written(daemon)) == {("web", two)}, 15, "the rest is gone")


def test_probes_alone_write_nothing_and_changes_at_most_once_a_second(make_lab):
    lab = make_lab(reals=1)
    agent = Agent(lab, "real1")
    daemon = lab.start_daemon(config(vip(lab.reals4), health={
        **AGENT, "interval": "50ms", "fast_interval": "50ms"}))
    path = daemon.state_dir / "standing.json"
    wait_for(lambda: daemon.ctl_json("health", "list")[0]["probes"] > 50, 15, "50 probes")
    assert not path.exists()
    inodes, words = [], 0
    end = time.monotonic() + 3.5
    while time.monotonic() < end:
        words += 1
        agent.say(f"{words % 90 + 1}%\n")
        time.sleep(0.05)
        inode = path.stat().st_ino if path.exists() else None
        if inode and inode not in inodes[-1:]:
            inodes.append(inode)
    assert words > 20
    assert 2 <= len(inodes) <= 5, inodes
    agent.say("50%\n")
    wait_for(lambda: written(daemon)[("web", lab.reals4[0])]["advice"]["lowered_percent"] == 50,
             15, "the last word is written")
