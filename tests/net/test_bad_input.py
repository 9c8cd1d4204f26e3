# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Bad files, bad reloads and bad clients: refused with a reason; what runs goes on serving."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import threading

import pytest

from lab import VIP4, VIP6, wait_for
from refusal import (BASE, NOBODY, REALS, URL, VIP_LINE, already_has, applied, bare, bpffs_of,
                     edited, files_of, other_program, refused, running, running_daemon, served,
                     start, written, xdplbd)  # fixtures among them


def vips(n):
    return BASE + "".join(VIP_LINE.replace("web", f"w{i}").replace("port: 80", f"port: {i}")
                          for i in range(1, n))


# A file and what is said of it, after its name.
BAD_FILES = {
    "empty": ("", r":1:1: expected a mapping, got an empty file"),
    "unknown key": (edited("port: 80", "prot: 80"),
                    r':7:38: vips\[0\]: unknown key "prot"; did you mean "port"\?'),
    "port 70000": (edited("port: 80", "port: 70000"),
                   r':7:44: vips\[0\]\.port: expected a port from 1 to 65535, 0 for any, or a range as 8000-8099, got "70000"'),
    "IPv6 source for IPv4": (edited("source4: 10.1.0.10", 'source4: "fd00:1::10"'),
                             r":3:18: encap\.source4: expected an IPv4 address or prefix"),
    "IPv6 real without an IPv6 source":
        (edited(', source6: "fd00:1::10"', "").replace("10.1.0.1}", '"fd00:1::1"}'),
         r":7:81: vips\[0\]\.reals\[0\]\.address: expected encap\.source6 to be set"),
    "duplicate VIP": (BASE + VIP_LINE.replace("web", "web2"),
                      r':8:5: vips\[1\]: duplicate of VIP "web" in line 7'),
    "duplicate real": (edited(REALS, "[{address: 10.1.0.1}, {address: 10.1.0.1}]"),
                       r":7:102: vips\[0\]\.reals\[1\]\.address: duplicate real 10\.1\.0\.1"),
    "capacity.vips exceeded": (vips(5), r":4:43: capacity\.vips: expected at least 5 .* got 4"),
    "capacity.members exceeded":
        (edited(REALS, "[" + ", ".join(f"{{address: 10.9.0.{i}}}" for i in range(1, 66)) + "]"),
         r":4:33: capacity\.members: expected at least 65 .* got 64"),
    "capacity.ring_slots exceeded":
        (edited("ring: 251", "ring: 2503"),
         r":4:58: capacity\.ring_slots: expected at least \d+ .* got 4000"),
}

# Checked against the machine or the running data plane, so not by --check.
BAD_RELOADS = {
    "interface that does not exist":
        (edited("name: eth0", "name: eth9"),
         r":1:14: interfaces\[0\]\.name: no such interface: eth9"),
    "capacity.flows changed": (edited("flows: 10k", "flows: 1M"),
                               r":4:\d+: capacity\.flows: 1000000 wanted, 10\d\d\d in the running"),
    "capacity.members changed": (edited("members: 64", "members: 65"),
                                 r":4:\d+: capacity\.members: 65 wanted, 64 in the running"),
    "capacity.vips changed": (edited("vips: 4", "vips: 3"),
                              r":4:\d+: capacity\.vips: 3 wanted, 4 in the running"),
    "capacity.ring_slots changed": (edited("ring_slots: 4k", "ring_slots: 8k"),
                                    r":4:\d+: capacity\.ring_slots: 8000 wanted, 4\d\d\d in the running"),
    "another bpffs directory": (edited("{bpffs}", "{bpffs}-other"),
                                r"bpffs: cannot change while running"),
}


# ---- files ----

@pytest.mark.parametrize("case", BAD_FILES)
def test_a_bad_file_is_refused_by_check_and_start(bare, case):
    text, expected = BAD_FILES[case]
    rc, said = start(bare, text, "--check")
    assert rc == 1
    assert re.search(r"^\S+/xdplb\.yaml" + expected, said), said
    assert re.search(r"/xdplb\.yaml" + expected, refused(bare, text))


@pytest.mark.parametrize("case", [*BAD_FILES, *BAD_RELOADS])
def test_a_bad_file_is_refused_by_a_reload_and_the_old_one_serves(served, running, case):
    text, expected = {**BAD_FILES, **BAD_RELOADS}[case]
    good = running.config.read_text()
    generation = running.ctl_json("status")["generation"]
    try:
        running.write_config(text.replace("{bpffs}", str(bpffs_of(served))))
        rc, _, said = running.ctl("reload")
        assert rc == 1
        assert re.search(expected, said), said
        logged = len(running.log_text())
        running.process.send_signal(signal.SIGHUP)
        wait_for(lambda: re.search(r"reload refused.*" + expected, running.log_text()[logged:]),
                 15, f"SIGHUP is refused with {expected}")
        assert running.ctl_json("status")["generation"] == generation
    finally:
        running.write_config(good)


def test_an_interface_that_does_not_exist_refuses_a_start(bare):
    said = refused(bare, edited("name: eth0", "name: eth9"))
    assert re.search(r"xdplb\.yaml:1:14: interfaces\[0\]\.name: no such interface: eth9", said)


def test_check_needs_neither_root_nor_the_interface(bare):
    rc, said = start(bare, edited("name: eth0", "name: eth9"), "--check", prefix=NOBODY)
    assert (rc, said) == (0, "")


def test_a_vip_without_reals_is_allowed_and_its_packets_are_counted(served, running):
    empty = VIP_LINE.replace("web", "none").replace("port: 80", "port: 81").replace(REALS, "[]")
    before = running.ctl_json("stats", "show")["drop_no_real"]
    with applied(served, running, running.config.read_text() + empty):
        assert served.curl(f"http://{VIP4}:81/", timeout=0.3) is None
        assert running.ctl_json("stats", "show")["drop_no_real"] > before


def test_a_real_that_is_not_probed_serves_from_the_first_packet(served, running):
    """`health: {type: none}`, once `config apply` has returned."""
    before = running.ctl_json("stats", "show")["drop_no_real"]
    other = "".join(VIP_LINE.replace("web", f"v{port}").replace("port: 80", f"port: {port}")
                    for port in (90, 91))
    with applied(served, running, running.config.read_text() + other):
        states = [real["state"] for real in running.ctl_json("real", "list")]
        assert states == ["up"] * 3
        served.curl(f"http://{VIP4}:90/", timeout=0.3)
        assert running.ctl_json("stats", "show")["drop_no_real"] == before
    assert "was=unknown" not in running.log_text()


def test_an_ipv6_vip_with_ipv4_reals_is_allowed_and_serves(served, running):
    mixed = VIP_LINE.replace("web", "mixed").replace(VIP4, f'"{VIP6}"')
    with applied(served, running, running.config.read_text() + mixed):
        wait_for(lambda: served.curl(f"http://[{VIP6}]/", timeout=0.3) == "real1", 15,
                 "IPv6 serves")


@pytest.mark.parametrize("what, expected", [
    ("missing", r"^xdplbd: error: open \S+/xdplb\.yaml: No such file or directory$"),
    ("directory", r"^xdplbd: error: open \S+/xdplb\.yaml: expected a regular file$"),
    ("fifo", r"^xdplbd: error: open \S+/xdplb\.yaml: expected a regular file$"),
    ("100 MB", r"^xdplbd: error: \S+/xdplb\.yaml:1:1: expected at most 64 MiB$"),
    ("binary", r"^xdplbd: error: \S+/xdplb\.yaml:1:1: "),
])
def test_what_is_no_configuration_file_is_refused_at_once(bare, what, expected):
    where, files = files_of(bare)
    config = where / "xdplb.yaml"
    if what == "directory":
        config.mkdir()
    elif what == "fifo":
        os.mkfifo(config)
    elif what == "100 MB":
        with config.open("w") as file:
            file.write("#" * 100_000_000)
    elif what == "binary":
        config.write_bytes(bytes(range(256)))
    rc, said = xdplbd(bare, "--config", config, *files)
    assert rc == 1
    assert re.search(expected, said.strip()), said
    assert xdplbd(bare, "--config", config, "--check")[0] == 1


def test_an_unreadable_configuration_is_refused(bare):
    where, _ = files_of(bare)
    config = where / "xdplb.yaml"
    config.write_text(BASE)
    config.chmod(0o600)
    rc, said = xdplbd(bare, "--config", config, "--check", prefix=NOBODY)
    assert rc == 1
    assert re.search(r"^open \S+/xdplb\.yaml: Permission denied$", said.strip()), said


@pytest.mark.parametrize("what", ["missing", "fifo", "100 MB"])
def test_a_reload_of_what_is_no_configuration_file_leaves_the_old_one_serving(running, what):
    kept = running.config.with_name("kept")
    running.config.rename(kept)
    try:
        if what == "fifo":
            os.mkfifo(running.config)
        elif what == "100 MB":
            running.config.write_text("#" * 100_000_000)
        rc, _, said = running.ctl("reload")
        assert rc == 1
        assert "xdplb.yaml" in said, said
    finally:
        kept.replace(running.config)


def test_an_interface_with_another_xdp_program_refuses_a_reload(served, running):
    served.run(served.balancer, "ip link add eth1 type veth peer name eth1p && "
               "ip link set eth1 up && ip link set eth1p up")
    program = other_program(served, "eth1")
    good = running.config.read_text()
    try:
        running.write_config(good.replace("[{name: eth0}]", "[{name: eth0}, {name: eth1}]"))
        rc, _, said = running.ctl("reload")
        assert rc == 1
        assert re.search(already_has("eth1", program), said), said
        assert [entry.name for entry in bpffs_of(served).glob("link_*")] == ["link_eth0"]
    finally:
        running.write_config(good)
        served.run(served.balancer, "ip link del eth1")


# ---- probes ----

def test_a_reload_while_a_probe_hangs_is_carried_out_at_once(served, running):
    """The probe's target accepts and never answers, and its timeout is long."""
    listener = served.popen("real1", ["/usr/bin/python3", "-c", LISTEN], stdout=subprocess.PIPE)
    health = "health: {type: http, port: 8081, timeout: 20s, interval: 50ms}, reals:"
    hung = running.config.read_text().replace("reals:", health)
    try:
        with applied(served, running, hung):
            assert listener.stdout.readline() == "accepted\n"
            rc, _, said = running.ctl("config", "apply", written(served, hung.replace(
                "{address: 10.1.0.1}", "{address: 10.1.0.1, weight: 7}")), timeout=10)
            assert rc == 0, said
            assert running.reals()["10.1.0.1"]["weight"] == 7
            assert served.curl(URL) == "real1"
    finally:
        served.stop(listener)


LISTEN = """
import socket, sys
s = socket.create_server(("10.1.0.1", 8081))
held = []
while True:
    held.append(s.accept())
    print("accepted", flush=True)
"""


# ---- clients of the API ----

def exchange(daemon, data):
    """Sends bytes to the API's socket and returns what comes back until it is closed."""
    with send(daemon, data) as client:
        answer = b""
        with contextlib.suppress(ConnectionResetError):
            while piece := client.recv(65536):
                answer += piece
        return answer


def send(daemon, data):
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(5)
    client.connect(str(daemon.socket))
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        client.sendall(data)
    return client


def request(method, path, body=b""):
    return (f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
            f"Content-Length: {len(body)}\r\n\r\n").encode() + body


@pytest.mark.parametrize("data", [
    b"", b"\x00\xff\x16\x03\x01" * 1000 + b"\r\n\r\n", b"GET\r\n\r\n", b"\r\n" * 100,
    b"POST /v1/config/apply HTTP/1.1\r\nContent-Length: 9999\r\n\r\nhalf",
], ids=["nothing", "binary", "half a request line", "empty lines", "half a body"])
def test_the_daemon_goes_on_beside_a_client_that_talks_no_http(running, data):
    with send(running, data):
        assert running.ctl("status")[0] == 0


@pytest.mark.parametrize("data, expected", [
    (b"GET /v1/status HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
     b"HTTP/1.1 431 "),
    (request("GET", "/v1/nothing"), b"HTTP/1.1 404 "),
    (request("GET", "/../../etc/passwd"), b"HTTP/1.1 404 "),
    (request("DELETE", "/v1/status"), b"HTTP/1.1 405 "),
    (request("POST", "/v1/config/apply", b"{"), b"HTTP/1.1 4"),
    (request("POST", "/v1/config/apply", b"vips: 1\n"), b"HTTP/1.1 4"),
    (request("POST", "/v1/config/apply", b""), b"HTTP/1.1 4"),
    (request("POST", "/v1/config/apply", b"#" * (17 << 20)), b"HTTP/1.1 413 "),
], ids=["huge header", "unknown route", "dots", "wrong method",
         "bad YAML", "bad configuration", "no configuration", "huge body"])
def test_a_bad_request_gets_an_answer_and_the_daemon_goes_on(running, data, expected):
    answer = exchange(running, data)
    assert answer.startswith(expected), answer[:200]


def test_idle_connections_do_not_keep_others_out_for_long(running):
    """More than the server takes: who comes late waits until one of them is gone."""
    idle = []
    try:
        for _ in range(200):
            client = socket.socket(socket.AF_UNIX)
            client.connect(str(running.socket))
            idle.append(client)
        waiting = threading.Timer(0.2, lambda: [client.close() for client in idle])
        waiting.start()
        assert running.ctl("status")[0] == 0
        waiting.join()
    finally:
        for client in idle:
            client.close()
