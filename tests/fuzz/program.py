# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The packet path itself: batches of packets through the server (server.c)."""

import json
import os
import shutil
import struct
import subprocess

OUT_UNCHANGED = 0xFFFF
NO_REPLY = 1  # flag of a packet: the rate limit of replies is used up


class Ran:
    """What the packet path did with one packet."""

    __slots__ = ("verdict", "out", "counters", "slots")

    def __init__(self, verdict, out, counters, slots):
        self.verdict, self.out, self.counters, self.slots = verdict, out, counters, slots


class Program:
    """With or without the express lane (docs/packet-path.md): it must make no difference."""

    def __init__(self, config, is_express=True):
        build = os.environ.get("XDPLB_BUILD", "build")
        self.server = subprocess.Popen([os.path.join(build, "tests/fuzz/server")],
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                       env={**os.environ,
                                            "XDPLB_EXPRESS": "on" if is_express else "off"})
        try:
            self.dump = json.loads(self.ask(b"C", json.dumps(config).encode()))
        except Exception:
            self.close()
            raise
        self.counters = self.dump["counters"][:-1]
        self.known_rises = {}  # the few sets of counters that there are, decoded

    def close(self):
        self.server.stdin.close()
        self.server.stdout.close()
        self.server.wait()
        pid = self.server.pid
        name = os.environ.get("XDPLB_RUN", f"xdplb-test-{pid}")  # run_path.h
        shutil.rmtree(f"/sys/fs/bpf/{name}-{pid}-1", ignore_errors=True)  # left by one that died

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, kind, payload):
        self.server.stdin.write(kind + struct.pack("<I", len(payload)) + payload)
        self.server.stdin.flush()

    def receive(self):
        head = self.server.stdout.read(4)
        if len(head) < 4:
            raise RuntimeError("the fuzz server ended; its last words are above")
        (length,) = struct.unpack("<I", head)
        return self.server.stdout.read(length)

    def ask(self, kind, payload):
        self.send(kind, payload)
        return self.receive()

    def command(self, lines):
        """Commands of bed.h; returns the state of afterwards."""
        self.dump = json.loads(self.ask(b"C", "\n".join(lines).encode()))
        return self.dump

    def snapshot(self):
        """The maps as they are, for the host build of the packet path."""
        return self.ask(b"M", b"")

    def send_batch(self, packets):
        """packets: pairs of a frame and its flags."""
        self.send(b"P", b"".join(struct.pack("<HB", len(frame), flags) + frame
                                 for frame, flags in packets))

    def rises(self, pairs):
        """Sorted pairs of a counter and its rise."""
        if pairs not in self.known_rises:
            self.known_rises[pairs] = sorted(
                (self.counters[pairs[i]], pairs[i + 1]) for i in range(0, len(pairs), 2))
        return self.known_rises[pairs]

    def receive_batch(self, packets):
        """A list of Ran, the members' (id, packets, bytes, new flows), jiffies before and after."""
        data = self.receive()
        before, at = int.from_bytes(data[:8], "little"), 8
        ran = []
        for frame, _ in packets:
            verdict, length = struct.unpack_from("<BH", data, at)
            at += 3
            out = frame
            if length != OUT_UNCHANGED:
                out = data[at:at + length]
                at += length
            n = data[at]
            counters = self.rises(data[at + 1:at + 1 + 2 * n])
            at += 1 + 2 * n
            n = data[at]
            slots = [struct.unpack_from("<IQ", data, i)
                     for i in range(at + 1, at + 1 + 12 * n, 12)] if n else ()
            at += 1 + 12 * n
            ran.append(Ran(verdict, out, counters, slots))
        members = []
        while True:
            (member,) = struct.unpack_from("<I", data, at)
            at += 4
            if member == 0xFFFFFFFF:
                break
            members.append((member, *struct.unpack_from("<3Q", data, at)))
            at += 24
        after = int.from_bytes(data[at:at + 8], "little")
        return ran, members, (before, after)
