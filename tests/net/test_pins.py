# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What the daemon has pinned is taken away by somebody else while it runs."""

import shutil
import signal
import subprocess

import pytest

from lab import wait_for
from refusal import BASE, attached, bpffs_of, served, wait_served  # fixtures among them

OTHER_KNOBS = BASE.replace('source6: "fd00:1::10"}', 'source6: "fd00:1::10", gue_port: 6081}')


@pytest.fixture
def daemon(served):
    """A daemon of its own for one test, and nothing left of it."""
    daemon = served.start_daemon(BASE)
    wait_served(served)
    yield daemon
    assert daemon.ctl("detach")[0] == 0
    daemon.stop()


def map_id(lab, name):
    shown = subprocess.run(["bpftool", "map", "show", "pinned", bpffs_of(lab) / "maps" / name],
                           capture_output=True, text=True, check=True).stdout
    return shown.split(":")[0]


@pytest.mark.parametrize("name", ["members", "vips", "out_interfaces", "flows"])
def test_a_reload_goes_on_with_the_maps_it_has_when_their_pin_is_gone(served, daemon, name):
    """Not with a new one, empty, that the daemon does not write."""
    pin = bpffs_of(served) / "maps" / name
    before = map_id(served, name)
    pin.unlink()
    daemon.write_config(OTHER_KNOBS)
    assert daemon.ctl("reload")[0] == 0
    wait_served(served)
    assert map_id(served, name) == before


def test_a_reload_puts_back_a_bpffs_directory_that_is_gone(served, daemon):
    before = sorted(path.name for path in bpffs_of(served).rglob("*"))
    flows = map_id(served, "flows")
    shutil.rmtree(bpffs_of(served))
    rc, _, said = daemon.ctl("reload")
    assert rc == 0, said
    assert sorted(path.name for path in bpffs_of(served).rglob("*")) == before
    assert map_id(served, "flows") == flows
    wait_served(served)


@pytest.mark.parametrize("pin", ["link_eth0", ""], ids=["link", "directory"])
def test_the_program_is_attached_again_by_itself(served, daemon, pin):
    where = bpffs_of(served) / pin
    shutil.rmtree(where) if where.is_dir() else where.unlink()
    wait_for(lambda: attached(served), 15, "the program is attached again")
    wait_served(served)
    assert "attached again interface=eth0" in daemon.log_text()
    assert (bpffs_of(served) / "maps" / "flows").exists()


@pytest.mark.parametrize("name", ["control", "flows", "members", "rings", "vip_filter",
                                  "vip_index", "vip_state", "vips"])
def test_a_start_serves_also_when_a_map_of_the_data_plane_is_gone(served, name):
    """The daemon was killed, and somebody cleared up before the next one."""
    killed = served.start_daemon(BASE)
    wait_served(served)
    served.stop(killed.process, sig=signal.SIGKILL)
    (bpffs_of(served) / "maps" / name).unlink()
    daemon = served.start_daemon(BASE, state_dir=killed.state_dir)
    try:
        wait_served(served)
    finally:
        assert daemon.ctl("detach")[0] == 0
        daemon.stop()
