# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Every type of probe against every way in which a real server answers or does not, and reloads and
the daemon's end in the middle of each. What is peculiar to a type: test_probe_*.py, test_health.py."""

import contextlib
import re
import time

import pytest

from certificates import NAME, Certificates
from lab import ROOT, wait_for
from probes import start_bad
from test_probe_grpc import PLAIN, TLS, start_grpc
from test_probe_https import start_tls_nginx
from test_probes_dgram import ignore_ping, start_dnsmasq
from traffic import config, start_server, vip

NOBODY, DEAF, LATE = 9999, 9010, 9011
MUTE, GARBAGE, SHUT, SLOW, SLOW_TLS = 9001, 9002, 9003, 9004, 9005
AGENT, AGENT_SLOW = 7777, 7778
ECHO_LATE, ECHO_NOISE, AWAY = "10.1.0.102", "10.1.0.103", "10.1.0.104"
QUICK = {"interval": "200ms", "timeout": "3s", "fall": 2, "rise": 1}
IMPATIENT = {"timeout": "250ms"}  # slow servers take 300 ms or more

# What its reals do, in each column of MATRIX. "too slow" is slow, with a probe that does not wait.
CONDITIONS = ("up", "down", "slow", "too slow", "garbage", "half-closed", "never")
# A datagram has no half.
IMPOSSIBLE = {("udp", "half-closed"), ("dns", "half-closed"), ("icmp", "half-closed")}

CERTIFIED = {"host": NAME, "ca": "{certs}/ca.pem"}
GRPC_TLS = {"tls": True, "sni": NAME, "ca": "{certs}/ca.pem"}
REFUSED = "connect: Connection refused"
BROKEN_TLS = r"tls: handshake failed: .{5,}"


def command(line, **keys):
    return {"command": ["/bin/sh", "-c", line], **keys}


# Name of a row: keys of all its probes; by condition: further keys, state, last result as a
# regular expression. "at" is the real's address where it is not real1's.
MATRIX = {
    "tcp": ({}, {
        "up": ({"port": 80}, "up", "connected"),
        "down": ({"port": NOBODY}, "down", REFUSED),
        "slow": ({"port": LATE}, "up", "connected"),
        "too slow": ({"port": LATE}, "down", "connect_timeout"),
        # Nothing is read.
        "garbage": ({"port": GARBAGE}, "up", "connected"),
        "half-closed": ({"port": SHUT}, "up", "connected"),
        "never": ({"port": DEAF}, "down", "connect_timeout")}),
    "http": ({}, {
        "up": ({"port": 80, "path": "/healthz"}, "up", "status 200"),
        "down": ({"port": NOBODY}, "down", REFUSED),
        "slow": ({"port": SLOW}, "up", "status 200"),
        "too slow": ({"port": SLOW}, "down", "http_timeout"),
        "garbage": ({"port": GARBAGE}, "down", "bad_reply"),
        "half-closed": ({"port": SHUT}, "down", "bad_reply"),
        "never": ({"port": MUTE}, "down", "http_timeout")}),
    "https": (CERTIFIED, {
        "up": ({"port": 8443, "path": "/healthz"}, "up", "status 200"),
        "down": ({"port": NOBODY}, "down", REFUSED),
        "slow": ({"port": SLOW_TLS}, "up", "status 200"),
        "too slow": ({"port": SLOW_TLS}, "down", "http_timeout"),
        "garbage": ({"port": GARBAGE}, "down", BROKEN_TLS),
        "half-closed": ({"port": SHUT}, "down", BROKEN_TLS),
        "never": ({"port": MUTE}, "down", "tls_timeout")}),
    "grpc": ({"port": PLAIN}, {
        "up": ({}, "up", "SERVING"),
        "down": ({"port": NOBODY}, "down", REFUSED),
        "slow": ({"service": "slow"}, "up", "SERVING"),
        "too slow": ({"service": "slow"}, "down", "grpc_timeout"),
        "garbage": ({"port": GARBAGE}, "down", "bad_reply"),
        "half-closed": ({"port": SHUT}, "down", "bad_reply"),
        "never": ({"port": MUTE}, "down", "grpc_timeout")}),
    "grpc over TLS": ({**GRPC_TLS, "port": TLS}, {
        "up": ({}, "up", "SERVING"),
        "down": ({"port": NOBODY}, "down", REFUSED),
        "slow": ({"service": "slow"}, "up", "SERVING"),
        "too slow": ({"service": "slow"}, "down", "grpc_timeout"),
        "garbage": ({"port": GARBAGE}, "down", BROKEN_TLS),
        "half-closed": ({"port": SHUT}, "down", BROKEN_TLS),
        "never": ({"port": MUTE}, "down", "tls_timeout")}),
    "udp": ({"send": "ping", "expect": "ping"}, {
        "up": ({"port": 5353}, "up", "replied"),
        "down": ({"port": NOBODY}, "down", "Connection refused"),
        "slow": ({"port": 6353}, "up", "replied"),
        "too slow": ({"port": 6353}, "down", "no_reply"),
        "garbage": ({"port": 5401}, "down", "reply_mismatch"),
        "never": ({"port": 5402}, "down", "no_reply")}),
    "dns": ({"name": "www.example.org"}, {
        "up": ({"port": 53}, "up", "rcode NOERROR"),
        "down": ({"port": NOBODY}, "down", "Connection refused"),
        "slow": ({"port": 1053}, "up", "rcode NOERROR"),
        "too slow": ({"port": 1053}, "down", "no_reply"),
        "garbage": ({"port": 5401, **IMPATIENT}, "down", "bad_reply"),
        "never": ({"port": 5402}, "down", "no_reply")}),
    "icmp": ({}, {
        "up": ({"at": "10.1.0.2"}, "up", "replied"),
        "down": ({"at": AWAY}, "down", "no_reply|No route to host"),
        "slow": ({"at": ECHO_LATE}, "up", "replied"),
        "too slow": ({"at": ECHO_LATE}, "down", "no_reply"),
        "garbage": ({"at": ECHO_NOISE}, "down", "no_reply"),
        "never": ({}, "down", "no_reply")}),
    "script": ({}, {
        "up": (command("echo fine"), "up", "exit 0: fine"),
        "down": (command("echo lags; exit 3"), "down", "exit 3: lags"),
        "slow": (command("sleep 0.4"), "up", "exit 0"),
        "too slow": (command("sleep 0.4"), "down", "script_timeout"),
        # What it says is for people; how it ends decides.
        "garbage": (command(r"printf '\000\377\200 \033[31m'; exit 1"), "down",
                    r"exit 1: \?\?\? \?\[31m"),
        "half-closed": (command("exec >&- 2>&-; sleep 0.3"), "up", "exit 0"),
        "never": (command("sleep 1000"), "down", "script_timeout")}),
    "agent": ({"send": "hello\\n"}, {
        "up": ({"port": AGENT}, "up", "agent: up"),
        "down": ({"port": NOBODY}, "down", REFUSED),
        "slow": ({"port": AGENT_SLOW}, "up", "agent: up"),
        "too slow": ({"port": AGENT_SLOW}, "down", "agent_timeout"),
        "garbage": ({"port": GARBAGE}, "down", "agent: an empty line"),
        "half-closed": ({"port": SHUT}, "down", "agent: closed without a word"),
        "never": ({"port": MUTE}, "down", "agent_timeout")}),
}

# What is dropped on its way to real1: all to DEAF, and a connection's first SYN to LATE, so that
# it is there after a second.
LOSSES = f"""
table inet lost {{
    set seen {{ type inet_service; flags timeout; timeout 20s; }}
    chain in {{
        type filter hook input priority 0;
        tcp dport {DEAF} drop
        tcp dport {LATE} tcp flags syn tcp sport != @seen add @seen {{ tcp sport }} drop
    }}
}}
"""


def type_of(row):
    return row.partition(" ")[0]


def cells():
    return [(row, condition, *answers[condition]) for row, (_keys, answers) in MATRIX.items()
            for condition in CONDITIONS if condition in answers]


def name_of(row, condition):
    return f"{row}.{condition}".replace(" ", "_")


def probe(lab, row, given):
    """Keys of `health`."""
    keys = {"type": type_of(row), **QUICK, **MATRIX[row][0], **given}
    return {key: value.replace("{certs}", str(lab.certs.dir)) if isinstance(value, str) else value
            for key, value in keys.items() if key != "at"}


@pytest.fixture(scope="module", name="lab")
def fixture_lab(make_shared_lab):
    """real1 serves in every way, real2 does nothing but answer pings."""
    lab = make_shared_lab(reals=2)
    lab.dir.chmod(0o755)
    lab.certs = Certificates(lab.dir / "certs")
    lab.run("real1", ["nft", LOSSES])
    lab.run("real1", "sysctl -qw net.ipv4.icmp_ratelimit=0")  # each probe of a closed port is told
    lab.start_nginx("real1", ports=[LATE, DEAF])
    start_tls_nginx(lab, "real1", lab.certs)
    start_grpc(lab)
    start_dnsmasq(lab, "real1")
    for kind, port in (("udp-echo", 5353), ("udp-noise", 5401), ("udp-mute", 5402),
                       ("udp-late", 6353), ("udp-late", 1053)):
        start_server(lab, "real1", kind, port)
    for kind, port in (("mute", MUTE), ("garbage", GARBAGE), ("shut", SHUT), ("slow", SLOW)):
        start_bad(lab, "real1", kind, port)
    start_bad(lab, "real1", "slow", SLOW_TLS, lab.certs.path("good.pem"),
              lab.certs.path("good.key"))
    says = lab.dir / "says"
    says.write_text("up\n")
    start_bad(lab, "real1", "agent", AGENT, says)
    start_bad(lab, "real1", "agent-slow", AGENT_SLOW, says)
    # The kernel leaves pings to these two.
    ignore_ping(lab, 1)
    for kind, address in (("ping-late", ECHO_LATE), ("ping-noise", ECHO_NOISE)):
        lab.run("real1", ["ip", "address", "add", f"{address}/24", "dev", "eth0"])
        start_bad(lab, "real1", kind, address)
    return lab


@pytest.fixture(name="begin")
def fixture_begin(lab):
    """Starts a daemon; ends it with the test."""
    daemons = []

    def begin(text):
        daemons.append(lab.start_daemon(text))
        return daemons[-1]
    yield begin
    for daemon in daemons:
        if daemon.process.poll() is None:
            daemon.ctl("detach")
            daemon.process.wait(10)


def is_as_expected(have, state, text):
    return (have["state"], have["last_ok"]) == (state, state == "up") and \
        re.fullmatch(text, have["last_result"] or "") and have["probes"] >= 3


@pytest.fixture(scope="module", name="seen")
def fixture_seen(lab):
    """What a daemon with the probes of all cells says once each has its result, and 3 at least."""
    vips = [vip([given.get("at", lab.reals4[0])], name_of(row, condition), f"192.0.2.{i + 10}",
                ring=251,
                health=probe(lab, row, {**given, **(IMPATIENT if condition == "too slow" else {})}))
            for i, (row, condition, given, _state, _text) in enumerate(cells())]
    daemon = lab.start_daemon(config(*vips))

    def rows():
        return {row["vip"]: row for row in daemon.ctl_json("health", "list")}

    def all_as_expected(have):
        return all(is_as_expected(have[name_of(row, condition)], state, text)
                   for row, condition, _given, state, text in cells())
    # All at once, as it is but for a moment in which a busy machine lets one take too long. If it
    # never is, each row tells for itself.
    with contextlib.suppress(AssertionError):
        wait_for(lambda: all_as_expected(rows()), 40, "each has its result")
    seen = rows()
    daemon.ctl("detach")
    daemon.process.wait(10)
    return seen


@pytest.mark.parametrize("row, condition, state, text", [
    (row, condition, state, text) for row, condition, _given, state, text in cells()],
    ids=[name_of(*cell[:2]) for cell in cells()])
def test_a_probe_says_how_its_service_answers(seen, row, condition, state, text):
    have = seen[name_of(row, condition)]
    assert is_as_expected(have, state, text), have
    if condition == "slow":
        assert have["last_duration_ms"] >= 250


def test_no_cell_is_missing():
    schema = (ROOT / "docs/configuration.md").read_text()
    types = set(re.findall(r"`(\w+)`", re.search(r"^\| `type` \|([^|]*)\|", schema, re.M)[1]))
    assert {type_of(row) for row in MATRIX} == types - {"none"}
    empty = {(row, condition) for row, (_keys, answers) in MATRIX.items()
             for condition in CONDITIONS if condition not in answers}
    assert empty == IMPOSSIBLE


@pytest.mark.parametrize("row", MATRIX)
def test_a_reload_in_mid_probe_waits_for_nothing_and_concludes_nothing(lab, begin, row):
    hangs = probe(lab, row, {**MATRIX[row][1]["never"][0], "timeout": "20s"})
    well = {"type": "tcp", "port": 80}
    other = vip(lab.reals4[:1], "other", "192.0.2.11", health=well)

    def wanted(*health):
        return config(other, *[vip(lab.reals4[:1], health=each) for each in health])

    def target():
        """The number of the probe, which is under way."""
        def under_way():
            rows = {each["vip"]: each for each in daemon.ctl_json("health", "list")}
            return rows["web"]["next_in_ms"] == 0 and rows["web"]["type"] == hangs["type"] and \
                rows["web"]["target"]
        return wait_for(under_way, 15, "the probe is under way")
    daemon = begin(wanted(hangs))
    first = target()
    # The same, told otherwise, gone, back, of another kind, and back: always in mid-probe.
    for i, health in enumerate(([hangs], [{**hangs, "timeout": "21s"}], [], [hangs], [well],
                                [hangs])):
        daemon.write_config(wanted(*health))
        began = time.monotonic()
        daemon.ctl_json("reload", "--force")
        assert time.monotonic() - began < 5
        if health == [well]:
            daemon.wait_states({lab.reals4[0]: "up"}, vip="web")
        elif health:
            assert (target() == first) == (i == 0)  # one that is the same goes on
    # What was proven before counts until there is a result.
    assert daemon.reals("web")[lab.reals4[0]]["state"] == "up"
    assert "real down" not in daemon.log_text()
    began = time.monotonic()
    assert daemon.stop() == 0
    assert time.monotonic() - began < 5
