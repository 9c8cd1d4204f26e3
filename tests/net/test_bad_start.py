# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Starts in bad surroundings: refused and nothing left behind, or going on with a warning."""

import json
import os
import re
import signal
import subprocess

import pytest

from conftest import new_name
from lab import wait_for
from refusal import (BASE, NOBODY, URL, already_has, attached, bare, bpffs_of, edited, files_of,
                     other_program, pins, refused, running, running_daemon, served, start,
                     wait_served, xdplbd)  # fixtures among them


# ---- options and rights ----

@pytest.mark.parametrize("args, expected", [
    (["--nope"], "--nope"),
    (["--config"], "--config"),
    (["xdplb.yaml"], "unexpected argument: xdplb.yaml"),
])
def test_wrong_options_are_a_usage_error(bare, args, expected):
    rc, said = xdplbd(bare, *args)
    assert rc == 2
    assert expected in said
    assert "Try 'xdplbd --help'." in said


def test_a_start_without_root_says_what_is_missing(bare):
    said = refused(bare, BASE, prefix=NOBODY)
    assert "needs root (CAP_BPF, CAP_NET_ADMIN)" in said
    assert "--check" in said


def test_without_kernel_btf_there_is_a_warning_and_traffic(make_lab):
    lab = make_lab(reals=1)
    lab.start_reals()
    os.environ["XDPLB_KERNEL_BTF"] = "/nonexistent"
    try:
        daemon = lab.start_daemon(BASE)
    finally:
        del os.environ["XDPLB_KERNEL_BTF"]
    wait_served(lab)
    assert "this kernel has no BTF" in daemon.log_text()


# ---- the data plane's surroundings ----

def test_an_interface_with_another_xdp_program_refuses_a_start(bare):
    program = other_program(bare, "eth0")
    try:
        rc, said = start(bare, BASE)
        assert rc == 1
        assert re.search(already_has("eth0", program), said), said
        assert not bpffs_of(bare).exists()
        assert attached(bare)
    finally:
        bare.run(bare.balancer, "ip link set dev eth0 xdp off")


def test_an_interface_with_a_dot_in_its_name_serves(make_lab):
    lab = make_lab(reals=1)
    lab.start_reals()
    lab.run(lab.balancer, "ip link set eth0 down && ip link set eth0 name eth0.100 && "
            "ip link set eth0.100 up")
    daemon = lab.start_daemon(edited("name: eth0", "name: eth0.100"))
    wait_served(lab)
    assert (bpffs_of(lab) / "link_eth0:100").exists()
    # The same link is found again, not another one made beside it.
    assert daemon.ctl("reload")[0] == 0
    assert [entry.name for entry in bpffs_of(lab).glob("link_*")] == ["link_eth0:100"]


def test_a_directory_that_is_on_no_bpffs_is_refused(bare):
    where = bare.dir / new_name()
    rc, said = start(bare, BASE.replace("{bpffs}", str(where)))
    assert rc == 1
    assert re.search(rf"bpffs: {where} is not on a bpffs", said), said
    assert not where.exists()
    assert not attached(bare)


def stopped_daemon(lab, text=BASE):
    """A data plane that a daemon made and left."""
    daemon = lab.start_daemon(text)
    wait_served(lab)
    daemon.stop()
    return daemon


def test_maps_of_another_layout_version_refuse_a_start_and_stay(make_lab):
    lab = make_lab(reals=1)
    lab.start_reals()
    stopped_daemon(lab)
    control = bpffs_of(lab) / "maps" / "control"
    words = set_layout_version(control, 4711)
    before = pins(lab)
    rc, said = start(lab, BASE)
    assert rc == 1
    assert re.search(rf"{control} has layout version 4711 and this program knows \d+: .*--detach",
                     said), said
    assert pins(lab) == before
    assert map_value(control) == words
    assert lab.curl(URL) == "real1"


def map_value(path):
    dump = json.loads(subprocess.check_output(["bpftool", "-j", "map", "dump", "pinned", path]))
    return [int(byte, 16) for byte in dump[0]["value"]]


def set_layout_version(path, version):
    """Overwrites the word by which a daemon knows the maps; returns the map's bytes."""
    fields = json.loads(subprocess.check_output(["bpftool", "-j", "map", "dump", "pinned", path]))
    was = fields[0]["formatted"]["value"]["layout_version"]
    value = map_value(path)
    assert int.from_bytes(bytes(value[:4]), "little") == was
    value[:4] = version.to_bytes(4, "little")
    subprocess.run(["bpftool", "map", "update", "pinned", path, "key", "0", "0", "0", "0",
                    "value", *map(str, value)], check=True)
    return value


def test_a_start_with_another_capacity_goes_on_with_the_maps_there_are(make_lab):
    lab = make_lab(reals=1)
    lab.start_reals()
    stopped_daemon(lab)
    before = pins(lab)[1]
    daemon = lab.start_daemon(edited("flows: 10k", "flows: 20k"))
    assert re.search(r"xdplb\.yaml:\d+:\d+: capacity\.flows: 20000 wanted, 10\d\d\d in the running data "
                     "plane", daemon.log_text())
    assert lab.curl(URL) == "real1"
    assert pins(lab)[1] == before


def test_detach_removes_what_a_daemon_left(make_lab):
    lab = make_lab(reals=1)
    lab.start_reals()
    daemon = stopped_daemon(lab)
    assert attached(lab) and lab.curl(URL) == "real1"
    assert xdplbd(lab, "--config", daemon.config, "--detach") == (0, "")
    assert not bpffs_of(lab).exists()
    wait_for(lambda: not attached(lab), 15, "the program is off the interface")
    # And once more, when there is nothing left.
    assert xdplbd(lab, "--config", daemon.config, "--detach") == (0, "")


# ---- files of its own ----

@pytest.mark.parametrize("name, content, mode, expected", [
    ("runtime.json", "{", 0o600, r"/runtime\.json:1:1: .*remove the file to start without"),
    ("runtime.json", "[]", 0o600, r'/runtime\.json:1:1: expected an object "reals"'),
    ("runtime.json", "", 0o600, r"/runtime\.json:1:"),
    ("flow-hash.key", "x" * 128 + "\n", 0o600, r"/flow-hash\.key: expected 128 hexadecimal"),
    ("flow-hash.key", "0" * 127 + "\n", 0o600, r"/flow-hash\.key: expected 128 hexadecimal"),
    ("flow-hash.key", "0" * 129 + "\n", 0o600, r"/flow-hash\.key: expected 128 hexadecimal"),
    ("flow-hash.key", "", 0o600, r"/flow-hash\.key: expected 128 hexadecimal"),
    ("flow-hash.key", "0" * 128 + "\n", 0o644, r"/flow-hash\.key: mode 0644 .*chmod 600"),
])
def test_a_bad_state_file_refuses_a_start_and_is_left_alone(bare, name, content, mode, expected):
    where, _ = files_of(bare)
    path = where / name
    path.write_text(content)
    path.chmod(mode)
    said = refused(bare, BASE, "--state-dir", where)
    assert re.search(expected, said), said
    assert path.read_text() == content


@pytest.mark.parametrize("state_dir, expected", [
    ("/dev/null", r"open /dev/null: Not a directory"),
    ("/nonexistent/deep/state", r"mkdir /nonexistent/deep/state: No such file or directory"),
    ("/proc/sys", r"/proc/sys/flow-hash\.key"),
])
def test_a_state_directory_that_cannot_be_used_refuses_a_start(bare, state_dir, expected):
    said = refused(bare, BASE, "--state-dir", state_dir)
    assert re.search(expected, said), said


def test_a_file_where_the_api_socket_should_be_refuses_a_start_and_stays(bare):
    where, _ = files_of(bare)
    path = where / "file"
    path.write_text("precious")
    said = refused(bare, BASE, "--socket", path)
    assert f"{path} exists and is not a socket" in said
    assert path.read_text() == "precious"


# ---- two daemons ----

@pytest.mark.parametrize("shared, expected", [
    ("socket", r"another xdplbd is running on \S+/api\.sock"),
    ("state_dir", r"/state is in use by another xdplbd"),
    ("bpffs", r"/xdplb is in use by another xdplbd"),
])
def test_a_second_daemon_is_refused_and_the_first_goes_on(served, running, shared, expected):
    text = running.config.read_text()
    options = []
    if shared != "bpffs":
        text = text.replace(str(bpffs_of(served)), f"{bpffs_of(served)}-2")
    if shared == "socket":
        options = ["--socket", running.socket]
    if shared == "state_dir":
        options = ["--state-dir", running.state_dir]
    before = pins(served)
    links = subprocess.check_output(["bpftool", "-j", "prog", "show", "pinned",
                                     bpffs_of(served) / "prog"])
    rc, said = start(served, text, *options)
    assert rc == 1
    assert re.search(expected, said), said
    assert pins(served) == before
    assert subprocess.check_output(["bpftool", "-j", "prog", "show", "pinned",
                                    bpffs_of(served) / "prog"]) == links
    assert not (served.bpffs / "xdplb-2").exists()


def test_detach_beside_a_running_daemon_is_refused(served, running):
    rc, said = xdplbd(served, "--config", running.config, "--detach")
    assert rc == 1
    assert re.search(r"use `xdplbctl detach`: \S+/xdplb is in use by another xdplbd", said), said


def test_a_killed_daemon_holds_no_lock(make_lab):
    lab = make_lab(reals=1)
    lab.start_reals()
    first = lab.start_daemon(BASE)
    wait_served(lab)
    lab.stop(first.process, sig=signal.SIGKILL)
    lab.start_daemon(BASE, state_dir=first.state_dir, extra=["--socket", first.socket], wait=False)
    wait_for(lambda: first.ctl("status")[0] == 0, 15, "the second daemon answers on the socket")
    assert lab.curl(URL) == "real1"
