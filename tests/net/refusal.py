# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A small configuration, starts that must fail, and a daemon that bad input must not disturb."""

import contextlib
import json
import os
import subprocess

import pytest

from conftest import new_name
from lab import BUILD, VIP4, Lab, wait_for

URL = f"http://{VIP4}/"
NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]

BASE = """\
interfaces: [{name: eth0}]
bpffs: {bpffs}
encap: {source4: 10.1.0.10, source6: "fd00:1::10"}
capacity: {flows: 10k, members: 64, vips: 4, ring_slots: 4k}
defaults: {ring: 251, health: {type: none}}
vips:
  - {name: web, address: 192.0.2.10, port: 80, protocol: tcp, reals: [{address: 10.1.0.1}]}
"""
REALS = "[{address: 10.1.0.1}]"
VIP_LINE = BASE.splitlines(keepends=True)[-1]


def edited(old, new):
    assert old in BASE
    return BASE.replace(old, new)


@pytest.fixture(scope="module")
def bare():
    """A lab with nothing but the balancer, for starts."""
    lab = Lab(new_name(), reals=0)
    yield lab
    lab.down()


@pytest.fixture(scope="module")
def served():
    """A lab with one real, for what must not disturb traffic."""
    lab = Lab(new_name(), reals=1)
    lab.start_reals()
    yield lab
    lab.down()


@pytest.fixture(scope="module")
def running_daemon(served):
    return served.start_daemon(BASE)


def wait_served(lab):
    """Short tries: a SYN that came before the next hop was known is gone."""
    wait_for(lambda: lab.curl(URL, timeout=0.3) == "real1", 15, "the VIP is served")


@pytest.fixture
def running(served, running_daemon):
    """A daemon that serves BASE, before and after the test."""
    wait_served(served)
    shown = running_daemon.ctl_json("config", "show")
    yield running_daemon
    assert served.curl(URL) == "real1"
    assert running_daemon.process.poll() is None
    assert running_daemon.ctl_json("config", "show") == shown


def files_of(lab):
    """A new directory for one start, and the arguments that name files in it."""
    where = lab.dir / new_name()
    where.mkdir()
    return where, ["--socket", where / "api.sock", "--state-dir", where / "state"]


def bpffs_of(lab):
    return lab.bpffs / "xdplb"


def attached(lab, interface="eth0"):
    """Whether an XDP program is on an interface of the balancer."""
    link = json.loads(lab.run(lab.balancer, ["ip", "-j", "link", "show", "dev", interface]).stdout)
    return "xdp" in link[0]


def xdplbd(lab, *args, prefix=(), env=None):
    """Runs xdplbd, which must end by itself, on the balancer; (exit status, stderr)."""
    done = lab.run(lab.balancer, [*prefix, BUILD / "xdplbd", *args], check=False, timeout=30,
                   env={**os.environ, **(env or {})})
    return done.returncode, done.stderr


def start(lab, text, *options, **kwargs):
    """xdplbd on a file with this text, which must not come up; (exit status, stderr)."""
    where, files = files_of(lab)
    config = where / "xdplb.yaml"
    config.write_text(text.replace("{bpffs}", str(bpffs_of(lab))))
    return xdplbd(lab, "--config", config, *files, *options, **kwargs)


def refused(lab, text, *options, **kwargs):
    """A start that must fail with status 1 and leave nothing; returns what it said."""
    rc, said = start(lab, text, *options, **kwargs)
    assert rc == 1, said
    assert not bpffs_of(lab).exists(), list(bpffs_of(lab).iterdir())
    assert not attached(lab)
    assert "ready socket=" not in said
    return said


def written(lab, text):
    path = lab.dir / new_name()
    path.write_text(text)
    return path


@contextlib.contextmanager
def applied(lab, daemon, text):
    """Another configuration for a while. Of an earlier one there may still be VIPs that hold ids."""
    path = written(lab, text)

    def apply():
        rc, _, said = daemon.ctl("config", "apply", path)
        assert rc == 0 or "still hold theirs" in said, said
        return rc == 0
    wait_for(apply, 30, "the configuration is applied")
    try:
        yield
    finally:
        assert daemon.ctl("reload")[0] == 0


def other_program(lab, interface):
    """Puts a program of somebody else on an interface of the balancer; its id."""
    lab.run(lab.balancer, ["ip", "link", "set", "dev", interface, "xdpdrv", "obj",
                           BUILD / "tools" / "xdp_pass.bpf.o", "sec", "xdp.frags"])
    link = json.loads(lab.run(lab.balancer, ["ip", "-j", "link", "show", interface]).stdout)
    return link[0]["xdp"]["prog"]["id"]


def already_has(interface, program):
    return (rf"interfaces\[\d\]\.name: {interface} already has an XDP program \(id {program}; "
            rf".*ip link set dev {interface} xdp off")


def pins(lab):
    """Everything under the bpffs directory, with what identifies the objects."""
    shown = subprocess.check_output(["bpftool", "-j", "map", "show", "pinned",
                                     bpffs_of(lab) / "maps" / "flows"], text=True)
    return sorted(bpffs_of(lab).rglob("*")), json.loads(shown)["id"]
