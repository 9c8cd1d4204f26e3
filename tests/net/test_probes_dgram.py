# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Probes by UDP, DNS, ICMP echo and script, against real services that answer well, badly, late or
never; and where probes come from."""

import contextlib
import os
import pathlib
import re
import signal
import socket
import time

import pytest

from lab import ROOT, wait_for
from traffic import config, start_server, vip

SOURCE4, SOURCE6 = "10.1.0.99", "fd00:1::99"
QUICK = {"interval": "100ms", "timeout": "1s", "fall": 2, "rise": 1}
DNS = {"type": "dns", "name": "www.example.org"}
UDP = {"type": "udp", "send": "ping"}


def start_dnsmasq(lab, host):
    """An authority for www.example.org, and for nothing else of example.org."""
    process = lab.popen(host, ["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null",
                               "--no-resolv", "--no-hosts", "--user=root", "--pid-file=",
                               "--local=/example.org/", "--bind-interfaces",
                               "--host-record=www.example.org,192.0.2.80"])
    wait_for(lambda: lab.run(host, "ss -uln | grep -q ':53 '", check=False).returncode == 0, 15,
             "dnsmasq listens")
    return process


@pytest.fixture(scope="module")
def services(make_shared_lab):
    """One real with every service there is."""
    lab = make_shared_lab(reals=1)
    lab.start_nginx("real1")
    lab.dnsmasq = start_dnsmasq(lab, "real1")
    lab.echo = start_server(lab, "real1", "udp-echo", 5353)
    start_server(lab, "real1", "udp-noise", 5401)
    start_server(lab, "real1", "udp-mute", 5402)
    start_server(lab, "real1", "udp-late", 6353)  # before the echo
    start_server(lab, "real1", "udp-late", 1053)  # before dnsmasq
    lab.run("balancer", f"ip address add {SOURCE4}/24 dev eth0; "
                        f"ip address add {SOURCE6}/64 dev eth0 nodad")
    lab.dir.chmod(0o755)
    return lab


@pytest.fixture
def daemon_of(services):
    """Starts a daemon whose VIPs, by name, have these probes of real1; ends it with the test."""
    started = []

    def begin(probes, reals=None, **options):
        daemon = services.start_daemon(probe_config(services, probes, reals), **options)
        started.append(daemon)
        return daemon
    yield begin
    for daemon in started:
        if daemon.process.poll() is None:
            daemon.ctl("detach")
            daemon.process.wait(10)


def probe_config(lab, probes, reals=None):
    vips = [vip(reals or ([lab.reals6[0]] if name.endswith("6") else [lab.reals4[0]]), name,
                f"192.0.2.{10 + i}", health={**QUICK, **probe})
            for i, (name, probe) in enumerate(probes.items())]
    return config(*vips, health={"type": "none"}, ring=4093)


def standing(daemon):
    """By VIP: state and last result."""
    return {row["vip"]: (row["state"], row["last_result"])
            for row in daemon.ctl_json("health", "list")}


def script(line, **keys):
    return {"type": "script", "command": ["/bin/sh", "-c", line], **keys}


# name: probe, state, last result
RESULTS = {
    "udp": ({**UDP, "port": 5353}, "up", "replied"),
    "udp-6": ({**UDP, "port": 5353, "expect": "ping"}, "up", "replied"),
    "udp-expected": ({**UDP, "port": 5353, "expect": r"\x72eal1 10"}, "up", "replied"),
    "udp-unexpected": ({**UDP, "port": 5353, "expect": "real2"}, "down", "reply_mismatch"),
    "udp-noise": ({**UDP, "port": 5401, "expect": "ping"}, "down", "reply_mismatch"),
    "udp-nobody": ({**UDP, "port": 5999}, "down", "Connection refused"),
    "udp-nobody6": ({**UDP, "port": 5999}, "down", "Connection refused"),
    "udp-mute": ({**UDP, "port": 5402, "timeout": "200ms"}, "down", "no_reply"),
    "udp-late": ({**UDP, "port": 6353, "timeout": "3s"}, "up", "replied"),
    "udp-too-late": ({**UDP, "port": 6353, "timeout": "200ms"}, "down", "no_reply"),
    "dns": ({**DNS, "port": 53}, "up", "rcode NOERROR"),
    "dns-6": ({**DNS, "port": 53}, "up", "rcode NOERROR"),
    "dns-other-type": ({**DNS, "port": 53, "rrtype": "MX"}, "down", "no_answer"),
    "dns-noerror": ({**DNS, "port": 53, "rrtype": "MX", "expect": "NOERROR"}, "up",
                    "rcode NOERROR"),
    "dns-no-name": ({**DNS, "port": 53, "name": "no.example.org"}, "down", "rcode NXDOMAIN"),
    "dns-nxdomain": ({**DNS, "port": 53, "name": "no.example.org", "expect": "NXDOMAIN"}, "up",
                     "rcode NXDOMAIN"),
    "dns-refused": ({**DNS, "port": 53, "name": "example.net"}, "down", "rcode REFUSED"),
    "dns-nobody": ({**DNS, "port": 5999}, "down", "Connection refused"),
    "dns-noise": ({**DNS, "port": 5401, "timeout": "200ms"}, "down", "bad_reply"),
    "dns-echo": ({**DNS, "port": 5353, "timeout": "200ms"}, "down", "bad_reply"),
    "dns-mute": ({**DNS, "port": 5402, "timeout": "200ms"}, "down", "no_reply"),
    "dns-late": ({**DNS, "port": 1053, "timeout": "3s"}, "up", "rcode NOERROR"),
    "dns-too-late": ({**DNS, "port": 1053, "timeout": "200ms"}, "down", "no_reply"),
    "icmp": ({"type": "icmp"}, "up", "replied"),
    "icmp-6": ({"type": "icmp"}, "up", "replied"),
    "icmp-source": ({"type": "icmp", "source": SOURCE4}, "up", "replied"),
    "icmp-source-6": ({"type": "icmp", "source": SOURCE6}, "up", "replied"),
    "script": (script("echo $XDPLB_REAL_ADDRESS $XDPLB_REAL_PORT; id -u"), "up",
               "exit 0: 10.1.0.1 80"),
    "script-6": (script("echo $XDPLB_REAL_ADDRESS $XDPLB_REAL_PORT", port=81), "up",
                 "exit 0: fd00:1::1 81"),
    "script-user": (script("id -un", user="daemon"), "up", "exit 0: daemon"),
    "script-fails": (script("echo lags; exit 3"), "down", "exit 3: lags"),
    "script-late": (script("sleep 0.4"), "up", "exit 0"),
    "script-noise": (script("yes no"), "down", "too much output: no"),
    "script-hangs": (script("echo waiting; sleep 1000", timeout="300ms"), "down",
                     "script_timeout: waiting"),
    "source-udp": ({**UDP, "port": 5353, "source": SOURCE4, "expect": SOURCE4}, "up", "replied"),
    "source-udp-6": ({**UDP, "port": 5353, "source": SOURCE6, "expect": SOURCE6}, "up",
                     "replied"),
    "source-dns": ({**DNS, "port": 53, "source": SOURCE4}, "up", "rcode NOERROR"),
    "source-tcp": ({"type": "tcp", "port": 80, "source": SOURCE4}, "up", "connected"),
    "source-http": ({"type": "http", "path": "/from4", "source": SOURCE4}, "up", "status 200"),
    "source-http-6": ({"type": "http", "path": "/from6", "source": SOURCE6}, "up", "status 200"),
}


@pytest.fixture(scope="module")
def all_results(services):
    """What a daemon with all probes of RESULTS says when every one has its verdict."""
    daemon = services.start_daemon(probe_config(services,
                                                {name: row[0] for name, row in RESULTS.items()}))
    # All at once, as it is but for a moment in which a busy machine lets one take too long. If it
    # never is, the tests say which.
    with contextlib.suppress(AssertionError):
        wait_for(lambda: standing(daemon) == {name: row[1:] for name, row in RESULTS.items()}, 30,
                 "every probe has its result")
    seen = standing(daemon)
    daemon.ctl("detach")
    daemon.process.wait(10)
    return seen


@pytest.mark.parametrize("name", RESULTS)
def test_a_probe_tells_how_its_service_answers(all_results, name):
    assert all_results[name] == RESULTS[name][1:]


def test_http_probes_come_from_their_source(services, all_results):
    clients = {(row[2], row[0]) for row in services.access_log("real1") if "/from" in row[2]}
    assert clients == {("/from4", SOURCE4), ("/from6", SOURCE6)}


def test_a_source_that_is_not_ours_says_nothing_of_the_real(daemon_of):
    away = "10.1.0.200"
    daemon = daemon_of({"tcp": {"type": "tcp", "source": away}, "icmp": {"type": "icmp",
                                                                        "source": away},
                        "http": {"type": "http", "source": away},
                        "https": {"type": "https", "source": away, "verify": False},
                        "grpc": {"type": "grpc", "source": away},
                        "agent": {"type": "agent", "source": away, "port": 80},
                        "udp": {**UDP, "source": away}, "dns": {**DNS, "source": away}})
    wait_for(lambda: all(text for _, text in standing(daemon).values()), 15, "all were tried")
    assert set(standing(daemon).values()) == \
        {("unknown", f"not probed: source: {away} is no address of this host")}


@pytest.mark.parametrize("kind", ["tcp", "http", "agent"])
def test_a_balancer_without_a_free_port_says_nothing_of_the_real(services, daemon_of, kind):
    """There is one port, and somebody else has it."""
    lab = services
    ports = lab.run("balancer", "sysctl -n net.ipv4.ip_local_port_range").stdout.split()
    with lab.inside("balancer"):
        other = socket.create_server(("", 0))
    port = other.getsockname()[1]
    lab.run("balancer", f"sysctl -qw net.ipv4.ip_local_port_range='{port} {port}'")
    try:
        daemon = daemon_of({"probed": {"type": kind, "port": 80, "fall": 1}})
        said = "not probed: connect: Cannot assign requested address"
        wait_for(lambda: {text for _, text in standing(daemon).values()} == {said}, 15, said)
        rows = daemon.ctl_json("health", "list")
        assert {row["probe_failures"] for row in rows} == {0}
        assert "down" not in {row["state"] for row in rows}
    finally:
        other.close()
        lab.run("balancer", ["sysctl", "-qw",
                             f"net.ipv4.ip_local_port_range={' '.join(ports)}"])


# ---- down and up again ----


def ignore_ping(lab, value):
    lab.run("real1", f"sysctl -qw net.ipv4.icmp_echo_ignore_all={value}; "
                     f"sysctl -qw net.ipv6.icmp.echo_ignore_all={value}")


def stop_echo(lab):
    lab.stop(lab.echo, sig=signal.SIGKILL)


def start_echo(lab):
    lab.echo = start_server(lab, "real1", "udp-echo", 5353)


@pytest.mark.parametrize("probe, fail, mend, reason", [
    ({**UDP, "port": 5353, "expect": "real1"}, stop_echo, start_echo, "Connection refused"),
    ({**UDP, "port": 5353, "expect": "real1"},
     lambda lab: os.killpg(lab.echo.pid, signal.SIGSTOP),
     lambda lab: os.killpg(lab.echo.pid, signal.SIGCONT), "no_reply"),
    ({**DNS, "port": 53}, lambda lab: os.killpg(lab.dnsmasq.pid, signal.SIGSTOP),
     lambda lab: os.killpg(lab.dnsmasq.pid, signal.SIGCONT), "no_reply"),
    ({"type": "icmp"}, lambda lab: ignore_ping(lab, 1), lambda lab: ignore_ping(lab, 0),
     "no_reply"),
    ({"type": "icmp"}, lambda lab: lab.run(
        "real1", "nft add table inet lost; nft 'add chain inet lost in "
                 "{ type filter hook input priority 0; policy drop; }'"),
     lambda lab: lab.run("real1", "nft delete table inet lost"), "no_reply"),
    (script("test -e {dir}/well || exit 2"), lambda lab: (lab.dir / "well").unlink(),
     lambda lab: (lab.dir / "well").touch(), "exit 2"),
], ids=["udp-killed", "udp-frozen", "dns-frozen", "icmp-ignored", "icmp-lost", "script"])
def test_a_real_goes_down_and_comes_back(services, daemon_of, probe, fail, mend, reason):
    lab = services
    (lab.dir / "well").touch()
    probe = {key: [word.replace("{dir}", str(lab.dir)) for word in value]
             if key == "command" else value for key, value in probe.items()}
    daemon = daemon_of({"probed": {**probe, "timeout": "300ms"}})
    daemon.wait_states({lab.reals4[0]: "up"})
    fail(lab)
    try:
        wait_for(lambda: standing(daemon)["probed"] == ("down", reason), 15, f"down: {reason}")
    finally:
        mend(lab)
    daemon.wait_states({lab.reals4[0]: "up"})


def test_ping_probes_share_a_socket_of_their_family(services, daemon_of):
    probes = {f"icmp-{i}-": {"type": "icmp", "fall": 2 + i} for i in range(20)}
    daemon = daemon_of(probes)
    wait_for(lambda: all(state == "up" for state, _ in standing(daemon).values()), 15, "all up")
    out = services.run("balancer", "ss -wap").stdout + services.run("balancer", "ss -uap").stdout
    mine = [line for line in out.splitlines() if f"pid={daemon.process.pid}," in line]
    assert len([line for line in mine if "icmp" in line]) == 1, out


# ---- scripts ----


def write_script(lab, name, text):
    path = lab.dir / name
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)
    return path


def open_dir(lab, name):
    """A directory in which a script may write."""
    path = lab.dir / name
    path.mkdir(exist_ok=True)
    path.chmod(0o777)
    return path


def is_alive(pid):
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def test_a_script_has_another_uid_and_no_capabilities(services, daemon_of):
    where = open_dir(services, "status")
    path = write_script(services, "show", f"cat /proc/self/status >{where}/new\n"
                                          f"mv {where}/new {where}/seen\n")
    daemon_of({"script": {"type": "script", "command": str(path)}})
    wait_for((where / "seen").exists, 15, "the script has run")
    status = dict(re.findall(r"^(\w+):[ \t]*(.*?) *$", (where / "seen").read_text(), re.M))
    assert status["Uid"].split() == ["65534"] * 4
    assert status["Gid"].split() == ["65534"] * 4
    assert status["Groups"] == ""
    assert {status[f"Cap{kind}"] for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb")} == {"0" * 16}
    assert status["NoNewPrivs"] == "1"
    assert (status["SigBlk"], status["SigIgn"]) == ("0" * 16, "0" * 16)


FAMILY = """trap '' TERM INT HUP
sleep 1000 & a=$!
sh -c 'trap "" TERM; sleep 1000; true' & b=$!
echo $$ $a $b >{dir}/new; mv {dir}/new {dir}/pids
while :; do sleep 1000; done
"""


def family(lab, name):
    """A script that hangs with grandchildren, and a way to learn who they are."""
    where = open_dir(lab, name)
    path = write_script(lab, f"{name}.sh", FAMILY.format(dir=where))

    def pids():
        wait_for((where / "pids").exists, 15, "the script has begun")
        return [int(pid) for pid in (where / "pids").read_text().split()]
    return path, pids


def wait_gone(pids):
    wait_for(lambda: not any(map(is_alive, pids)), 15, f"{pids} are gone")


def test_nothing_of_a_script_survives_its_timeout(services, daemon_of):
    path, pids = family(services, "timeout")
    daemon = daemon_of({"script": {"type": "script", "command": str(path), "timeout": "4s",
                                   "interval": "1h", "fall": 1}})
    seen = pids()
    assert all(map(is_alive, seen))
    wait_for(lambda: standing(daemon)["script"] == ("down", "script_timeout"), 15, "down")
    wait_gone(seen)
    assert children_of(daemon) == []


def test_the_capabilities_of_the_unit_are_enough(services, daemon_of):
    unit = (ROOT / "tools/xdplbd.service").read_text()
    held = re.search(r"^CapabilityBoundingSet=(.*)$", unit, re.M)[1].lower().split()
    bounds = ",".join(["-all", *(f"+{name.removeprefix('cap_')}" for name in held)])
    path, pids = family(services, "bounds")
    daemon = daemon_of({"script": script("grep -c '^Cap.*0000000000000000$' /proc/self/status"),
                        "hangs": {"type": "script", "command": str(path), "timeout": "4s",
                                  "interval": "1h", "fall": 1},
                        "icmp": {"type": "icmp"}, "icmp-6": {"type": "icmp"}},
                       wrapper=["setpriv", "--bounding-set", bounds, "--no-new-privs"])
    seen = pids()
    expected = {"script": ("up", "exit 0: 5"), "hangs": ("down", "script_timeout"),
                "icmp": ("up", "replied"), "icmp-6": ("up", "replied")}
    wait_for(lambda: standing(daemon) == expected, 15, expected)
    wait_gone(seen)


def end_by_reload(lab, daemon):
    daemon.write_config(probe_config(lab, {"script": {"type": "icmp"}}))
    began = time.monotonic()
    daemon.ctl_json("reload")
    assert time.monotonic() - began < 5
    wait_for(lambda: children_of(daemon) == [], 15, "nobody is left unreaped")


def end_by_sigterm(_lab, daemon):
    began = time.monotonic()
    assert daemon.stop() == 0
    assert time.monotonic() - began < 5


def end_by_sigkill(_lab, daemon):
    daemon.lab.stop(daemon.process, sig=signal.SIGKILL)


@pytest.mark.parametrize("end, survivors", [
    (end_by_reload, 0), (end_by_sigterm, 0),
    (end_by_sigkill, 2)])  # the kernel kills the script itself; the page says so
def test_a_script_ends_with_the_wish_for_it(services, daemon_of, end, survivors):
    path, pids = family(services, end.__name__)
    daemon = daemon_of({"script": {"type": "script", "command": str(path), "timeout": "30s"}})
    seen = pids()
    assert all(map(is_alive, seen))
    end(services, daemon)
    wait_gone(seen[:1] if survivors else seen)
    for pid in filter(is_alive, seen):
        os.kill(pid, signal.SIGKILL)


def children_of(daemon):
    pid = daemon.process.pid
    return pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def test_scripts_of_many_reals_take_turns_and_block_nobody(services, daemon_of):
    n = 300
    reals = [f"10.1.{1 + i // 200}.{1 + i % 200}" for i in range(n)]
    daemon = daemon_of({"many": script("sleep 0.2", interval="5s", timeout="30s")}, reals)
    most, slowest = 0, 0

    def all_up():
        nonlocal most, slowest
        most = max(most, len(children_of(daemon)))
        began = time.monotonic()
        states = {row["state"] for row in daemon.ctl_json("health", "list")}
        slowest = max(slowest, time.monotonic() - began)
        return states == {"up"}
    wait_for(all_up, 40, "all are up")
    assert 16 < most <= 32
    assert slowest < 5
