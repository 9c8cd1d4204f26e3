#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""
Shows that the fuzzer can fail: after a run that finds nothing, breaks the packet path in one way after the other, in a copy of the
tree, and says how long it took to find. `make fuzz-proof` runs it and leaves a table for
docs/reliability.md in build/fuzz-proof.md.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 60

# What is broken, the file in bpf/, the text there and what it becomes; `host`: found by the host
# build, since the verifier refuses it.
BREAKAGES = [
    ("ECN is not copied into the outer IPv4 header", "outer.h",
     "__be16 tos = bpf_htons(pkt->tos);", "__be16 tos = bpf_htons(pkt->tos & 0xfc);"),
    ("a checksum's second carry is lost", "csum.h",
     "return sum + (sum >> 16);", "return sum;"),
    ("the IPv4 header's length is ignored", "parse.h",
     "pkt->l4_offset = pkt->l3_offset + header_len;",
     "pkt->l4_offset = pkt->l3_offset + sizeof(*ip);"),
    ("the MTU is compared by `<`", "encap_outer.h",
     "if (pkt->l3_len + outer_len <= mtu)", "if (pkt->l3_len + outer_len < mtu)"),
    ("a UDP header cut short is counted as a bad length", "parse.h",
     "if (!udp || l4_len < sizeof(*udp))\n\t\treturn vip_refuse(pkt, counter_index(drop_truncated))",
     "if (!udp || l4_len < sizeof(*udp))\n\t\treturn vip_refuse(pkt, counter_index(drop_bad_length))"),
    ("UDP's ports are swapped", "parse.h",
     "pkt->tuple.sport = udp->source;\n\tpkt->tuple.dport = udp->dest;",
     "pkt->tuple.sport = udp->dest;\n\tpkt->tuple.dport = udp->source;"),
    ("a TCP header may be longer than its segment", "parse.h",
     "header_len < sizeof(*tcp) || header_len > l4_len", "header_len < sizeof(*tcp)"),
    ("an IPv4 packet without payload is a bad length", "parse.h",
     "pkt->l3_len < header_len ||", "pkt->l3_len <= header_len ||"),
    ("a RST does not acknowledge the FIN", "reply.h",
     "len += tcp.syn + tcp.fin;", "len += tcp.syn;"),
    ("a RST is answered by a RST", "refuse.h",
     "(is_tcp && pkt->tcp_flags & TCP_RST)", "(is_tcp && !pkt->tcp_flags)"),
    ("the rate limit of replies is off", "reply.h",
     "if (limit->tokens < 1000)", "if (limit->tokens == ~0ULL)"),
    ("hop-by-hop options may come later", "extension.h", "return !is_first;", "return false;"),
    ("a first IPv6 fragment counts as whole", "extension.h",
     "bpf_htons(FRAGMENT_OFFSET6 | FRAGMENT_MORE6)", "bpf_htons(FRAGMENT_OFFSET6)"),
    ("half of the IPv6 traffic class is lost", "parse.h",
     "ip->priority << 4 | ip->flow_lbl[0] >> 4", "ip->priority << 4"),
    ("QinQ: the inner tag is lost on the way out", "vlan.h", "if (!inner)", "if (outer)"),
    ("GUE: the UDP length lacks the UDP header", "outer_gue.h",
     "bpf_htons(sizeof(*udp) + pkt->l3_len)", "bpf_htons(pkt->l3_len)"),
    ("a flow's member is not checked against its VIP", "flow.h",
     "if (!flow_member_serves(member, &pkt->tuple)) {",
     "if (!flow_member_serves(member, &pkt->tuple) && !id) {"),
    ("a SYN moves a live flow", "flow.h",
     "if (state == FLOW_NONE)\n\t\t\treturn false;", "if (state)\n\t\t\treturn false;"),
    ("of several draining reals the last is taken", "ring.h",
     "state == MEMBER_DRAIN && draining < 0", "state == MEMBER_DRAIN"),
    ("an IPv6 packet too big is not told of a later fragment", "too_big.h",
     "(!pkt->is_later_fragment || pkt->tuple.family == FAMILY_V6)", "!pkt->is_later_fragment"),
    ("an ICMPv6 error of an unknown type is dropped", "icmp.h", "if (type < 128)",
     "if (type >= 1 && type <= 4)"),
    ("a connection is told that no real is up", "refuse.h", "|| pkt_is_syn(pkt);", "|| true;"),
    ("QUIC: the flow table wins over the connection ID", "xdplb.bpf.c",
     "if (is_known && (named < 0 || named == pkt->member_id))", "if (is_known)"),
    ("QUIC: the general path reads IDs of flows that the lane leaves alone", "xdplb.bpf.c",
     "if (is_known && !(READ_WORD(pkt->member->encap) & MEMBER_NO_EXPRESS))",
     "if (is_known && named == -9)"),
    ("QUIC: an ID may end one octet beyond the packet", "quic.h",
     "if (length <= QUIC_NONCE_MIN || length >= room)",
     "if (length <= QUIC_NONCE_MIN || length > room)"),
    ("QUIC: a fourth pass is left out", "quic.h",
     "config->cipher == QUIC_THREE_PASSES ? 2 : 1", "config->cipher == QUIC_THREE_PASSES ? 2 : 2"),
    ("QUIC: half an octet of an odd length counts on both sides", "quic.h",
     "quic_and(quic_shift_up(word, config->right_shift), config->right)",
     "quic_shift_up(word, config->right_shift)"),
    ("QUIC: a draining real loses its connections", "quic.h",
     "return state == MEMBER_UP || state == MEMBER_DRAIN ?", "return state == MEMBER_UP ?"),
    ("QUIC: the first rotation bit is lost", "quic.h", "((octet) >> 5)", "((octet) >> 5 & 3)"),
    ("QUIC: 0-RTT goes by the client's connection ID", "quic.h",
     "return QUIC_TYPE(first) <= 1;", "return QUIC_TYPE(first) == 0;"),
    ("QUIC: version 2 has the types of version 1", "quic.h",
     "(QUIC_TYPE(first) == 1 || QUIC_TYPE(first) == 2)", "QUIC_TYPE(first) <= 1"),
    ("AES: a column of the last round is not shifted", "aes.h",
     "AES_LAST(AES_SUB, b, c, d, a)", "AES_LAST(AES_SUB, b, c, d, b)"),
    ("host: the frame's end is not checked", "pkt.h",
     "data + offset + len > data_end", "data + offset > data_end"),
    ("host: QUIC: the datagram's length is not checked", "quic.h",
     "if (!quic || pkt->payload_len < QUIC_LONG_CID + 1)", "if (!pkt->payload_len)"),
]


def copy_tree(to):
    listed = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard"],
                            cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")
    for name in filter(None, listed):
        if (ROOT / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, to / name)


def make(tree, target):
    ran = subprocess.run(["make", "-j2", target], cwd=tree, capture_output=True, text=True,
                         check=False)
    if ran.returncode:
        raise RuntimeError(ran.stdout + ran.stderr)


def find_by_model(tree):
    """Seconds until a difference, or None."""
    make(tree, "build/tests/fuzz/server")
    started = time.monotonic()
    ran = subprocess.run(["/usr/bin/python3", "tests/fuzz/fuzz.py", "run", "--seconds",
                          str(LIMIT_S), "--seed", "1"], cwd=tree, capture_output=True, text=True,
                         env={**os.environ, "XDPLB_BUILD": "build"}, check=False)
    if ran.returncode == 0:
        return None
    if "to repeat:" not in ran.stdout:
        raise RuntimeError(ran.stdout + ran.stderr)
    return time.monotonic() - started


def find_by_host(tree, maps):
    make(tree, "build/tests/fuzz/host_parse")
    started = time.monotonic()
    ran = subprocess.run(["build/tests/fuzz/host_parse", f"-max_total_time={LIMIT_S}",
                          "-max_len=3400", f"-artifact_prefix={tree}/", maps / "seeds"], cwd=tree,
                         capture_output=True, text=True, check=False,
                         env={**os.environ, "HOST_MAPS": str(maps / "quic.maps")})
    found = re.search("SUMMARY: (Address|UndefinedBehavior)Sanitizer", ran.stderr)
    return time.monotonic() - started if found else None


def check_table():
    for what, file, old, _ in BREAKAGES:
        if (ROOT / "bpf" / file).read_text().count(old) != 1:
            raise RuntimeError(f"{what}: not, or not once, in bpf/{file}: {old}")


def main():
    check_table()
    wanted = re.compile(sys.argv[1] if len(sys.argv) > 1 else ".")
    missed = 0
    rows = ["| broken on purpose | found after |", "|---|---|"]
    with tempfile.TemporaryDirectory() as name:
        tree = Path(name)
        copy_tree(tree)
        make(tree, "fuzzers")
        subprocess.run(["/usr/bin/python3", "tests/fuzz/fuzz.py", "snapshots", "build/fuzz"],
                       cwd=tree, check=True, env={**os.environ, "XDPLB_BUILD": "build"})
        if find_by_model(tree) is not None:
            print("there is a difference without a breakage: make fuzz FUZZ_SEED=1", file=sys.stderr)
            return 1
        for what, file, old, new in filter(lambda row: wanted.search(row[0]), BREAKAGES):
            path = tree / "bpf" / file
            text = path.read_text()
            path.write_text(text.replace(old, new))
            took = (find_by_host(tree, tree / "build/fuzz") if what.startswith("host: ")
                    else find_by_model(tree))
            path.write_text(text)
            missed += took is None
            rows.append(f"| {what.removeprefix('host: ')} | "
                        f"{'not within 60 s' if took is None else f'{took:.1f} s'} |")
            print(rows[-1], flush=True)
    (ROOT / "build").mkdir(exist_ok=True)
    (ROOT / "build/fuzz-proof.md").write_text("\n".join(rows) + "\n")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
