# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Wire formats by their RFCs, and the functions of include/xdplb/hash.h. For the model (model.py)."""

import ipaddress
import struct

ETH_LEN = 14
ETH_IP4 = b"\x08\x00"
ETH_IP6 = b"\x86\xdd"
VLAN = (b"\x81\x00", b"\x88\xa8")  # 802.1Q, 802.1ad

TCP, UDP, ICMP, ICMP6 = 6, 17, 1, 58
IPIP, IPV6 = 4, 41  # protocol numbers of a tunnelled packet

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16

M32, M64 = 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF


def address(text):
    """An address as on the wire: 4 or 16 bytes."""
    return ipaddress.ip_address(text).packed


def words_sum(data):
    """Sum of the 16-bit words (RFC 1071), an odd byte padded with zero; not folded."""
    if len(data) & 1:
        data += b"\0"
    return sum(struct.unpack(f">{len(data) // 2}H", data))


def checksum(data, start=0):
    """Internet checksum (RFC 1071)."""
    total = words_sum(data) + start
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def pseudo_sum(src, dst, protocol, length):
    """Sum of a pseudo header (RFC 9293 section 3.1, RFC 8200 section 8.1)."""
    return words_sum(src + dst) + protocol + (length >> 16) + (length & 0xFFFF)


def ip4_header(src, dst, protocol, payload_len, *, tos=0, ident=0, frag=0x4000, ttl=64):
    """20 bytes, checksum valid (RFC 791)."""
    head = struct.pack(">BBHHHBBH4s4s", 0x45, tos, 20 + payload_len, ident, frag, ttl, protocol, 0,
                       src, dst)
    return head[:10] + struct.pack(">H", checksum(head)) + head[12:]


def ip6_header(src, dst, protocol, payload_len, *, tos=0, label=0, hops=64):
    """40 bytes (RFC 8200)."""
    return struct.pack(">IHBB16s16s", 6 << 28 | tos << 20 | label, payload_len, protocol, hops,
                       src, dst)


def udp_header(src, dst, sport, dport, payload_len, covered=None):
    """8 bytes (RFC 768); the checksum is zero unless there is something to be covered."""
    head = struct.pack(">HHHH", sport, dport, 8 + payload_len, 0)
    if covered is None:
        return head
    total = checksum(head + covered, pseudo_sum(src, dst, UDP, 8 + payload_len))
    return head[:6] + struct.pack(">H", total or 0xFFFF)


class FlowHash:
    """The keyed functions of include/xdplb/hash.h."""

    def __init__(self, key):
        words = struct.unpack("<12I2Q", key)
        self.nh, self.mix = words[:10], words[12:]
        self.known = {}  # there are few flows, and many packets of each

    def of(self, *flow):
        """Hash of family, source, destination, protocol and both ports, as on the wire (bytes)."""
        if flow not in self.known:
            if len(self.known) > 100000:
                self.known.clear()
            self.known[flow] = self.work_out(*flow)
        return self.known[flow]

    def work_out(self, family, src, dst, protocol, sport, dport):
        k = self.nh
        ports = int.from_bytes(dport, "little") << 16 | int.from_bytes(sport, "little")
        kind = family << 8 | protocol
        s = int.from_bytes(src[-4:], "little")
        d = int.from_bytes(dst[-4:], "little")
        h = (s + k[0] & M32) * (d + k[1] & M32) + (ports + k[2] & M32) * (kind + k[3] & M32)
        if family == 6:
            s0, s1, s2, _ = struct.unpack("<4I", src)
            d0, d1, d2, _ = struct.unpack("<4I", dst)
            h += (s0 + k[4] & M32) * (s1 + k[5] & M32)
            h += (s2 + k[6] & M32) * (d0 + k[7] & M32)
            h += (d1 + k[8] & M32) * (d2 + k[9] & M32)
        h = (h & M64) ^ self.mix[0]
        h = (h ^ h >> 30) * 0xBF58476D1CE4E5B9 & M64
        h = (h ^ h >> 27) * 0x94D049BB133111EB & M64
        h ^= self.mix[1]
        return h ^ h >> 31


def hash_tag(h):
    return h & M32 or 1


def hash_bucket(h, buckets):
    return (h >> 32) * buckets >> 32


def hash_slot(h):
    return (h >> 32) % 8


def hash_ring(h, size, attempt):
    h = (h ^ attempt * 0x9E3779B97F4A7C15 & M64) * 0xD6E8FEB86659FD93 & M64
    return (h >> 32) * size >> 32
