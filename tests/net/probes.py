# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Tables of probes: one VIP a row, all of one daemon, and servers for them."""

import pathlib
import subprocess
import time
import zlib

from lab import SLOWNESS
from traffic import vip

SERVERS = pathlib.Path(__file__).with_name("probe_servers.py")

# Says who answers, and is content with that real alone that it is asked about.
SCRIPT = """#!/bin/sh
case $XDPLB_ADDRESS in *:*) at="[$XDPLB_ADDRESS]" ;; *) at=$XDPLB_ADDRESS ;; esac
name=$(curl -sgf -m 2 "$@" "http://$at:$XDPLB_PORT/") || exit
echo "$name by $XDPLB_ADDRESS"
test "$name" = "real${XDPLB_REAL_ADDRESS##*[.:]}"
"""


def start_bad(lab, host, kind, port, *arguments):
    """One of probe_servers.py on a host."""
    process = lab.popen(host, ["/usr/bin/python3", "-E", "-S", SERVERS, kind, port, *arguments],
                        stdout=subprocess.PIPE)
    assert process.stdout.readline() == "ready\n"
    return process


def script(lab, text=SCRIPT, *arguments, **keys):
    """A probe by a script, which is written where the user nobody may read it."""
    path = lab.dir / f"script-{zlib.crc32(text.encode()):x}"
    if not path.exists():
        lab.dir.chmod(0o755)
        path.write_text(text)
        path.chmod(0o755)
    return {"type": "script", "command": [str(path), *arguments], "port": 80, "interval": "300ms",
            "timeout": "3s", "fall": 1, "rise": 1, **keys}


def row_vips(lab, rows, keys):
    """A VIP with one real for each row (name, keys of health, ...); keys(given): the whole of it."""
    return [vip(lab.reals4, name, f"192.0.2.{i + 10}", ring=251, health=keys(given))
            for i, (name, given, *_) in enumerate(rows)]


def is_as_expected(row, state, reason):
    said = row["last_result"] or ""
    if row["state"] != state:
        return False
    # A reason that is cut off is a library's, whose words are not ours.
    return said.startswith(reason) and len(said) > len(reason) + 5 if reason.endswith(": ") \
        else said == reason


def wait_rows(daemon, rows, deadline=40):
    """Waits until every row (name, keys, state, reason) has its state for its reason."""
    end = time.monotonic() + deadline * SLOWNESS
    while True:
        seen = {row["vip"]: row for row in daemon.ctl_json("health", "list")}
        wrong = [(name, state, reason, seen[name]["state"], seen[name]["last_result"])
                 for name, _given, state, reason in rows
                 if not is_as_expected(seen[name], state, reason)]
        if not wrong:
            return
        assert time.monotonic() < end, (wrong, daemon.log_text())
        time.sleep(0.1)
