# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What a run that was killed left behind is removed (tests/sweep.sh), and nothing else is."""

import os
import pathlib
import signal
import subprocess

import pytest

from lab import BUILD, ROOT, wait_for

BPFFS, NAMESPACES, TMP = map(pathlib.Path, ("/sys/fs/bpf", "/run/netns", "/tmp"))


def sweep():
    subprocess.run([ROOT / "tests" / "sweep.sh"], check=True)


def left_by(pid):
    """What bears the names of a run that this process began."""
    return [path for where in (BPFFS, NAMESPACES, TMP) for path in where.glob(f"xdplb-test-{pid}-*")]


def began(argv, **env):
    """Starts what begins a run of its own, whatever run this is."""
    own = {key: value for key, value in os.environ.items() if key != "XDPLB_RUN"}
    return subprocess.Popen(argv, env=own | env, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL, start_new_session=True)


@pytest.fixture
def owner():
    """A process that begins a run, and does nothing else."""
    process = began(["sleep", "60"])
    yield process
    process.kill()
    process.wait()
    sweep()


def make_leftovers(pid):
    """One of each kind; returns the processes among them."""
    name = f"xdplb-test-{pid}-beef-1"
    (BPFFS / name / "maps").mkdir(parents=True)
    (TMP / name / "state").mkdir(parents=True)
    (TMP / f"{name}.bin").touch()
    subprocess.run(["ip", "netns", "add", f"{name}-real1"], check=True)
    return [began(["nsenter", f"--net=/run/netns/{name}-real1", "sleep", "60"]),
            began(["sleep", "60"], XDPLB_RUN=f"xdplb-test-{pid}-beef"),
            began(["sleep", "60"], XDPLB_RUN=f"xdplb-test-{pid}")]


def test_a_run_is_swept_once_the_process_that_began_it_is_gone_and_not_before(owner):
    processes = make_leftovers(owner.pid)
    # Its own, but that it is in the run's namespace.
    wait_for(lambda: os.readlink(f"/proc/{processes[0].pid}/ns/net") !=
             os.readlink("/proc/self/ns/net"), 15, "the process is in the namespace")
    there = left_by(owner.pid)
    sweep()
    assert left_by(owner.pid) == there and len(there) == 4
    assert [process.poll() for process in processes] == [None] * 3
    owner.kill()
    owner.wait()
    sweep()
    assert left_by(owner.pid) == []
    assert [process.wait(20) for process in processes] == [-signal.SIGKILL] * 3


@pytest.mark.parametrize("name", ["xdplb-test-{}", "xdplb-test-{}x-1", "xdplb-tests-{}-1",
                                  "my-xdplb-test-{}-1", "xdplb-test--{}-1"])
def test_a_name_that_only_looks_like_a_runs_stays(owner, name):
    owner.kill()
    owner.wait()
    path, left = TMP / name.format(owner.pid), TMP / f"xdplb-test-{owner.pid}-1"
    path.mkdir()
    left.mkdir()
    try:
        sweep()
        assert path.exists() and not left.exists()
    finally:
        path.rmdir()


def kill_once_it_has_pinned(process):
    def pins():
        return list(BPFFS.glob(f"xdplb-test-{process.pid}-*"))

    wait_for(lambda: process.poll() is not None or pins(), 20, "it has begun")
    assert process.poll() is None, "it ended before it could be killed"
    process.kill()
    process.wait()
    assert pins(), "who is killed leaves its pins"


@pytest.mark.parametrize("program", [["tests/bpf/test_flow_table"],
                                     ["tests/bench/bench_path", "--quick"]],
                         ids=["a packet table", "a bench"])
def test_what_a_killed_program_left_goes_with_the_next_sweep(program):
    path = BUILD / program[0]
    if not path.exists():
        pytest.skip(f"{path} is not built")
    process = began([path, *program[1:]])
    kill_once_it_has_pinned(process)
    sweep()
    assert not left_by(process.pid)


def test_what_goes_on_of_a_killed_run_ends_with_the_next_sweep():
    if not (BUILD / "tests" / "bpf" / "test_flow_table").exists():
        pytest.skip("the packet tables are not built")
    run = began([ROOT / "tests" / "run.sh", BUILD], SUITES="bpf")
    kill_once_it_has_pinned(run)
    sweep()
    assert not left_by(run.pid)

    def running():
        return subprocess.run(["grep", "-lsz", f"^XDPLB_RUN=xdplb-test-{run.pid}-",
                               *pathlib.Path("/proc").glob("[0-9]*/environ")],
                              capture_output=True, text=True, check=False).stdout
    wait_for(lambda: not running(), 15, "what is killed has ended")
