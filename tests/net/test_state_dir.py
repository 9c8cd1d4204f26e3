# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A state directory that cannot be written, or has other things in it than the daemon put there."""

import os

import pytest

from conftest import new_name
from lab import wait_for
from refusal import BASE, URL, served, wait_served  # fixtures among them

REAL = "10.1.0.1"


@pytest.fixture
def state_dir(served):
    """A state directory whose flow-hash key is made, and a data plane removed in the end."""
    path = served.dir / new_name()
    daemon = served.start_daemon(BASE, state_dir=path)
    assert daemon.ctl("detach")[0] == 0
    daemon.stop()
    return path


def start(lab, state_dir, mount=None):
    """A daemon, in a mount namespace of its own in which a shell line was run before."""
    wrapper = ["unshare", "-m", "sh", "-ec", f'{mount}; exec "$@"', "sh"] if mount else ()
    return lab.start_daemon(BASE, state_dir=state_dir, wrapper=wrapper)


def end(daemon):
    assert daemon.ctl("detach")[0] == 0
    daemon.stop()


def test_a_read_only_state_directory_is_no_reason_not_to_serve(served, state_dir):
    daemon = start(served, state_dir, f"mount --bind {state_dir} {state_dir}; "
                                      f"mount -o remount,bind,ro {state_dir}")
    wait_served(served)
    assert "cannot write the audit log" in daemon.log_text()
    rc, _, said = daemon.ctl("real", "drain", "web", REAL)
    assert rc == 1 and "Read-only file system" in said
    assert daemon.reals()[REAL]["state"] == "up"
    assert daemon.ctl("reload")[0] == 0
    end(daemon)


def test_on_a_full_disk_an_order_is_refused_and_nothing_is_lost(served, state_dir):
    daemon = start(served, state_dir, f"mount -t tmpfs -o size=64k none {state_dir}")
    wait_served(served)
    inside = f"/proc/{daemon.process.pid}/root{state_dir}"
    assert daemon.ctl("real", "drain", "web", REAL)[0] == 0
    filler = os.open(f"{inside}/filler", os.O_WRONLY | os.O_CREAT)
    with pytest.raises(OSError):
        while True:
            os.write(filler, b"x" * 512)
    os.close(filler)
    rc, _, said = daemon.ctl("real", "enable", "web", REAL)
    assert rc == 1 and "No space left on device" in said
    assert daemon.reals()[REAL]["admin"] == "drain"
    with open(f"{inside}/runtime.json", encoding="utf-8") as file:
        assert f'"{REAL}"' in file.read()
    os.unlink(f"{inside}/filler")
    assert daemon.ctl("real", "enable", "web", REAL)[0] == 0
    assert served.curl(URL) == "real1"
    end(daemon)


def test_a_state_directory_that_was_removed_and_made_again_is_used_again(served, state_dir):
    daemon = start(served, state_dir)
    gone = state_dir.with_name(new_name())
    state_dir.rename(gone)
    rc, _, said = daemon.ctl("real", "drain", "web", REAL)
    assert rc == 1 and "No such file or directory" in said
    state_dir.mkdir()
    assert daemon.ctl("real", "drain", "web", REAL)[0] == 0
    assert "real_drain" in (state_dir / "audit.log").read_text()
    assert daemon.ctl("real", "enable", "web", REAL)[0] == 0
    end(daemon)


@pytest.mark.parametrize("name", ["standing.json", "audit.log"])
def test_a_start_waits_for_nobody_to_write_a_file(served, state_dir, name):
    (state_dir / name).unlink(missing_ok=True)
    os.mkfifo(state_dir / name)
    daemon = start(served, state_dir)
    wait_served(served)
    wait_for(lambda: name in daemon.log_text(), 15, "the log names the file")
    end(daemon)
