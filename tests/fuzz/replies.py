# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""
What the balancer itself answers: RST (RFC 9293 section 3.10.7.1), port unreachable (RFC 792, RFC
1122 section 3.2.2, RFC 4443 section 3.1), fragmentation needed (RFC 1191) and packet too big (RFC
4443 section 3.2).
"""

import struct

import wire
from wire import ACK, FIN, RST, SYN, TCP, UDP

import outcome as m


def refuse(model, p):
    """VIP address, port that nobody serves: on_no_port."""
    policy = model.address_of(p.family, p.dst).on_no_port
    if policy == "pass":
        return m.Outcome(m.PASS, ["pass_no_port"])
    if policy == "drop" or not is_answerable(p) or p.protocol == TCP and p.flags & RST:
        return m.Outcome(m.DROP, ["drop_no_port"])
    if not model.replies_allowed:
        return m.Outcome(m.DROP, ["drop_reply_limit"])
    if p.protocol == TCP:
        return m.Outcome(m.TX, ["reply_reset"], reply(p, TCP, reset(p)))
    return m.Outcome(m.TX, ["reply_unreachable"], error(p, *((3, 3) if p.family == 4 else (1, 4))))


def all_down(model, p, vip):
    """No real of the VIP can take it: on_all_down; only who begins a flow is told."""
    is_start = p.protocol == UDP or p.flags & (SYN | ACK | RST | FIN) == SYN
    if vip.on_all_down not in ("reset", "unreachable") or not is_start or not is_answerable(p):
        return m.Outcome(m.DROP, ["drop_no_real"])
    if not model.replies_allowed:
        return m.Outcome(m.DROP, ["drop_reply_limit"])
    if p.protocol == TCP and vip.on_all_down == "reset":
        answer = reply(p, TCP, reset(p))
    else:
        answer = error(p, *((3, 3) if p.family == 4 else (1, 4)))
    return m.Outcome(m.TX, ["reply_no_real"], answer)


LEAST_MTU = {4: 68, 6: 1280}  # RFC 791, RFC 8200 section 5


def too_big(model, p, mtu):
    """docs/packet-path.md, "Answers"; mtu: of the packets that would fit."""
    mtu = max(mtu, LEAST_MTU[p.family])
    # RFC 1122 section 3.2.2; RFC 4443 section 2.4 (e) makes no such exception.
    is_later = p.family == 4 and p.fragment and p.fragment.offset
    if p.l3_len <= mtu or p.about or is_later or not is_answerable(p):
        return m.Outcome(m.DROP, ["drop_too_big"])
    if not model.replies_allowed:
        return m.Outcome(m.DROP, ["drop_reply_limit"])
    kind = (3, 4) if p.family == 4 else (2, 0)
    return m.Outcome(m.TX, ["reply_too_big"], error(p, *kind, mtu))


def echo(model, p):
    """A ping, while the address is up: some VIP of it has reals in its ring (docs/configuration.md)."""
    best = model.address_of(p.family, p.dst)
    here = [v for v in model.vips if (v.family, v.address, v.fixed_bits) ==
            (best.family, best.address, best.fixed_bits)]
    is_up = here[0].echo == "always" or here[0].echo == "up" and any(v.ring for v in here)
    if not is_up or not is_answerable(p):
        return m.Outcome(m.DROP, ["drop_echo"])
    if not model.replies_allowed:
        return m.Outcome(m.DROP, ["drop_reply_limit"])
    message = bytearray(p.frame[p.l4:p.l3 + p.l3_len])
    old = int.from_bytes(message[0:2], "big")
    message[0] = 0 if p.family == 4 else 129
    # RFC 1624 equation 3: a wrong checksum stays as wrong; all ones for zero, which says the same.
    total = ((0xFFFF ^ int.from_bytes(message[2:4], "big")) + (0xFFFF ^ old) +
             int.from_bytes(message[0:2], "big"))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    message[2:4] = ((0xFFFF ^ total) or 0xFFFF).to_bytes(2, "big")
    protocol = wire.ICMP if p.family == 4 else wire.ICMP6
    return m.Outcome(m.TX, ["reply_echo"], reply(p, protocol, bytes(message)))


def is_answerable(p):
    if p.frame[0] & 1:  # link-layer multicast or broadcast
        return False
    if p.family == 4:
        return p.src[0] not in (0, 127) and p.src[0] < 224
    return p.src[0] != 0xFF and p.src != bytes(16) and p.src != bytes(15) + b"\x01"


def reply(p, protocol, message):
    """Back to the sender: addresses swapped, at every layer."""
    ethernet = p.frame[6:12] + p.frame[0:6] + p.frame[12:p.l3]
    if p.family == 4:
        return ethernet + wire.ip4_header(p.dst, p.src, protocol, len(message)) + message
    return ethernet + wire.ip6_header(p.dst, p.src, protocol, len(message)) + message


def reset(p):
    seq, ack = struct.unpack_from(">II", p.frame, p.l4 + 4)
    if p.flags & ACK:
        numbers = (ack, 0, RST)
    else:
        length = p.payload + bool(p.flags & SYN) + bool(p.flags & FIN)
        numbers = (0, seq + length & wire.M32, RST | ACK)
    segment = p.dport + p.sport + struct.pack(">IIBBHHH", numbers[0], numbers[1], 5 << 4,
                                               numbers[2], 0, 0, 0)
    total = wire.checksum(segment, wire.pseudo_sum(p.dst, p.src, TCP, 20))
    return segment[:16] + struct.pack(">H", total) + segment[18:]


LARGEST = {4: 576 - 28, 6: 1280 - 48}  # quotes: RFC 1812 section 4.3.2.3, RFC 4443 section 2.4 (c)


def error(p, kind, code, word=0):
    """An ICMP error about the packet, quoting as much of it as there is room for."""
    quote = p.frame[p.l3:p.l3 + min(p.l3_len, LARGEST[p.family])]
    message = struct.pack(">BBHI", kind, code, 0, word) + quote
    protocol = wire.ICMP if p.family == 4 else wire.ICMP6
    start = 0 if p.family == 4 else wire.pseudo_sum(p.dst, p.src, protocol, len(message))
    total = wire.checksum(message, start)
    return reply(p, protocol, message[:2] + struct.pack(">H", total) + message[4:])
