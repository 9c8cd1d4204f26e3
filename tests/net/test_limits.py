# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""More probes than the daemon may have descriptors: it goes on beside them, and says so."""

import pytest

from lab import wait_for
from refusal import BASE, REALS, bare  # fixtures among them

LIMIT = 128
# None of them is there: each probe holds what it has until its timeout.
MANY = ", ".join(f"{{address: 10.1.{i // 200 + 1}.{i % 200 + 1}}}" for i in range(300))
TEXT = (BASE.replace(REALS, f"[{MANY}]").replace("ring: 251", "ring: 1021")
        .replace("members: 64", "members: 1k").replace("ring_slots: 4k", "ring_slots: 16k"))


@pytest.mark.parametrize("probe", ["type: tcp", "type: http, path: /",
                                   "type: script, command: [/bin/sleep, 9]"],
                         ids=["tcp", "http", "script"])
def test_probes_leave_descriptors_for_operators_and_reloads(bare, probe):
    daemon = bare.start_daemon(
        TEXT.replace("type: none", f"{probe}, interval: 100ms, timeout: 10s"),
        wrapper=["setpriv", "--bounding-set=-sys_resource", "--inh-caps=-sys_resource",
                 "prlimit", f"--nofile={LIMIT}:{LIMIT}"])

    try:
        wait_for(lambda: starved(daemon), 15, "probes have no descriptors left")
        for _ in range(3):
            assert daemon.ctl("status")[0] == 0
            assert daemon.ctl("real", "disable", "web", "10.1.1.1")[0] == 0
            rc, _, said = daemon.ctl("reload")
            assert rc == 0, said
        assert "raise LimitNOFILE=" in daemon.log_text()
    finally:
        daemon.ctl("detach")
        daemon.stop()


def starved(daemon):
    return [row for row in daemon.ctl_json("health", "list")
            if "Too many open files" in (row["last_result"] or "")]
