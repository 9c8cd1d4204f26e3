# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The demo where it cannot go on: it says why, and leaves nothing behind."""

import os
import pathlib
import shutil
import signal
import subprocess
import time

import pytest

from lab import BUILD, ROOT

DEMO = ROOT / "tools" / "demo.sh"


def left_of(pid):
    """What a demo of that process has made and not removed."""
    name = f"xdplb-demo-{pid}"
    names = [*pathlib.Path("/run/netns").glob(f"{name}-*"), pathlib.Path("/tmp") / name,
             pathlib.Path("/sys/fs/bpf") / name]
    return [str(path) for path in names if path.exists()]


@pytest.mark.parametrize("missing", ["nginx", "bpftool", "curl"])
def test_a_program_that_is_missing_is_named_before_anything_is_made(tmp_path, missing):
    for place in ("/usr/sbin", "/usr/bin"):
        for program in pathlib.Path(place).iterdir():
            if program.name != missing and not (tmp_path / program.name).is_symlink():
                (tmp_path / program.name).symlink_to(program)
    done = subprocess.run([shutil.which("bash"), DEMO, BUILD], env={"PATH": str(tmp_path)},
                          capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"demo: {missing} is missing: sudo make deps installs it\n"


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM])
def test_who_interrupts_it_however_often_leaves_nothing_behind(sig):
    demo = subprocess.Popen([DEMO, BUILD], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            text=True, start_new_session=True,
                            env={**os.environ, "DEMO_KEEP": ""},
                            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    for line in demo.stdout:
        if line.startswith("3. "):  # the daemon and all servers run, and soon requests
            break
    assert left_of(demo.pid)
    for _ in range(5):
        os.killpg(demo.pid, sig)
        time.sleep(0.05)
    demo.communicate(timeout=60)
    assert demo.returncode == 130
    assert not left_of(demo.pid)
