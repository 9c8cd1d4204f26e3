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
    """A frame on its way through the stages. What no stage has said is as it is here."""

    l3 = 0  # offset of the IP header
    family = 0
    src = dst = b""
    tos = 0
    l3_len = 0  # of the IP packet, by its header
    protocol = 0
    l4 = 0  # offset of the transport header
    sport = dport = b""
    flags = 0  # TCP's
    payload = 0  # bytes behind the transport header
    hash = 0
    member = None
    slot = None  # flows.Change
    is_recorded = True  # after a pick
    before = None  # what the table said: state, whether expired, the real's state
    found = None  # the member that it named
    takes_over = None  # the slot that names another real
    is_new = False  # counted as a new flow
    fragment = None  # model.Fragment
    followed = b""  # the first fragment that this one follows
    about = None  # of an ICMP error: the five-tuple of the flow it is about
    quic = None  # quic.Reading

    def __init__(self, frame):
        self.frame = frame
        self.counters = []  # of the flow table and the connection ID
