# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""
QUIC-LB connection IDs by draft-ietf-quic-load-balancers (sections "CID format", "Single Pass
Encryption", "Four-Pass Encryption", "Load Balancer Actions"), QUIC's headers by RFC 8999, and which
of them docs/packet-path.md goes by. Whole octet strings and Feistel halves as the draft writes them.
"""

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

import outcome as m

V1, V2 = 0x00000001, 0x6B3343CF
# Types of long headers whose ID the client may have made up: Initial and 0-RTT (RFC 9000 section
# 17.2, RFC 9369 section 3.2).
CLIENTS_CHOICE = {V1: (0, 1), V2: (1, 2)}
LEAST = 7  # the first octet of an ID behind a long header


def expand(length, number, half):
    return half + bytes(14 - len(half)) + bytes((length, number))


def xor(a, b):
    return bytes(x ^ y for x, y in zip(a, b))


class Config:
    """One configuration of a VIP: how server ID and nonce become a connection ID, and back."""

    def __init__(self, spec):
        self.rotation = spec["rotation"]
        self.server_id_len = spec["server_id_length"]
        self.length = self.server_id_len + spec["nonce_length"]  # without the first octet
        self.encrypt = self.decrypt = None
        if "key" in spec:
            cipher = Cipher(algorithms.AES(bytes.fromhex(spec["key"])), modes.ECB())
            self.encrypt = cipher.encryptor().update
            self.decrypt = cipher.decryptor().update

    def one_pass(self):
        return self.length == 16

    def algorithm(self):
        if not self.encrypt:
            return "plain"
        if self.one_pass():
            return "one pass"
        half = "half" if self.server_id_len * 2 <= self.length else "more than half"
        return f"four passes {'odd' if self.length % 2 else 'even'} with {half} a server ID"

    def round(self, number, source, target, keep):
        """Target with the cipher of source over it; keep: which of its odd halves the target is."""
        return keep(xor(target, self.encrypt(expand(self.length, number, source))))

    def left(self, half):
        return half[:-1] + bytes((half[-1] & 0xF0,)) if self.length % 2 else half

    def right(self, half):
        return bytes((half[0] & 0x0F,)) + half[1:] if self.length % 2 else half

    def split(self, octets):
        half = (self.length + 1) // 2
        return self.left(octets[:half]), self.right(octets[-half:])

    def join(self, left, right):
        if self.length % 2:
            return left[:-1] + bytes((left[-1] | right[0],)) + right[1:]
        return left + right

    def encode(self, server_id, nonce, low_bits=0):
        """A connection ID; low_bits: the five of the first octet that mean nothing here."""
        octets = server_id + nonce
        if self.encrypt and self.one_pass():
            octets = self.encrypt(octets)
        elif self.encrypt:
            left, right = self.split(octets)
            right = self.round(1, left, right, self.right)
            left = self.round(2, right, left, self.left)
            right = self.round(3, left, right, self.right)
            left = self.round(4, right, left, self.left)
            octets = self.join(left, right)
        return bytes((self.rotation << 5 | low_bits,)) + octets

    def server_id(self, cid):
        """What is in an ID that is long enough."""
        octets = cid[1:1 + self.length]
        if self.encrypt and self.one_pass():
            octets = self.decrypt(octets)
        elif self.encrypt:
            left, right = self.split(octets)
            left = self.round(4, right, left, self.left)
            right = self.round(3, left, right, self.right)
            left = self.round(2, right, left, self.left)
            right = self.round(1, left, right, self.right)
            octets = self.join(left, right)
        return octets[:self.server_id_len]


def connection_id(datagram):
    """
    What kind of header it is, the octets from the connection ID on, its length if the header says
    it. None: the 4-tuple decides, without a word about it.
    """
    if len(datagram) < LEAST:
        return None
    if not datagram[0] & 0x80:
        return "short", datagram[1:], None
    version = int.from_bytes(datagram[1:5], "big")
    if datagram[0] >> 4 & 3 in CLIENTS_CHOICE.get(version, ()):
        return None
    return "handshake" if version in CLIENTS_CHOICE else "long", datagram[6:], datagram[5]


class Reading:
    """What a VIP makes of a datagram: the real that it names or why none, and how that was read."""

    def __init__(self, vip, datagram):
        self.real = self.why_not = self.config = self.header = None
        found = connection_id(datagram)
        if not found:
            return
        self.header, octets, said = found
        config = vip.quic.get(octets[0] >> 5)
        room = len(octets) if said is None else said
        if not config or room > len(octets) or room < 1 + config.length:
            self.why_not = "quic_unroutable"
            return
        self.config = config
        self.real = vip.server_ids.get(config.server_id(octets))
        if self.real is None or vip.states[vip.reals.index(self.real)] == m.DOWN:
            self.real, self.why_not = None, "quic_no_server"
