# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Which kernels `make vmtest` calls good, by what they say on their console."""

import subprocess

import pytest

from lab import ROOT

BOOT = "[    0.000000] Linux version 6.1.0-56-cloud-amd64 (debian-kernel@lists.debian.org)\n"
# As kernels write them.
COMPLAINTS = [
    "[   12.3] ------------[ cut here ]------------",
    "[   12.3] WARNING: CPU: 0 PID: 1 at kernel/bpf/verifier.c:1 do_check+0x1/0x2",
    "[   12.3] kernel BUG at mm/slub.c:435!",
    "[   12.3] BUG: unable to handle page fault for address: ffffffffffffffe8",
    "[   12.3] Oops: 0002 [#1] PREEMPT SMP NOPTI",
    "[   12.3] general protection fault, probably for non-canonical address 0xdead: 0000 [#1]",
    "[   12.3] Kernel panic - not syncing: Fatal exception in interrupt",
    "[   60.3] rcu: INFO: rcu_preempt self-detected stall on CPU",
    "[   60.3] watchdog: BUG: soft lockup - CPU#1 stuck for 22s! [xdplbd:123]",
    "[  243.1] INFO: task ip:99 blocked for more than 120 seconds.",
    "[  100.0] unregister_netdevice: waiting for eth0 to become free. Usage count = 2",
    "[  100.0] page_pool_release_retry() stalled pool shutdown 1 inflight 60 sec",
    "[  100.0] UBSAN: array-index-out-of-bounds in net/core/filter.c:1:1",
]


@pytest.fixture
def judge(tmp_path):
    """Gives a console and an exit status to the judge; returns its status and words."""
    def run(console, *status):
        (tmp_path / "log").write_text(console)
        done = subprocess.run([ROOT / "vmtest/judge.sh", "6.1.0", tmp_path / "log", *status],
                              capture_output=True, text=True, check=False)
        return done.returncode, done.stdout
    return run


def test_a_kernel_that_is_content_and_whose_tests_passed_has_passed(judge):
    assert judge(BOOT + "[    1.0] reboot: Power down\n", "0") == (0, "6.1.0 passed\n")


@pytest.mark.parametrize("line", COMPLAINTS)
def test_a_complaint_on_the_console_fails_the_kernel_whatever_its_tests_say(judge, line):
    for status in ("0", "1", ""):
        rc, said = judge(BOOT + line + "\n[   99.0] more\n", status)
        assert rc == 1
        assert line in said and "complained" in said and "/log" in said


@pytest.mark.parametrize("status, why", [(["1"], "exit status 1"), ([""], "exit status none"),
                                         ([], "exit status none")])
def test_tests_that_failed_or_said_nothing_fail_the_kernel(judge, status, why):
    rc, said = judge(BOOT + "[    1.0] the last line\n", *status)
    assert rc == 1 and why in said and "the last line" in said


def test_a_console_that_was_not_heard_fails_the_kernel(judge):
    rc, said = judge("", "0")
    assert rc == 1 and "console" in said
