# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A packet on its way through the model, and what becomes of it."""

PASS, DROP, TX, REDIRECT = 2, 1, 3, 4  # enum xdp_action

# enum member_state of abi.h
UP, DRAIN, DOWN = 1, 2, 3


class Outcome:
    """What happens to a packet. `out` is None where the frame stays as it is."""

    __slots__ = ("verdict", "counters", "out", "member", "stats", "entropy", "slot", "packet")

    def __init__(self, verdict, counters, out=None):
        self.verdict = verdict
        self.counters = list(counters)
        self.out = out
        self.member = None
        self.stats = (0, 0, 0)  # rise of the member's packets, bytes, new flows
        self.entropy = None  # of the outer header: see Model.encapsulate
        self.slot = None  # flows.Change
        self.packet = None


class Packet:
    """A frame on its way through the stages."""

    def __init__(self, frame):
        self.frame = frame
        self.l3 = 0  # offset of the IP header
        self.family = 0
        self.src = self.dst = b""
        self.tos = 0
        self.l3_len = 0  # of the IP packet, by its header
        self.protocol = 0
        self.l4 = 0  # offset of the transport header
        self.sport = self.dport = b""
        self.flags = 0  # TCP's
        self.payload = 0  # bytes behind the transport header
        self.hash = 0
        self.member = None
        self.counters = []  # of the flow table
        self.slot = None  # flows.Change
        self.is_recorded = True  # after a pick
        self.before = None  # what the table said: state, whether expired, the real's state
        self.found = None  # the member that it named
        self.takes_over = None  # the slot that names another real
        self.is_new = False  # counted as a new flow
        self.fragment = None  # model.Fragment
        self.followed = b""  # the first fragment that this one follows
        self.about = None  # of an ICMP error: the five-tuple of the flow it is about
