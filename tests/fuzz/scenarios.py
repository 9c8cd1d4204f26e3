# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Configurations and states of the balancer that packets are tried in."""

REALS4 = ["10.1.0.1", "10.1.0.2", "10.1.0.3"]
REALS6 = ["fd00:2::1", "fd00:2::2"]
# Rows of the ways out: loopback, where packets come in, another interface, VLAN devices.
NARROW, WIDE, TAGGED, QINQ = 1, 2, 3, 4
WAYS = [f"out {NARROW} 1 1500", f"out {WIDE} 4242 2000", f"out {TAGGED} 1 1500 81000064",
        f"out {QINQ} 4242 1500 88a80064 810000c8"]

# Hours, so that nothing expires during a round; all equal, so that an age means the same in each state.
TIMEOUTS = {"tcp": "1h", "tcp_closing": "1h", "tcp_unproven": "1h", "udp": "1h"}


def vip(name, address, port, protocol, reals, **more):
    return {"name": name, "address": address, "port": port, "protocol": protocol,
            "reals": [{"address": real} for real in reals], **more}


def config(source4, source6, more=(), **encap):
    both = REALS4 + REALS6
    return {
        "interfaces": [{"name": "lo", "attach": "exclusive", "mode": "native"}],
        "encap": {"source4": source4, "source6": source6, **encap},
        "capacity": {"flows": 1000, "members": 128, "vips": 32, "ring_slots": 65536},
        "defaults": {"ring": 251, "timeouts": TIMEOUTS, "health": {"type": "none"}},
        "vips": [
            vip("web4", "192.0.2.10", 80, "tcp", both),
            vip("dns4", "192.0.2.10", 53, "udp", both),
            vip("one4", "192.0.2.11", 443, "tcp", REALS4[:1], on_no_port="drop"),
            vip("pass4", "192.0.2.12", 443, "udp", REALS6[:1], on_no_port="pass"),
            vip("none4", "192.0.2.13", 80, "tcp", [], echo="always"),
            vip("web6", "2001:db8::10", 80, "tcp", both),
            vip("dns6", "2001:db8::10", 53, "udp", both),
            vip("one6", "2001:db8::11", 443, "tcp", REALS4[:1], on_no_port="drop"),
            vip("pass6", "2001:db8::12", 443, "udp", REALS6[:1], on_no_port="pass", echo="off"),
            vip("none6", "2001:db8::13", 80, "tcp", []),
            vip("gue4", "192.0.2.14", 80, "tcp", both, encap="gue"),
            vip("link4", "192.0.2.15", 80, "tcp", both, encap="l2dsr"),
            vip("link6", "2001:db8::15", 53, "udp", both, encap="l2dsr"),
            vip("gue6", "2001:db8::14", 53, "udp", both, encap="gue"),
            vip("range4", "192.0.2.16", "8000-8099", "tcp", REALS4),
            vip("inside4", "192.0.2.16", 8050, "tcp", REALS4[:1]),
            vip("any4", "192.0.2.16", 0, "udp", REALS4[:2]),
            vip("prefix4", "198.18.2.128/25", 80, "tcp", REALS4[:2], on_no_port="drop"),
            vip("wider4", "198.18.2.0/24", "79-82", "tcp", REALS6),
            vip("range6", "2001:db8::16", "50-60", "udp", REALS6),
            vip("any6", "2001:db8::16", 0, "tcp", REALS6),
            vip("prefix6", "2001:db8:f::/116", 0, "udp", REALS4[:2]),
            *more,
        ],
    }


def quic_vip(name, address, port, server_id_len, algorithms, **more):
    """algorithms: of each rotation in use, the nonce's length, negative for plain IDs."""
    one = vip(name, address, port, "udp", REALS4 + REALS6, **more)
    for i, real in enumerate(one["reals"]):
        real["server_id"] = bytes((i + 1,)).rjust(server_id_len, b"\xe0").hex()
    one["quic"] = [{"rotation": rotation, "server_id_length": server_id_len,
                    "nonce_length": abs(nonce),
                    **({"key": bytes(range(rotation, 16 + rotation)).hex()} if nonce > 0 else {})}
                   for rotation, nonce in algorithms.items()]
    return one


# Every length of 5 to 19, plain and encrypted; server IDs in the left half, across the middle, at
# its edge. VIPs with and without connection IDs lie over each other.
QUIC = [
    quic_vip("quic4", "192.0.2.17", 443, 3, {0: -5, 1: 13, 2: 4, 3: 5, 4: 15, 5: 16, 6: 9}),
    quic_vip("quic6", "2001:db8::17", 443, 1, {0: 4, 1: 15, 3: -4, 4: -18, 5: 18, 6: 10}),
    quic_vip("quic-wide4", "192.0.2.17", "440-450", 9, {0: 4, 1: 7, 2: 9, 3: 5, 5: -7, 6: 8},
             encap="gue"),
    quic_vip("quic-wide6", "2001:db8::/112", 443, 15, {1: 4, 2: -4}, encap="l2dsr"),
    quic_vip("quic-short6", "2001:db8::18", 0, 2, {0: 4, 1: 5, 2: 7, 3: 9, 4: 11, 5: 12, 6: 14}),
    quic_vip("quic-later6", "2001:db8::17", "1-500", 4, {1: 11, 2: 12, 4: 4, 6: -12}),
    vip("not-quic4", "192.0.2.17", 0, "udp", REALS4[:2]),
]

def told(spec, policies):
    """The VIPs of these names tell who begins a flow that no real can take."""
    for one in spec["vips"]:
        if one["name"] in policies:
            one["on_all_down"] = policies[one["name"]]
    return spec


CONFIGS = {
    "computed": config("10.255.0.1", "fd00:1::1", gue_port=5555, gue_checksum6="computed"),
    "prefix": config("10.255.0.0/16", "fd00:1::/64", more=[
        vip("large6", "2001:db8:f::/64", "70-90", "tcp", REALS4[:1])]),
    "plain": config("10.255.0.1", "fd00:1::1"),
    "quic": config("10.255.0.1", "fd00:1::1", more=QUIC),
    "told": told(config("10.255.0.1", "fd00:1::1"), {
        "none4": "reset", "none6": "unreachable", "one4": "unreachable", "one6": "reset",
        "pass4": "reset", "pass6": "unreachable", "inside4": "reset", "any4": "unreachable",
        "range6": "reset", "any6": "unreachable"}),
}


def start(spec):
    """Commands that make every real reachable: half of them through each way out."""
    reals = REALS4 + REALS6
    hops = [f"hop {real} {WIDE if i % 2 else NARROW}" for i, real in enumerate(reals)]
    states = [f"real {v} {r} u" for v, one in enumerate(spec["vips"])
              for r in range(len(one["reals"]))]
    return WAYS + hops + states + ["forget", "apply", "rings"]


def shake(spec, random, table):
    """Commands for another state: reals, next hops, widths, expired and planted slots."""
    commands = []
    for v, one in enumerate(spec["vips"]):
        for r in range(len(one["reals"])):
            if random.random() < 0.3:
                commands.append(f"real {v} {r} {random.choice('uuuudrx')}")
    commands.append("apply")
    if random.random() < 0.5:  # else second picks, by a ring out of date
        commands.append("rings")
    for real in REALS4 + REALS6:
        if random.random() < 0.3:
            row = random.choice((0, NARROW, NARROW, WIDE, TAGGED, QINQ))
            commands.append(f"hop {real} {row}" + random.choice(("", "", " gateway" if row else "")))
    if random.random() < 0.3:
        commands.append(f"out {NARROW} 1 {random.choice((60, 1280, 1310, 1400, 2000, 65535))}")
    if random.random() < 0.1:
        commands.append("forget")
    else:
        commands += shake_table(random, table)
    return commands


def shake_table(random, table):
    """Some flows expire, some are freed, some are another VIP's; some buckets are filled."""
    commands = []
    now = next((word & 511 for word in table.words if word & 511 not in (0, 1, 511)), None)
    for pair in random.sample(range(table.buckets // 2), table.buckets // 12) if now else ():
        states = random.choice(((3,), (7,), (3, 7), (1, 2, 3, 4, 5, 6, 7)))
        for index in range(pair * 16, pair * 16 + 16):
            if not table.words[index] >> 9 & 7:
                word = random.getrandbits(32) << 32 | random.randrange(112) << 12
                commands.append(f"slot {index} {word | random.choice(states) << 9 | now:x}")
    for index, word in enumerate(table.words):
        if not word >> 9 & 7 or random.random() > 0.1:
            continue
        choice = random.random()
        if choice < 0.4:
            word |= 511
        elif choice < 0.6:
            word = 1
        elif choice < 0.8:
            word = word & ~(0xFFFFF << 12) | random.randrange(112) << 12
        else:
            states = range(1, 6) if word >> 9 & 7 < 6 else (6, 7)
            word = word & ~(7 << 9) | random.choice(states) << 9
        commands.append(f"slot {index} {word:x}")
    return commands
