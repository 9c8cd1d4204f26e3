# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Packets to try: seeds of every protocol, built by scapy at the start, and what is done to them."""

import functools
import logging
import random as random_module

logging.getLogger("scapy").setLevel(logging.ERROR)

# pylint: disable=wrong-import-position
from scapy.layers.inet import ICMP, IP, IPOption, TCP, UDP  # noqa: E402
from scapy.layers.inet6 import (ICMPv6EchoRequest, ICMPv6ND_NS, ICMPv6PacketTooBig,  # noqa: E402
                                IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment,
                                IPv6ExtHdrHopByHop, IPv6ExtHdrRouting, PadN)
from scapy.layers.ipsec import AH  # noqa: E402
from scapy.layers.l2 import ARP, Dot1AD, Dot1Q, Ether, GRE  # noqa: E402
from scapy.packet import Raw  # noqa: E402

import quic_packets  # noqa: E402

MAX = 3400  # what BPF_PROG_TEST_RUN takes in one page, and room for an outer header

MACS = {"src": "02:aa:bb:cc:dd:ee", "dst": "02:11:22:33:44:01"}
CLIENTS4 = [f"198.51.100.{i}" for i in range(1, 9)] + ["203.0.113.7"]
CLIENTS6 = [f"2001:db8:c::{i:x}" for i in range(1, 9)] + ["2001:db8:c:ffff::7"]
ODD4 = ["0.0.0.0", "127.0.0.1", "224.0.0.1", "239.1.2.3", "240.0.0.1", "255.255.255.255",
        "192.0.2.10"]
ODD6 = ["::", "::1", "ff02::1", "ff0e::1", "fe80::1", "::ffff:198.51.100.1", "2001:db8::10"]
VIPS4 = [("192.0.2.10", 80, 53), ("192.0.2.11", 443, 0), ("192.0.2.12", 0, 443),
         ("192.0.2.13", 80, 0), ("192.0.2.14", 80, 0), ("192.0.2.15", 80, 0),
         ("192.0.2.16", 8050, 1), ("192.0.2.16", 8099, 0), ("198.18.2.129", 80, 0),
         ("198.18.2.255", 79, 0), ("198.18.2.127", 80, 0)]
VIPS6 = [("2001:db8::10", 80, 53), ("2001:db8::11", 443, 0), ("2001:db8::12", 0, 443),
         ("2001:db8::13", 80, 0), ("2001:db8::14", 0, 53),
         ("2001:db8::15", 0, 53), ("2001:db8::16", 9999, 60), ("2001:db8:f::fff", 80, 1),
         ("2001:db8:f::1:0", 80, 0)]
TCP_FLAGS = ["S", "A", "A", "PA", "FA", "R", "RA", "SA", "", "SF", "SR", "FPU", "SEC", "SAFRPUEC"]


class Seed:
    """A frame, and where it says lengths and kinds: pairs of offset and width, for lies."""

    def __init__(self, packet, name):
        self.bytes = bytes(packet)[:MAX]
        self.name = name
        self.fields = fields(self.bytes)


def fields(frame):
    """Places of a frame's length, offset and type fields, as far as headers can be followed."""
    places = [(12, 2)]
    at = 12
    while frame[at:at + 2] in (b"\x81\x00", b"\x88\xa8"):
        places += [(at + 2, 2), (at + 4, 2)]
        at += 4
    ip = at + 2
    if frame[at:at + 2] == b"\x08\x00":
        places += [(ip, 1), (ip + 1, 1), (ip + 2, 2), (ip + 6, 2), (ip + 9, 1)]
        l4, protocol = ip + (frame[ip] & 15) * 4, frame[ip + 9]
        places += [(i, 1) for i in range(ip + 20, l4)]
    elif frame[at:at + 2] == b"\x86\xdd":
        places += [(ip, 1), (ip + 1, 1), (ip + 4, 2), (ip + 6, 1)]
        l4, protocol = ip + 40, frame[ip + 6]
        for _ in range(8):
            if protocol not in (0, 43, 44, 51, 60) or l4 + 8 > len(frame):
                break
            places += [(l4, 1), (l4 + 1, 1), (l4 + 2, 2)]
            size = {44: 8, 51: (frame[l4 + 1] + 2) * 4}.get(protocol, (frame[l4 + 1] + 1) * 8)
            protocol, l4 = frame[l4], l4 + size
    else:
        return places
    places += [(l4, 1), (l4 + 1, 1), (l4, 2), (l4 + 2, 2), (l4 + 4, 2), (l4 + 12, 1), (l4 + 13, 1)]
    if protocol in (1, 58):  # the packet that an error quotes
        places += [(l4 + 8, 1), (l4 + 10, 2), (l4 + 12, 2), (l4 + 14, 1), (l4 + 17, 1)]
    elif protocol == 17:  # QUIC's first octet, version, ID length, an ID's first octet
        places += [(l4 + i, n) for i, n in ((8, 1), (9, 1), (11, 2), (13, 1), (14, 1))]
    return [(i, n) for i, n in places if i + n <= len(frame)]


def ip_of(family, src, dst, **more):
    if family == 4:
        return Ether(**MACS) / IP(src=src, dst=dst, **more)
    return Ether(**MACS) / IPv6(src=src, dst=dst, **more)


def transports(random, ports):
    """A VIP's TCP and UDP, as served, as not served, and with options and data."""
    tcp, udp = ports
    sport = random.randrange(1024, 1040)
    data = bytes(random.randrange(256) for _ in range(random.choice((0, 0, 1, 9, 64))))
    flags = random.choice(TCP_FLAGS)
    options = [("MSS", 1460), ("WScale", 7)] if random.random() < 0.3 else []
    seq, ack = random.getrandbits(32), random.getrandbits(32)
    yield "tcp", TCP(sport=sport, dport=tcp or 81, flags=flags, seq=seq, ack=ack,
                     options=options) / Raw(data)
    yield "udp", UDP(sport=sport, dport=udp or 54) / Raw(data)
    yield "tcp-other", TCP(sport=sport, dport=82, flags=flags, seq=seq, ack=ack) / Raw(data)
    yield "udp-other", UDP(sport=sport, dport=55) / Raw(data)


def plain(random):
    """What most traffic is."""
    for family, clients, vips in ((4, CLIENTS4, VIPS4), (6, CLIENTS6, VIPS6)):
        for dst, *ports in vips:
            src = random.choice(clients if random.random() < 0.9 else ODD4 if family == 4 else ODD6)
            tos = {"tos" if family == 4 else "tc": random.choice((0, 0, 1, 2, 3, 0xB8, 255))}
            for name, l4 in transports(random, ports):
                yield Seed(ip_of(family, src, dst, **tos) / l4, f"{name}{family}")


def large(random):
    """Around every width of a way out, with either outer header."""
    mtu = random.choice((1280, 1400, 1500, 2000))
    for family, src, dst in ((4, CLIENTS4[0], "192.0.2.10"), (6, CLIENTS6[0], "2001:db8::10")):
        size = mtu - random.choice((20, 40, 28, 48, 56)) + random.choice((-1, 0, 0, 1))
        head = 40 if family == 4 else 60
        yield Seed(ip_of(family, src, dst) / TCP(sport=1024, dport=80, flags="A") /
                   Raw(bytes(size - head)), f"large{family}")
        yield Seed(ip_of(family, src, dst) / UDP(sport=1024, dport=99) / Raw(bytes(size - head)),
                   f"large-unserved{family}")
    for name, packet in large_unanswered(bytes(1400)):
        yield Seed(packet, name)


def large_unanswered(data):
    """Large ICMP errors and fragments: of the latter only the first may be answered."""
    src, dst = CLIENTS4[0], "192.0.2.10"
    quoted = IP(src=dst, dst=src) / UDP(sport=53, dport=1024)
    yield "large-error4", ip_of(4, src, dst) / ICMP(type=3, code=1) / quoted / Raw(data)
    yield "large-first4", ip_of(4, src, dst, flags="MF", id=9) / UDP(sport=1024, dport=53) / Raw(data)
    yield "large-later4", ip_of(4, src, dst, frag=200, id=9, proto=17) / Raw(data)
    src, dst = CLIENTS6[0], "2001:db8::10"
    quoted = IPv6(src=dst, dst=src) / UDP(sport=53, dport=1024)
    yield "large-error6", ip_of(6, src, dst) / ICMPv6PacketTooBig(mtu=1280) / quoted / Raw(data)
    yield "large-first6", (ip_of(6, src, dst) / IPv6ExtHdrFragment(m=1, id=9) /
                           UDP(sport=1024, dport=53) / Raw(data))
    yield "large-later6", (ip_of(6, src, dst) / IPv6ExtHdrFragment(offset=200, id=9, nh=17) /
                           Raw(data))


def odd4(random):
    src, dst = random.choice(CLIENTS4), "192.0.2.10"
    tcp = TCP(sport=1024, dport=80, flags=random.choice("SA"))
    options = [IPOption(b"\x94\x04\x00\x00"), IPOption(b"\x01\x01\x01\x00")]
    yield "options4", ip_of(4, src, dst, options=options) / tcp
    yield "first-fragment4", ip_of(4, src, dst, flags="MF", id=7) / UDP(sport=1024, dport=53)
    yield "later-fragment4", ip_of(4, src, dst, frag=3, id=7, proto=17) / Raw(bytes(32))
    yield "last-fragment4", ip_of(4, src, dst, frag=3, id=7, proto=6) / Raw(bytes(8))
    yield "df4", ip_of(4, src, dst, flags="DF") / tcp
    yield "echo4", ip_of(4, src, dst) / ICMP() / Raw(b"ping")
    yield "echo-padded4", ip_of(4, src, random.choice(VIPS4)[0], options=options) / ICMP(seq=9) / Raw(b"odd")
    yield "echo-zero4", ip_of(4, src, dst) / ICMP(id=0, seq=0) / Raw(bytes(8))
    yield "echo-large4", ip_of(4, src, dst) / ICMP() / Raw(bytes(1472))
    yield "echo-odd4", ip_of(4, random.choice(ODD4), dst) / ICMP()
    yield "ah4", ip_of(4, src, dst) / AH(spi=1, seq=1, icv=bytes(12)) / tcp
    yield "gre4", ip_of(4, src, dst) / GRE() / IP(src=src, dst=dst) / tcp
    yield "ipip4", ip_of(4, src, dst) / IP(src=src, dst=dst) / tcp
    quoted = IP(src=dst, dst=src) / TCP(sport=80, dport=1024)
    yield "too-big4", ip_of(4, "198.51.100.99", dst) / ICMP(type=3, code=4, nexthopmtu=1280) / quoted
    yield "unreachable4", (ip_of(4, "198.51.100.99", dst) / ICMP(type=3, code=1) /
                           Raw(bytes(quoted)[:28]))
    yield "exceeded4", (ip_of(4, "198.51.100.99", dst) / ICMP(type=11) /
                        IP(src=dst, dst=src) / UDP(sport=53, dport=1024))
    yield "foreign4", ip_of(4, src, "192.0.2.99") / tcp
    yield "mapped", ip_of(6, "2001:db8:c::1", "::ffff:192.0.2.10") / tcp


def odd6(random):
    src, dst = random.choice(CLIENTS6), "2001:db8::10"
    tcp = TCP(sport=1024, dport=80, flags=random.choice("SA"))
    udp = UDP(sport=1024, dport=53)
    pad = [PadN(optdata=bytes(random.choice((0, 4, 12))))]
    hop, dest = IPv6ExtHdrHopByHop(options=pad), IPv6ExtHdrDestOpt(options=pad)
    route = IPv6ExtHdrRouting(addresses=[src])
    yield "hop-by-hop6", ip_of(6, src, dst) / hop / tcp
    yield "destination6", ip_of(6, src, dst) / dest / udp
    yield "routing6", ip_of(6, src, dst) / route / tcp
    yield "ah6", ip_of(6, src, dst) / AH(spi=1, seq=1, icv=bytes(12)) / tcp
    yield "hops-twice6", ip_of(6, src, dst) / hop / hop / tcp
    yield "many6", ip_of(6, src, dst) / dest / dest / dest / dest / dest / dest / dest / dest / udp
    yield "long6", ip_of(6, src, dst) / IPv6ExtHdrDestOpt(options=[PadN(optdata=bytes(240))]) / udp
    yield "done-route6", ip_of(6, src, dst) / IPv6ExtHdrRouting(addresses=[src], segleft=0) / tcp
    yield "two-fragments6", (ip_of(6, src, dst) / IPv6ExtHdrFragment(id=7) /
                             IPv6ExtHdrFragment(id=8) / tcp)
    yield "chain6", ip_of(6, src, dst) / hop / dest / route / dest / udp
    yield "first-fragment6", ip_of(6, src, dst) / IPv6ExtHdrFragment(m=1, id=7) / udp
    yield "later-fragment6", ip_of(6, src, dst) / IPv6ExtHdrFragment(offset=3, id=7, nh=17) / Raw(
        bytes(32))
    yield "atomic-fragment6", ip_of(6, src, dst) / IPv6ExtHdrFragment(id=7) / tcp
    yield "echo6", ip_of(6, src, dst) / ICMPv6EchoRequest(data=b"ping")
    yield "echo-hops6", ip_of(6, src, random.choice(VIPS6)[0]) / hop / dest / ICMPv6EchoRequest(data=b"ping")
    yield "echo-large6", ip_of(6, src, dst) / ICMPv6EchoRequest(data=bytes(1452))
    yield "echo-odd6", ip_of(6, random.choice(ODD6), dst) / ICMPv6EchoRequest()
    yield "solicitation6", ip_of(6, src, dst) / ICMPv6ND_NS(tgt=dst)
    quoted = IPv6(src=dst, dst=src) / TCP(sport=80, dport=1024)
    yield "too-big6", ip_of(6, "2001:db8:c::99", dst) / ICMPv6PacketTooBig(mtu=1280) / quoted
    yield "no-next6", ip_of(6, src, dst, nh=59)
    yield "foreign6", ip_of(6, src, "2001:db8::99") / tcp


def link(random):
    inner6 = IPv6(src=CLIENTS6[0], dst="2001:db8::10") / UDP(sport=1024, dport=random.choice((53, 9)))
    inner = IP(src=CLIENTS4[0], dst="192.0.2.10") / TCP(sport=1024, dport=80, flags="S")
    yield "arp", Ether(**MACS) / ARP()
    yield "lldp", Ether(**MACS, type=0x88CC) / Raw(bytes(40))
    yield "vlan", Ether(**MACS) / Dot1Q(vlan=random.randrange(4096), prio=3) / inner
    yield "priority-tag", Ether(**MACS) / Dot1Q(vlan=0, prio=7) / inner
    yield "qinq", Ether(**MACS) / Dot1AD(vlan=100) / Dot1Q(vlan=200) / inner
    yield "qinq6", Ether(**MACS) / Dot1Q(vlan=100) / Dot1Q(vlan=200) / inner6
    yield "three-tags", Ether(**MACS) / Dot1Q(vlan=1) / Dot1Q(vlan=2) / Dot1Q(vlan=3) / inner
    yield "broadcast", (Ether(src=MACS["src"], dst="ff:ff:ff:ff:ff:ff") /
                        IP(src=CLIENTS4[0], dst="192.0.2.10") / UDP(sport=1024, dport=99))


def to_quic(random, spec):
    """To the VIPs of a configuration that go by connection IDs."""
    for vip in spec["vips"]:
        for name, datagram in quic_packets.datagrams(random, vip) if "quic" in vip else ():
            address, _, width = vip["address"].partition("/")
            address += "fff" if width else ""
            family = 6 if ":" in address else 4
            port = int(str(vip["port"]).partition("-")[0]) or 443
            src = random.choice((CLIENTS4 if family == 4 else CLIENTS6)[:3])
            udp = UDP(sport=random.choice(quic_packets.SPORTS), dport=random.choice((port, 443)))
            between = {"options": [IPOption(b"\x01\x01\x01\x00")]} if family == 4 else {}
            if random.random() > 0.1:
                between = {}
            yield f"quic-{name}{family}", ip_of(family, src, address, **between) / udp / Raw(datagram)


def quic_fragments(random, spec):
    """The first fragment has the connection ID, if it is long enough; the rest follows it."""
    for name, packet in to_quic(random, spec):
        if random.random() > 0.02:
            continue
        whole = packet[UDP]
        ident = random.randrange(100, 110)
        if packet.type == 0x800:
            src, dst = packet[IP].src, packet[IP].dst
            yield name + "-first", ip_of(4, src, dst, flags="MF", id=ident) / whole
            yield name + "-later", ip_of(4, src, dst, frag=99, id=ident, proto=17) / Raw(bytes(9))
        else:
            src, dst = packet[IPv6].src, packet[IPv6].dst
            yield name + "-first", ip_of(6, src, dst) / IPv6ExtHdrFragment(m=1, id=ident) / whole
            yield name + "-later", (ip_of(6, src, dst) / IPv6ExtHdrFragment(
                offset=99, id=ident, nh=17) / Raw(bytes(9)))


@functools.lru_cache(1)
def usual_seeds(seed):
    """For any configuration: the plain ones more often than the odd."""
    random = random_module.Random(seed)
    made = []
    for _ in range(12):
        made += plain(random)
    for _ in range(8):
        made += large(random)
    for _ in range(4):
        for kind in (odd4, odd6, link):
            made += [Seed(packet, name) for name, packet in kind(random)]
    return made


def seeds(random, seed, spec):
    """A list of Seeds. Building them takes a second: those of one seed are kept."""
    return usual_seeds(seed) + [Seed(packet, name) for kind in (to_quic, quic_fragments)
                                for name, packet in kind(random, spec)]


# ---- What is done to them ------------------------------------------------------------------


LIES = [0, 1, 4, 5, 7, 8, 19, 20, 21, 40, 41, 60, 0x7F, 0x80, 0xFF, 0x1FFF, 0x2000, 0x4000, 0x7FFF,
        0x8000, 0xFFFF]


def lie(random, frame, seed):
    offset, width = random.choice(seed.fields)
    if offset + width > len(frame):
        return
    old = int.from_bytes(frame[offset:offset + width], "big")
    choice = random.random()
    if choice < 0.4:
        new = old + random.choice((-8, -4, -1, 1, 4, 8))
    elif choice < 0.8:
        new = random.choice(LIES)
    else:
        new = random.getrandbits(16)
    frame[offset:offset + width] = (new % (1 << 8 * width)).to_bytes(width, "big")


def flip(random, frame):
    for _ in range(random.choice((1, 1, 2, 8))):
        frame[random.randrange(len(frame))] ^= 1 << random.randrange(8)


def shorten(random, frame):
    del frame[random.randrange(14, len(frame) + 1):]


def pad(random, frame):
    frame += bytes(random.choice((1, 2, 6, 40)))


def flags(random, frame):
    """Another segment of the same flow."""
    at = 14 + (20 if frame[12:14] == b"\x08\x00" else 40) + 13
    if at < len(frame):
        frame[at] = random.choice((1, 2, 4, 0x10, 0x11, 0x12, 0x14, 0x18, random.randrange(256)))


def splice(random, frame, pool):
    other = random.choice(pool).bytes
    cut = random.randrange(14, len(frame) + 1)
    frame[cut:] = other[random.randrange(len(other)) if random.random() < 0.5 else cut:]


MUTATIONS = [flip, flip, shorten, pad, flags, flags]


def mutated(random, pool):
    """A frame made from one of these seeds; 14 to MAX bytes long."""
    seed = random.choice(pool)
    frame = bytearray(seed.bytes)
    for _ in range(random.choice((0, 0, 1, 1, 1, 2, 3))):
        kind = random.random()
        if kind < 0.3:
            lie(random, frame, seed)
        elif kind < 0.4:
            splice(random, frame, pool)
        else:
            random.choice(MUTATIONS)(random, frame)
    del frame[MAX:]
    return bytes(frame)


def systematic(seed):
    """Every truncation, and every lie in every length field."""
    for length in range(14, len(seed.bytes)):
        yield seed.bytes[:length]
    for offset, width in seed.fields:
        values = range(256) if width == 1 else LIES + [len(seed.bytes) + d for d in range(-60, 3)]
        for value in values:
            frame = bytearray(seed.bytes)
            frame[offset:offset + width] = (value % (1 << 8 * width)).to_bytes(width, "big")
            yield bytes(frame)
