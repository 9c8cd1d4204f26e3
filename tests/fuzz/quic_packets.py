# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""QUIC datagrams (RFC 8999, RFC 9000, RFC 9369) to the VIPs that go by connection IDs."""

import quic

VERSIONS = (quic.V1, quic.V2, 0, 0xFF00001D, 0x1A2A3A4A)  # 0: version negotiation
SPORTS = range(1024, 1028)  # few: connections meet on a 4-tuple, and leave it for another


def connection_ids(random, vip):
    """Of a VIP of the configuration: readable, of no server, of no configuration, of a client."""
    for spec in vip["quic"]:
        config = quic.Config(spec)
        nonce = random.randbytes(spec["nonce_length"])
        low_bits = random.choice((config.length, random.randrange(32)))
        for real in vip["reals"]:
            yield config.encode(bytes.fromhex(real["server_id"]), nonce, low_bits)
        yield config.encode(bytes(config.server_id_len), nonce, low_bits)
        cid = config.encode(bytes.fromhex(random.choice(vip["reals"])["server_id"]), nonce)
        yield cid + random.randbytes(random.choice((1, 2, 5)))  # what a server appends
        yield cid[:-random.choice((1, 2, 4))]
        yield bytes((0xE0 | cid[0] & 31,)) + cid[1:]
        yield bytes((random.choice((0, 0x20, 0x40, 0x80, 0xC0)),)) + cid[1:]
    for length in range(21):
        yield random.randbytes(length)


def short(random, cid):
    return bytes((random.choice((0x40, 0x00, 0x7F)),)) + cid + random.randbytes(
        random.choice((0, 0, 1, 21)))


def long(random, cid, version, kind):
    first = random.choice((0xC0, 0x80)) | kind << 4 | random.randrange(16)
    source = random.randbytes(random.choice((0, 8)))
    return (bytes((first,)) + version.to_bytes(4, "big") + bytes((len(cid),)) + cid +
            bytes((len(source),)) + source + random.randbytes(random.choice((0, 20))))


def datagrams(random, vip):
    """Pairs of a name and a UDP payload."""
    for cid in connection_ids(random, vip):
        yield "short", short(random, cid)
        version, kind = random.choice(VERSIONS), random.randrange(4)
        yield "long", long(random, cid, version, kind)
        if random.random() < 0.1:
            yield "coalesced", long(random, cid, quic.V1, 2) + short(random, cid[::-1])
            yield "handshake", long(random, cid, random.choice(VERSIONS), 2)
    for length in range(9):
        yield "tiny", random.choice((b"\xe0", b"\x40")) + bytes(length)
