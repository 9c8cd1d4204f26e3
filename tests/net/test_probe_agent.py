# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Agents: what they say of a real is in force, and HAProxy takes the same words the same way."""

import pathlib
import signal
import socket
import subprocess

import pytest

from lab import wait_for
from traffic import answers, config, connections, replace, start, vip

SERVERS = pathlib.Path(__file__).with_name("probe_servers.py")
PORT = 7777
PROBE = {"type": "agent", "port": PORT, "interval": "200ms", "timeout": "1s", "fall": 3, "rise": 2}

HAPROXY_CONF = """
global
    stats socket {dir}/haproxy.sock level admin
defaults
    mode tcp
    timeout connect 1s
    timeout client 1s
    timeout server 1s
listen web
    bind 127.0.0.1:8099
    server real 127.0.0.1:80 weight 100 agent-check agent-port {port} agent-inter 200ms
"""


@pytest.fixture
def web(serving_lab):
    """Three reals that serve, with an agent on each; the first one's words are web.says."""
    lab = serving_lab
    lab.agents = {host: Agent(lab, host) for host in lab.reals}
    return lab


class Agent:
    """A process on a real that says on PORT what it is told to say."""

    def __init__(self, lab, host, kind="agent", port=PORT, text="up\n"):
        self.lab = lab
        self.file = lab.dir / f"{host}-{port}-says"
        self.file.write_text(text)
        arguments = [self.file] if kind.startswith("agent") else []
        self.process = lab.popen(host, ["/usr/bin/python3", "-E", "-S", SERVERS, kind, port,
                                        *arguments], stdout=subprocess.PIPE)
        assert self.process.stdout.readline() == "ready\n"

    def say(self, text):
        replace(self.file, text)

    def stop(self):
        self.lab.stop(self.process, sig=signal.SIGKILL)


def test_what_an_agent_says_is_in_force_until_it_says_otherwise(web):
    lab, real = web, web.reals4[0]
    agent = lab.agents["real1"]
    daemon = start(lab, config(vip(lab.reals4), health={**PROBE, "fall": 50, "rise": 50}))

    def row():
        return daemon.reals("web")[real]

    with connections(lab, 30) as some:
        agent.say("drain # backup runs\n")
        daemon.wait_states({real: "draining"})
        daemon.settle()
        assert row()["reason"] == "agent: drain # backup runs"
        assert (row()["effective_weight"], row()["admin"]) == (0, "enabled")
        # How long it has been up is another thing.
        assert row()["reason_since_ms"] < row()["since_ms"]
        assert answers(lab) == {"real2", "real3"}
        assert some.ask() == some.reals  # flows stay where they are
        # "up" is about the service: the drain goes on.
        agent.say("up\n")
        wait_for(lambda: row()["last_result"] == "agent: up", 15, "the agent is heard")
        assert (row()["state"], row()["reason"]) == ("draining", "agent: drain # backup runs")
        agent.say("ready\n")
        daemon.wait_states({real: "up"})

        agent.say("maint\n")
        daemon.wait_states({real: "disabled"})
        daemon.settle()
        for connection in some.of("real1"):
            with pytest.raises(ConnectionError):
                connection.ask()
        assert answers(lab) == {"real2", "real3"}
    agent.say("ready 25%\n")
    daemon.wait_states({real: "up"})
    wait_for(lambda: row()["effective_weight"] == 25, 15, "a quarter of the weight")
    agent.say("100%\n")
    wait_for(lambda: row()["effective_weight"] == 100, 15, "the whole weight")
    # Said, not inferred: fall and rise, which would take ten seconds, do not count.
    agent.say("down # disk full\n")
    daemon.wait_states({real: "down"}, 8)
    assert row()["reason"] == "agent: down # disk full"
    agent.say("up\n")
    daemon.wait_states({real: "up"}, 8)
    assert answers(lab) == set(lab.reals)
    log = daemon.log_text()
    assert f"real advice vip=web real={real} admin=drain lowered=0% " in log
    assert f"real advice vip=web real={real} admin=enabled lowered=75% " in log


def test_an_agent_that_cannot_be_asked_makes_its_real_down_after_fall(web):
    lab, real = web, web.reals4[0]
    daemon = start(lab, config(vip(lab.reals4), health=PROBE))
    lab.agents["real1"].say("drain\n")
    daemon.wait_states({real: "drained"}, 40)
    lab.agents["real1"].stop()
    daemon.wait_states({real: "down"})
    assert daemon.reals()[real]["reason"] == "connect: Connection refused"
    lab.agents["real1"] = Agent(lab, "real1", text="75%\n")
    # It does not say "ready", and nobody has forgotten.
    daemon.wait_states({real: "drained"}, 40)
    lab.agents["real1"].say("ready\n")
    daemon.wait_states({real: "up"})


def test_an_operator_and_an_agent_who_wants_less_is_heard(web):
    lab, real = web, web.reals4[0]
    daemon = start(lab, config(vip(lab.reals4), health=PROBE))
    daemon.ctl_json("real", "drain", "web", real)
    lab.agents["real1"].say("maint\n")
    daemon.wait_states({real: "disabled"})
    lab.agents["real1"].say("ready\n")
    daemon.wait_states({real: "drained"}, 40)
    lab.agents["real1"].say("drain\n")
    wait_for(lambda: daemon.reals()[real]["reason"] == "agent: drain", 15, "the agent is heard")
    daemon.ctl_json("real", "undrain", "web", real)
    assert daemon.reals()[real]["state"] == "drained"
    lab.agents["real1"].say("ready\n")
    daemon.wait_states({real: "up"})


# kind, what it says, state, reason
BAD = [
    ("agent", "up\n", "up", "agent: up"),
    ("agent-slow", "up 50%\n", "up", "agent: up 50%"),
    ("agent", "", "down", "agent: closed without a word"),
    ("agent", "up", "down", "agent: closed in the middle of a line"),
    ("agent", "x" * 100000, "down", "agent: line longer than 1024 bytes"),
    ("agent", "HTTP/1.1 200 OK\r\n", "down", "agent: not understood: HTTP/1.1 200 OK"),
    ("mute", "", "down", "agent_timeout"),
    ("garbage", "", "down", "agent_timeout"),  # waits to be told something
    ("shut", "", "down", "agent: closed without a word"),
]


def test_agents_that_answer_badly_make_their_real_down_and_say_why(make_lab):
    lab = make_lab(reals=1)
    lab.start_nginx("real1")
    for i, (kind, text, _state, _reason) in enumerate(BAD):
        Agent(lab, "real1", kind, 7000 + i, text)
    daemon = lab.start_daemon(config(*[
        vip(lab.reals4, f"row{i}", f"192.0.2.{i + 10}", ring=251, health={**PROBE,
                                                                        "port": 7000 + i})
        for i in range(len(BAD))]))
    for i, (_kind, _text, state, reason) in enumerate(BAD):
        daemon.wait_states({lab.reals4[0]: state}, vip=f"row{i}")
        assert daemon.reals(f"row{i}")[lab.reals4[0]]["reason"] == reason


def haproxy_says(path):
    """(operational state, administrative state, weight) of HAProxy's only server."""
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(str(path))
        s.sendall(b"show servers state web\n")
        text = b"".join(iter(lambda: s.recv(4096), b"")).decode()
    _version, header, row = text.strip().splitlines()
    fields = dict(zip(header.lstrip("# ").split(), row.split()))
    return (int(fields["srv_op_state"]), int(fields["srv_admin_state"]),
            int(fields["srv_uweight"]))


# line: our state and weight; HAProxy's operational state (0 stopped, 2 running), administrative
# state (1 maintenance, 8 drain) and weight. In this order: what is not said stays.
WORDS = [
    ("up", ("up", 100), (2, 0, 100)),
    ("75%", ("up", 75), (2, 0, 75)),
    ("down", ("down", 0), (0, 0, 75)),
    ("50%", ("down", 0), (0, 0, 50)),
    ("up # again", ("up", 50), (2, 0, 50)),
    ("drain", ("drained", 0), (2, 8, 50)),
    ("up", ("drained", 0), (2, 8, 50)),
    ("ready, 100%", ("up", 100), (2, 0, 100)),
    ("stopped", ("down", 0), (0, 0, 100)),
    ("UP", ("up", 100), (2, 0, 100)),
    ("fail", ("down", 0), (0, 0, 100)),
    ("up\t30%,ready", ("up", 30), (2, 0, 30)),
    ("maint", ("disabled", 0), (0, 1, 30)),
    ("ready up", ("up", 30), (2, 0, 30)),
    ("0%", ("drained", 0), (2, 0, 0)),
    ("100% maxconn:10", ("up", 100), (2, 0, 100)),
]


def heard(daemon, line):
    """Whether it was our turn since the agent began to say that: not every line changes a state."""
    health, = daemon.ctl_json("health", "list")
    return health["last_result"].startswith("agent: " + line.replace("\t", " "))


def test_haproxy_takes_the_same_words_the_same_way(make_lab):
    lab = make_lab(reals=1)
    lab.start_nginx("real1")
    agent = Agent(lab, "real1")
    conf = lab.dir / "haproxy.cfg"
    conf.write_text(HAPROXY_CONF.format(dir=lab.dir, port=PORT))
    lab.popen("real1", ["haproxy", "-db", "-f", conf])
    daemon = start(lab, config(vip(lab.reals4), health=PROBE))
    wait_for((lab.dir / "haproxy.sock").exists, 15, "HAProxy is there")
    for line, ours, theirs in WORDS:
        agent.say(line + "\n")

        def both():
            row = daemon.reals()[lab.reals4[0]]
            if not heard(daemon, line):
                return None
            return ((row["state"].replace("draining", "drained"), row["effective_weight"]),
                    haproxy_says(lab.dir / "haproxy.sock"))
        wait_for(lambda: both() == (ours, theirs), 15,
                 f"{line!r} means {ours} to us, {theirs} to HAProxy")
