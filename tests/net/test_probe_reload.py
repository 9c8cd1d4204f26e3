# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Reloads, and the end of the daemon, while probes of every connected kind are under way."""

import time

import pytest

from lab import wait_for
from probes import start_bad
from traffic import config, vip

MUTE = 9001
HANGING = {"interval": "200ms", "timeout": "20s", "port": MUTE}
KINDS = [{"type": "https", "verify": False}, {"type": "grpc"},
         {"type": "grpc", "tls": True, "verify": False}, {"type": "agent", "send": "hello\\n"}]


@pytest.mark.parametrize("kind", KINDS, ids=["https", "grpc", "grpc-tls", "agent"])
def test_a_reload_does_not_wait_for_a_probe_that_is_under_way(make_lab, kind):
    lab = make_lab(reals=2)
    for host in lab.reals:
        lab.start_nginx(host)
        start_bad(lab, host, "mute", MUTE)

    def wanted(health, *reals):
        return config(vip(reals, health=health))

    def is_under_way():
        rows = daemon.ctl_json("health", "list")
        return all(row["type"] == kind["type"] and row["next_in_ms"] == 0 for row in rows)
    hanging = {**kind, **HANGING}
    daemon = lab.start_daemon(wanted(hanging, *lab.reals4))
    wait_for(is_under_way, 5, "probes are under way")
    # Gone, back, told otherwise, of another kind, and back: each time in the middle of a probe.
    for health, reals in ((hanging, lab.reals4[:1]), (hanging, lab.reals4),
                          ({**hanging, "timeout": "21s"}, lab.reals4),
                          ({"type": "tcp"}, lab.reals4), (hanging, lab.reals4)):
        daemon.write_config(wanted(health, *reals))
        began = time.monotonic()
        daemon.ctl_json("reload")
        assert time.monotonic() - began < 5
        assert set(daemon.reals()) == set(reals)
        if health["type"] == "tcp":
            daemon.wait_states({real: "up" for real in reals})
        else:
            wait_for(is_under_way, 5, "probes are under way")
    # What was proven before counts until there is a result.
    assert {row["state"] for row in daemon.reals().values()} == {"up"}
    assert daemon.stop() == 0
