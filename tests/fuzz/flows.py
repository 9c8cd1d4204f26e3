# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The flow table of the model: docs/packet-path.md, "The flow table"; words as in abi.h."""

from wire import ACK, FIN, RST, SYN, TCP, hash_bucket, hash_slot, hash_tag

import outcome as m

NONE, S_SYN, S_ACK, S_TCP, S_FIN, S_RST, S_UDP1, S_UDP = range(8)  # enum flow_state

UNPROVEN = {S_SYN, S_ACK, S_UDP1}
SLOTS = 8
AGE_OLD = 511


class Table:
    """Words as the packet path last left them. A word of which the state is NONE is free."""

    def __init__(self, buckets):
        self.buckets = buckets
        self.words = [0] * (buckets * SLOTS)

    def candidates(self, h):
        first = hash_bucket(h, self.buckets)
        return (range(first * SLOTS, first * SLOTS + SLOTS),
                range((first ^ 1) * SLOTS, (first ^ 1) * SLOTS + SLOTS))

    def find(self, h):
        tag = hash_tag(h)
        words = self.words
        for bucket in self.candidates(h):
            for i in bucket:
                if words[i] >> 32 == tag and words[i] >> 9 & 7:
                    return i
        return None

    def room(self, h):
        """Slots that a newcomer may take, equally good ones together; and whether one is evicted."""
        words = self.words
        for bucket in self.candidates(h):
            for i in range(SLOTS):  # the first free one in the flow's own order
                index = bucket[i ^ hash_slot(h)]
                if not words[index] >> 9 & 7:
                    return [index], False
            old = [i for i in bucket if words[i] & 511 == AGE_OLD]
            if old:
                return old, False
            unproven = [i for i in bucket if words[i] >> 9 & 7 in UNPROVEN]
            if unproven:
                return unproven, True
        return [], False


class Change:
    """One slot gets this word, age aside. With one slot and nothing new: its age may change."""

    __slots__ = ("slots", "tag", "member", "state")

    def __init__(self, slots, tag, member, state):
        self.slots, self.tag, self.member, self.state = slots, tag, member, state


def first_state(p):
    if p.protocol != TCP:
        return S_UDP1
    return S_SYN if is_syn(p) else S_ACK


def is_syn(p):
    return p.protocol == TCP and p.flags & (SYN | ACK | RST | FIN) == SYN


def is_end(p):
    """A flow that ends is not worth a slot."""
    return p.protocol == TCP and p.flags & (RST | FIN)


def next_state(state, p):
    if p.protocol != TCP:
        return S_UDP
    if is_syn(p):
        return state
    if p.flags & RST:
        return state if state in UNPROVEN else S_RST
    if p.flags & FIN:
        return S_FIN
    if state == S_FIN and not p.payload:
        return S_FIN
    return S_TCP


def is_picked_anew(state, is_old, real_state):
    """By a SYN that meets a flow in this state."""
    if is_old or state in (S_ACK, S_FIN, S_RST):
        return True
    return state == S_SYN and real_state != m.UP


def follow(model, p):
    """Sets p.member if the table says which real the packet goes to."""
    table = model.table
    index = table.find(p.hash)
    if index is None:
        return
    word = table.words[index]
    state, is_old = word >> 9 & 7, word & 511 == AGE_OLD
    member = model.members.get(word >> 12 & 0xFFFFF)
    if not member:  # its real is long gone
        p.before = (state, is_old, None)
        p.takes_over = index
        return
    if not member.vip.serves(p.family, p.dst, p.dport, p.protocol):
        p.before = "mismatch"
        p.counters.append("flow_mismatch")
        p.is_recorded = False
        return
    real_state = model.state_of(member)
    p.before, p.found = (state, is_old, real_state), member
    if real_state == m.DOWN:
        p.counters.append("flow_moved")
    elif not (is_old and real_state == m.DRAIN or is_syn(p) and is_picked_anew(
            state, is_old, real_state)):
        p.member = member
        p.slot = Change([index], word >> 32, member.id, next_state(state, p))
        return
    p.takes_over = index


def give(model, p, member):
    """After follow(): a connection ID names this member, and so does the flow's slot from now on."""
    if p.member == member:
        return
    p.member = member
    if p.slot:  # of another real
        p.takes_over, p.slot = p.slot.slots[0], None
    record(model, p)


def record(model, p):
    """After a pick: the flow is recorded, or counted as untracked."""
    if not p.is_recorded or is_end(p):
        return
    tag = hash_tag(p.hash)
    p.is_new = True
    if p.takes_over is not None:
        p.counters.append("flow_inserted")
        p.slot = Change([p.takes_over], tag, p.member.id, first_state(p))
        return
    slots, is_eviction = model.table.room(p.hash)
    if not slots:
        p.counters.append("flow_untracked")
        return
    p.counters.append("flow_inserted")
    if is_eviction:
        p.counters.append("flow_evicted_unproven")
    p.slot = Change(slots, tag, p.member.id, first_state(p))
