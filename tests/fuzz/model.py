# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""
An independent model of the packet path: given configuration, state and a frame it says verdict,
counters, real, exact output bytes and the flow's next state. Written from the RFCs,
docs/packet-path.md, docs/configuration.md and include/xdplb/{abi,hash}.h, never from bpf/: where the
two differ, one of them (or the document) is wrong.

A packet goes through STAGES in their order; a stage returns None, for the next one, or an Outcome.

Left to the packet path and only checked for being allowed (the documents leave it open): which of
several equally good slots a newcomer takes, and the bits that carry flow entropy (equal for all
packets of a flow). Time is not modelled: the timeouts are hours, expired slots are planted, and
fragments are forgotten before a first one is too old to be followed. Of the schedulers only
Maglev is modelled: whom round robin or chance gives a flow, no document says; tests/bpf/test_sched*.c
has what may be said of them.
"""

from collections import namedtuple

import flows
import quic
import replies
import wire
from outcome import DRAIN, DROP, PASS, REDIRECT, TX, UP, Outcome, Packet
from wire import ICMP, ICMP6, TCP, UDP

SECOND_PICKS = 8  # RING_SECOND_PICKS of abi.h

Member = namedtuple("Member", "id vip real")  # vip: a Vip; real: address as on the wire
Way = namedtuple("Way", "row ifindex mtu tags")
# Of a packet that is one: what tells its datagram from others, where its data belongs, what it is of.
Fragment = namedtuple("Fragment", "key offset protocol")
# Where a first fragment went.
First = namedtuple("First", "protocol sport dport member frame")

HOP_BY_HOP, ROUTING, FRAGMENT, AH, DESTINATION = 0, 43, 44, 51, 60
EXTENSIONS = {HOP_BY_HOP, ROUTING, FRAGMENT, AH, DESTINATION}  # RFC 8200 section 4, RFC 4302
MAX_TAGS, MAX_HEADERS, MAX_HEADER_BYTES = 2, 8, 256

LOOPBACK = 1  # where the packets come in
GATEWAY_MAC = bytes.fromhex("029988776655")
LOCAL_MAC = bytes.fromhex("0211223344")  # and the row


class Vip:
    """A VIP of the configuration and its ring in use."""

    def __init__(self, index, spec, defaults):
        self.index = index
        network, _, fixed = spec["address"].partition("/")
        self.address = wire.address(network)
        self.family = 4 if len(self.address) == 4 else 6
        self.fixed_bits = int(fixed) if fixed else 8 * len(self.address)
        first, _, last = str(spec["port"]).partition("-")
        self.ports = range(int(first), int(last or first) + 1)
        kind = 1 if last else 0
        if self.ports == range(1):  # 0: any
            self.ports, kind = range(65536), 2
        self.kind = ("port", "range", "any port")[kind]
        self.is_prefix = bool(fixed)
        self.precedence = (-self.fixed_bits, kind)  # docs/packet-path.md, "Which VIP"
        self.protocol = {"tcp": TCP, "udp": UDP}[spec["protocol"]]
        self.on_no_port = spec.get("on_no_port", defaults.get("on_no_port", "reply"))
        self.on_all_down = spec.get("on_all_down", "drop")
        self.echo = spec.get("echo", defaults.get("echo", "up"))
        self.encap = spec.get("encap", defaults.get("encap", "ipip"))
        self.reals = [wire.address(real["address"]) for real in spec.get("reals", [])]
        self.quic = {one["rotation"]: quic.Config(one) for one in spec.get("quic", [])}
        self.server_ids = {bytes.fromhex(real["server_id"]): wire.address(real["address"])
                           for real in spec.get("reals", []) if "server_id" in real}
        self.ring = []
        self.states = [UP] * len(self.reals)

    def has_address(self, family, address):
        free = 8 * len(self.address) - self.fixed_bits
        return family == self.family and (int.from_bytes(address, "big") >> free ==
                                          int.from_bytes(self.address, "big") >> free)

    def serves(self, family, address, port, protocol):
        return (protocol == self.protocol and int.from_bytes(port, "big") in self.ports and
                self.has_address(family, address))


class Model:
    def __init__(self, config, dump):
        defaults = config.get("defaults", {})
        self.vips = [Vip(i, spec, defaults) for i, spec in enumerate(config["vips"])]
        self.by_precedence = sorted(self.vips, key=lambda vip: vip.precedence)
        self.found = {}  # what was looked up before
        self.sources = {4: config["encap"].get("source4"), 6: config["encap"].get("source6")}
        for family, text in self.sources.items():
            self.sources[family] = self.source(text) if text else None
        self.gue_port = config["encap"].get("gue_port", 6080)
        self.gue_checksum6 = config["encap"].get("gue_checksum6", "zero")
        self.hash = wire.FlowHash(bytes.fromhex(dump["key"]))
        self.table = flows.Table(dump["buckets"])
        self.next_hops = {}  # real to row, and whether it is a gateway
        self.ways = {}  # row to Way
        self.entropy = {}  # of flows seen
        self.fragments = {}  # Fragment.key to First
        self.replies_allowed = True
        self.load(dump)

    @staticmethod
    def source(text):
        """Outer source: its fixed bits, and the mask of those that carry entropy."""
        base, _, bits = text.partition("/")
        base = wire.address(base)
        free = len(base) * 8 - (int(bits) if bits else len(base) * 8)
        return int.from_bytes(base, "big"), (1 << free) - 1, len(base)

    def load(self, dump):
        """Takes over ids and rings, which are the daemon's to choose."""
        self.members = {}
        for vip, members in zip(self.vips, dump["members"]):
            for m in members:
                self.members[m["id"]] = Member(m["id"], vip, wire.address(m["real"]))
        for vip, ring in zip(self.vips, dump["rings"]):
            vip.ring = [self.members[i] for i in ring]

    def service_of(self, *service):
        """The VIP for a family, address, port and protocol, or None."""
        if service not in self.found:
            self.found[service] = next((vip for vip in self.by_precedence if vip.serves(*service)),
                                       None)
        return self.found[service]

    def address_of(self, *address):
        """A VIP of the address, else of the longest prefix around it, or None."""
        if address not in self.found:
            self.found[address] = next((vip for vip in self.by_precedence
                                        if vip.has_address(*address)), None)
        return self.found[address]

    def state_of(self, member):
        return member.vip.states[member.vip.reals.index(member.real)]

    def run(self, frame):
        p = Packet(frame)
        for stage in self.STAGES:
            outcome = stage(self, p)
            if outcome:
                outcome.counters += p.counters
                outcome.slot, outcome.packet = p.slot, p
                outcome.stats = outcome.stats if outcome.member is not None else (0, 0, 0)
                return outcome
        raise AssertionError("no stage decided")

    # ---- What it is, and for whom ----------------------------------------------------------

    def ethernet(self, p):
        at = 12
        while p.frame[at:at + 2] in wire.VLAN and at < 12 + 4 * MAX_TAGS:
            at += 4
        kind = p.frame[at:at + 2]
        if len(kind) < 2:
            return Outcome(PASS, ["pass_truncated"])
        if kind not in (wire.ETH_IP4, wire.ETH_IP6):
            return Outcome(PASS, ["pass_not_ip"])
        p.l3 = at + 2
        p.family = 4 if kind == wire.ETH_IP4 else 6
        if len(p.frame) < p.l3 + (20 if p.family == 4 else 40):
            return Outcome(PASS, ["pass_truncated"])
        return None

    def destination(self, p):
        ip = p.frame[p.l3:]
        p.src, p.dst = (ip[12:16], ip[16:20]) if p.family == 4 else (ip[8:24], ip[24:40])
        if not self.address_of(p.family, p.dst):
            return Outcome(PASS, ["pass_no_vip"])
        return None

    def network(self, p):
        """IP header, its length, and what stands between it and the transport header."""
        ip = p.frame[p.l3:]
        if ip[0] >> 4 != p.family:
            return Outcome(DROP, ["drop_bad_header"])
        if p.family == 4:
            header = (ip[0] & 15) * 4
            if header < 20:
                return Outcome(DROP, ["drop_bad_header"])
            p.tos, p.l3_len = ip[1], int.from_bytes(ip[2:4], "big")
            p.protocol, p.l4 = ip[9], p.l3 + header
        else:
            header = 40
            p.tos = int.from_bytes(ip[0:2], "big") >> 4 & 0xFF
            p.l3_len = 40 + int.from_bytes(ip[4:6], "big")
            p.protocol, p.l4 = ip[6], p.l3 + 40
        if p.l3_len < header or p.l3_len > len(ip):
            return Outcome(DROP, ["drop_bad_length"])
        if p.family == 4 and int.from_bytes(ip[6:8], "big") & 0x3FFF:
            p.fragment = Fragment((4, p.src, p.dst, ip[4:6], p.protocol),
                                  int.from_bytes(ip[6:8], "big") % 0x2000 * 8, p.protocol)
        return None

    def headers_between(self, p):
        """Extension headers, and the Authentication Header of both families."""
        if p.fragment and p.fragment.offset:
            return None
        end = p.l3 + p.l3_len
        refused, p.protocol, p.l4, fragment = self.skip(p.frame[:end], p.family, p.l4, p.protocol)
        if refused:
            return Outcome(DROP, [refused])
        if fragment:
            p.fragment = Fragment((6, p.src, p.dst, fragment[4:8]),
                                  int.from_bytes(fragment[2:4], "big") & 0xFFF8, fragment[0])
        return None

    @staticmethod
    def skip(frame, family, start, protocol):
        """
        Over the headers from start on: why not or None, the protocol behind them and where it is,
        the Fragment header if it makes this a fragment. Behind a later fragment's there is data.
        """
        kinds = EXTENSIONS if family == 6 else {AH}
        at, count, fragment = start, 0, None
        while protocol in kinds:
            count += 1
            if count > MAX_HEADERS:
                return "drop_extension", protocol, at, fragment
            head = frame[at:at + 8]
            if len(head) < 8:
                return "drop_bad_length", protocol, at, fragment
            if protocol == HOP_BY_HOP and count > 1:
                return "drop_extension", protocol, at, fragment
            size = {FRAGMENT: 8, AH: 4 * (head[1] + 2)}.get(protocol, 8 * (head[1] + 1))
            if protocol == AH and size < 12:
                return "drop_bad_header", protocol, at, fragment
            if protocol == ROUTING and head[3]:  # the VIP is not the last stop
                return "drop_extension", protocol, at, fragment
            if at + size > len(frame):
                return "drop_bad_length", protocol, at, fragment
            if at + size - start > MAX_HEADER_BYTES:
                return "drop_extension", protocol, at, fragment
            if protocol == FRAGMENT and fragment:
                return "drop_extension", protocol, at, fragment
            is_fragment = protocol == FRAGMENT and int.from_bytes(head[2:4], "big") & 0xFFF9
            protocol = head[0]
            at += size
            if is_fragment:
                fragment = head
                if int.from_bytes(head[2:4], "big") & 0xFFF8:
                    break
        return None, protocol, at, fragment

    def fragment(self, p):
        """docs/packet-path.md, "Fragments": a later one goes where its first went."""
        if not p.fragment or not p.fragment.offset:
            return None
        if p.fragment.protocol == TCP and p.fragment.offset < 20:
            return Outcome(DROP, ["drop_fragment"])
        first = self.fragments.get(p.fragment.key)
        if not first:
            if self.address_of(p.family, p.dst).on_no_port == "pass":
                return Outcome(PASS, ["pass_no_port"])
            return Outcome(DROP, ["drop_fragment_unknown"])
        if self.state_of(first.member) not in (UP, DRAIN):
            return Outcome(DROP, ["drop_fragment_unknown"])
        p.protocol, p.sport, p.dport = first.protocol, first.sport, first.dport
        p.member, p.followed = first.member, first.frame
        p.counters.append("flow_fragment")
        return None

    def upper_layer(self, p):
        """Other protocols than TCP and UDP."""
        if p.member or p.protocol in (TCP, UDP):
            return None
        if p.protocol != (ICMP if p.family == 4 else ICMP6):
            return Outcome(DROP, ["drop_protocol"])
        if p.fragment:
            return Outcome(DROP, ["drop_fragment"])
        if p.l4 + 8 > p.l3 + p.l3_len:
            return Outcome(DROP, ["drop_truncated"])
        kind = p.frame[p.l4]
        # RFC 4443 section 2.1: the upper bit says that it is no error; 2.4 (a): an unknown error, too.
        if kind in ((3, 11, 12) if p.family == 4 else range(128)):
            return self.icmp_error(p)
        if p.family == 6 and 133 <= kind <= 136:
            return Outcome(PASS, ["pass_neighbour_discovery"])
        if kind == (8 if p.family == 4 else 128):
            return replies.echo(self, p)
        if kind in ((4, 5) if p.family == 4 else (137,)):
            return Outcome(DROP, ["drop_icmp_ignored"])
        return Outcome(DROP, ["drop_protocol"])

    def icmp_error(self, p):
        """docs/packet-path.md, "ICMP errors": to the real that has the flow."""
        p.about = self.quoted(p)
        if not p.about:
            return Outcome(DROP, ["drop_icmp_quote"])
        h = self.hash.of(p.family, *p.about)
        _, address, protocol, _, port = p.about
        vip = self.service_of(p.family, address, port, protocol)
        index = self.table.find(h)
        if index is not None:
            member = self.members.get(self.table.words[index] >> 12 & 0xFFFFF)
            if (member and member.vip.serves(p.family, address, port, protocol) and
                    self.state_of(member) in (UP, DRAIN)):
                p.member = member
        if not p.member:
            if not vip and self.address_of(p.family, p.dst).on_no_port == "pass":
                return Outcome(PASS, ["pass_no_port"])
            if not vip:
                return Outcome(DROP, ["drop_icmp_no_port"])
            p.member = self.pick(vip, h)
        if not p.member:
            return Outcome(DROP, ["drop_no_real"])
        p.counters.append("flow_icmp_error")
        return None

    def quoted(self, p):
        """Client, VIP, protocol, ports of the flow of which a packet is quoted, or None."""
        quote = p.frame[p.l4 + 8:p.l3 + p.l3_len]
        header = 20 if p.family == 4 else 40
        if len(quote) < header or quote[0] >> 4 != p.family:
            return None
        if p.family == 4:
            header = (quote[0] & 15) * 4
            if header < 20 or int.from_bytes(quote[6:8], "big") & 0x1FFF:
                return None
            protocol, src, dst = quote[9], quote[12:16], quote[16:20]
        else:
            protocol, src, dst = quote[6], quote[8:24], quote[24:40]
        refused, protocol, at, fragment = self.skip(quote, p.family, header, protocol)
        if refused or fragment and int.from_bytes(fragment[2:4], "big") & 0xFFF8:
            return None
        if src != p.dst or protocol not in (TCP, UDP) or len(quote) < at + 8:
            return None
        return dst, src, protocol, quote[at + 2:at + 4], quote[at:at + 2]

    def transport(self, p):
        if p.member:
            return None
        end = p.l3 + p.l3_len
        if end - p.l4 < (20 if p.protocol == TCP else 8):
            return Outcome(DROP, ["drop_truncated"])
        p.sport, p.dport = p.frame[p.l4:p.l4 + 2], p.frame[p.l4 + 2:p.l4 + 4]
        if p.protocol == TCP:
            offset = (p.frame[p.l4 + 12] >> 4) * 4
            if offset < 20 or offset > end - p.l4:
                return Outcome(DROP, ["drop_truncated"])
            p.flags = p.frame[p.l4 + 13]
            p.payload = end - p.l4 - offset
        else:
            p.payload = end - p.l4 - 8
        return None

    # ---- Which real ------------------------------------------------------------------------

    def known_flow(self, p):
        if p.member:
            return None
        p.hash = self.hash.of(p.family, p.src, p.dst, p.protocol, p.sport, p.dport)
        flows.follow(self, p)
        if not p.member or p.member.vip.quic:
            self.connection_id(p)
        return None

    def connection_id(self, p):
        """docs/packet-path.md, "QUIC": the member that it names, if any, gets packet and flow."""
        vip = self.service_of(p.family, p.dst, p.dport, p.protocol)
        if not vip or not vip.quic:
            return
        p.quic = quic.Reading(vip, p.frame[p.l4 + 8:p.l3 + p.l3_len])
        if p.quic.why_not:
            p.counters.append(p.quic.why_not)
        if p.quic.real:
            p.counters.append("quic_by_cid")
            flows.give(self, p, next(one for one in self.members.values()
                                     if one.vip is vip and one.real == p.quic.real))

    def service(self, p):
        if p.member:
            return None
        vip = self.service_of(p.family, p.dst, p.dport, p.protocol)
        if not vip:
            return replies.refuse(self, p)
        p.member = self.pick(vip, p.hash)
        if not p.member:
            return replies.all_down(self, p, vip)
        flows.record(self, p)
        return None

    def pick(self, vip, h):
        draining = None
        if not vip.ring:
            return None
        for attempt in range(1 + SECOND_PICKS):
            member = vip.ring[wire.hash_ring(h, len(vip.ring), attempt)]
            state = self.state_of(member)
            if state == UP:
                return member
            if state == DRAIN and not draining:
                draining = member
        return draining

    # ---- The way out -----------------------------------------------------------------------

    def way_out(self, p):
        if p.fragment and not p.fragment.offset:
            self.fragments[p.fragment.key] = First(p.protocol, p.sport, p.dport, p.member, p.frame)
        encap = p.member.vip.encap
        row, is_gateway = self.next_hops.get(p.member.real, (0, False))
        if encap == "l2dsr" and is_gateway:
            return Outcome(DROP, ["drop_not_on_link"])
        way = self.ways.get(row)
        if not way:
            return Outcome(DROP, ["drop_no_next_hop"])
        outer = {"l2dsr": 0, "gue": 8, "ipip": 0}[encap]
        if encap != "l2dsr":
            outer += 20 if len(p.member.real) == 4 else 40
        if p.l3_len + outer > way.mtu:
            return replies.too_big(self, p, way.mtu - outer)
        outcome = Outcome(TX if way.ifindex == LOOPBACK else REDIRECT, [])
        outcome.member = p.member
        outcome.stats = (1, p.l3_len, int(p.is_new))
        ethernet = GATEWAY_MAC + LOCAL_MAC + bytes([way.row]) + way.tags
        if encap == "l2dsr":
            outcome.out = ethernet + p.frame[p.l3 - 2:]
        else:
            self.encapsulate(p, ethernet, outcome)
        return outcome

    def encapsulate(self, p, ethernet, outcome):
        """
        The outer header of docs/packet-path.md. Its entropy is not specified, but that all packets
        of a flow have the same: outcome.entropy is a function that takes it from the frame that the
        packet path made, and makes the frame with it.
        """
        real = p.member.real
        family = 4 if len(real) == 4 else 6
        is_gue = p.member.vip.encap == "gue"
        base, mask, size = self.sources[family]
        inner = p.frame[p.l3:]
        protocol = UDP if is_gue else wire.IPIP if p.family == 4 else wire.IPV6
        flow = p.about or (p.src, p.dst, p.protocol, p.sport, p.dport)
        flow += (p.family, family, is_gue)
        length = p.l3_len + (8 if is_gue else 0)

        def finish(seen):
            """seen: the frame that the packet path made; b"" if that is too short to be one."""
            at = len(ethernet) + 2
            if family == 4:
                found = (int.from_bytes(seen[at + 12:at + 16], "big") & mask, 0)
            else:
                found = (int.from_bytes(seen[at + 8:at + 24], "big") & mask & (1 << 64) - 1,
                         int.from_bytes(seen[at:at + 4], "big") & 0xFFFFF)
            at += 20 if family == 4 else 40
            found += (int.from_bytes(seen[at:at + 2], "big") | 0xC000,)
            entropy, label, port = self.entropy.setdefault(flow, found)
            source = (base | entropy).to_bytes(size, "big")
            if family == 4:
                head = wire.ETH_IP4 + wire.ip4_header(source, real, protocol, length, tos=p.tos)
            else:
                head = wire.ETH_IP6 + wire.ip6_header(source, real, protocol, length, tos=p.tos,
                                                      label=label)
            if is_gue:
                covered = inner[:p.l3_len] if family == 6 and self.gue_checksum6 != "zero" else None
                head += wire.udp_header(source, real, port, self.gue_port, p.l3_len, covered)
            return ethernet + head + inner

        outcome.entropy = finish

    STAGES = [ethernet, destination, network, headers_between, fragment, upper_layer, transport,
              known_flow, service, way_out]
