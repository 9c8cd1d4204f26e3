# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""
The corpus: one file for each way that a packet can take, kept short. A file is a small script:

    # why it is here
    config NAME                a configuration of scenarios.py
    real VIP/ADDRESS STATE     d down, r draining, x disabled; the rest is up
    stale                      these states came after the ring was built
    hop ADDRESS ROW            another next hop than usual; 0: none
    out ROW IFINDEX MTU        another way out than usual
    flow STATE MEMBER [old]    what the flow table says about the packet's flow: enum flow_state, and
                               VIP/ADDRESS or `free`; old: expired
    full STATE                 both buckets are full of other flows in this state
    before HEX                 a packet that was sent first
    no-replies                 the rate limit of replies is used up
    packet HEX
    expect VERDICT COUNTER...  forwarded packets: `forwarded` beside the flow table's counters
"""

import os

import scenarios
import wire
from flows import AGE_OLD
from judge import REAL_STATES, VERDICTS, Difference, Judge
from outcome import DOWN, REDIRECT, TX, UP
from program import NO_REPLY, Program

DIRECTORY = os.path.join(os.path.dirname(__file__), "corpus")
STATES = ["none", "SYN", "ACK", "TCP", "FIN", "RST", "first datagram", "UDP"]  # enum flow_state
FREE_MEMBER = 127  # the last id of the configurations' capacity


class Case:
    """One file."""

    def __init__(self, why=""):
        self.why = why
        self.lines = []  # but for comment, packet and expectation
        self.packet = b""
        self.expect = ""

    @staticmethod
    def read(path):
        case = Case()
        with open(path, encoding="ascii") as file:
            for line in map(str.strip, file):
                if line.startswith("# SPDX"):
                    continue
                if line.startswith("#"):
                    case.why = line[2:]
                elif line.startswith("packet"):
                    case.packet += bytes.fromhex(line[7:])
                elif line.startswith("expect"):
                    case.expect = line[7:]
                elif line:
                    case.lines.append(line)
        return case

    def write(self, path):
        digits = self.packet.hex()
        rows = [f"packet {digits[i:i + 80]}" for i in range(0, len(digits), 80)]
        with open(path, "w", encoding="ascii") as file:
            file.write("# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause\n" +
                       "\n".join([f"# {self.why}", *self.lines, *rows, f"expect {self.expect}"]) +
                       "\n")

    def config(self):
        return next(line.split()[1] for line in self.lines if line.startswith("config"))


def expectation(outcome):
    forwarded = ["forwarded"] if outcome.member else []
    return " ".join([VERDICTS[outcome.verdict], *forwarded, *sorted(outcome.counters)])


class Bench:
    """Every configuration loaded once; runs cases, each from the same start."""

    def __init__(self, is_express=True):
        self.is_express = is_express
        self.judges = {}

    def judge(self, name):
        if name not in self.judges:
            spec = scenarios.CONFIGS[name]
            self.judges[name] = Judge(spec, Program(spec, self.is_express))
        return self.judges[name]

    def close(self):
        for judge in self.judges.values():
            judge.program.close()

    def run(self, case):
        """The model's outcome; raises Difference."""
        judge = self.judge(case.config())
        spec = judge.config
        commands = scenarios.start(spec)
        states, flags = [], 0
        for line in case.lines:
            word, *args = line.split()
            if word == "real":
                vip, real = real_index(spec, args[0])
                states.append(f"real {vip} {real} {args[1]}")
            elif word in ("hop", "out"):
                commands.append(line)
            elif word == "no-replies":
                flags = NO_REPLY
        if states:
            commands += states + ["apply"] + ([] if "stale" in case.lines else ["rings"])
        judge.command(commands)
        for line in case.lines:
            if line.startswith("flow"):
                judge.command([plant(judge, case.packet, line.split()[1:])])
            elif line.startswith("full"):
                judge.command(fill(judge, case.packet, int(line.split()[1])))
            elif line.startswith("before"):
                judge.run([(bytes.fromhex(line.split()[1]), 0)])
        return judge.run([(case.packet, flags)])[0]


def real_index(spec, text):
    """Places of VIP/ADDRESS in the configuration."""
    name, _, address = text.partition("/")
    vip = next(i for i, one in enumerate(spec["vips"]) if one["name"] == name)
    return vip, [real["address"] for real in spec["vips"][vip]["reals"]].index(address)


def plant(judge, frame, args):
    """The command that writes what the table says about this packet's flow."""
    model = judge.model
    h = model.run(frame).packet.hash
    member = FREE_MEMBER
    if args[1] != "free":
        vip, real = real_index(judge.config, args[1])
        address = wire.address(judge.config["vips"][vip]["reals"][real]["address"])
        member = next(m.id for m in model.members.values()
                      if m.vip is model.vips[vip] and m.real == address)
    state = int(args[0])
    age = AGE_OLD
    if "old" not in args:
        age = judge.age_now(state)
    word = wire.hash_tag(h) << 32 | member << 12 | state << 9 | age
    bucket = model.table.candidates(h)[0]
    return f"slot {bucket[wire.hash_slot(h)]} {word:x}"


def fill(judge, frame, state):
    """Commands that leave this packet's flow no free slot."""
    model = judge.model
    word = 9 << 32 | FREE_MEMBER << 12 | state << 9 | judge.age_now(state)
    buckets = model.table.candidates(model.run(frame).packet.hash)
    return [f"slot {index} {word + (index << 32):x}" for bucket in buckets for index in bucket]


# ---- Finding interesting packets -----------------------------------------------------------


def features(outcome):
    """What is worth a file, each of them once."""
    p = outcome.packet
    kind = (p.family, p.protocol if p.protocol in (wire.TCP, wire.UDP) else 0)
    counters = tuple(sorted(outcome.counters))
    is_long = p.l4 - p.l3 > (20 if p.family == 4 else 40)  # options, extension headers
    found = {("counters", outcome.verdict, counters), ("kind", outcome.verdict, kind, counters[:1])}
    if outcome.member:
        if outcome.member.vip.encap == "l2dsr":
            found.add(("on link", outcome.verdict, p.family, p.l3 > wire.ETH_LEN))
        else:
            found.add(("way", outcome.verdict, p.family, len(outcome.member.real), p.tos & 3))
        found.add(("shape", p.family, is_long, len(p.frame) > p.l3 + p.l3_len))
        vip = outcome.member.vip
        if vip.is_prefix or vip.kind != "port":
            found.add(("vip", p.family, vip.is_prefix, vip.kind, bool(p.before)))
        at = len(outcome.out) - len(p.frame) + p.l3 - 2  # the UDP checksum, with GUE
        if outcome.member.vip.encap == "gue" and outcome.out[at:at + 2] == b"\xff\xff":
            found.add(("checksum", "computed as zero"))
    elif outcome.out:
        found.add(("answer", kind, p.flags & 0x17, p.payload > 0))
        found.add(("answered shape", p.family, is_long))
    if p.quic and p.quic.header:
        algorithm = p.quic.config.algorithm() if p.quic.config else ""
        found.add(("quic", p.quic.header, algorithm, p.quic.why_not, bool(p.fragment)))
    table = tuple(name for name in counters if name.startswith(("flow_", "quic_by_cid")))
    if p.before:
        found.add(("flow", p.before, outcome.slot and outcome.slot.state, table))
    elif outcome.slot:
        found.add(("new flow", outcome.slot.state, table))
    return found


def describe(feature):
    """A feature as a file's name and its comment."""
    kind, *values = feature
    text = f"{kind} {values[0]}"
    if kind in ("counters", "kind"):
        text = " ".join(values[-1] or ["forwarded"])
        if values[0] in (TX, REDIRECT):
            text = f"{VERDICTS[values[0]]} {text}"
        if kind == "kind":
            text += f" IPv{values[1][0]} {'TCP' if values[1][1] == 6 else 'UDP'}" if all(
                values[1]) else f" family {values[1][0]}"
    elif kind == "way":
        text = (f"{VERDICTS[values[0]]} IPv{values[1]} in IPv{4 if values[2] == 4 else 6} "
                f"with ECN {values[3]}")
    elif kind == "on link":
        text = (f"{VERDICTS[values[0]]} IPv{values[1]} without a tunnel"
                f"{', came with a tag' if values[2] else ''}")
    elif kind in ("shape", "answered shape"):
        text = (f"IPv{values[0]} header {'with' if values[1] else 'without'} options" +
                (", answered" if kind != "shape" else ", padded frame" if values[2] else ""))
    elif kind == "answer":
        text = (f"answer to IPv{values[0][0]} protocol {values[0][1]} flags {values[1]:#04x} "
                f"{'with' if values[2] else 'without'} data")
    elif kind == "vip":
        text = (f"{'known' if values[3] else 'new'} flow of {values[2]} of an IPv{values[0]} "
                f"{'prefix' if values[1] else 'address'}")
    elif kind == "quic":
        text = (f"QUIC {values[0]} header {values[1]} {values[2] or ''}"
                f"{' in a fragment' if values[3] else ''}")
    elif kind == "new flow":
        text = f"new flow {STATES[values[0]]} {' '.join(values[1])}"
    elif kind == "flow" and values[0] == "mismatch":
        text = "flow of another VIP " + " ".join(values[2])
    elif kind == "flow":
        state, is_old, real = values[0]
        text = (f"flow {STATES[state]}{' expired' if is_old else ''} with a real that is "
                f"{REAL_STATES.get(real, 'gone')}, then "
                f"{STATES[values[1]] if values[1] else 'as it was'} {' '.join(values[2])}")
    return text.strip()


def case_of(judge, name, is_stale, outcome, flags):
    """A file that leads this packet the same way, from the usual start."""
    model, spec, p = judge.model, judge.config, outcome.packet
    case = Case()
    case.packet = p.frame
    case.lines = [f"config {name}"]
    for vip, one in zip(model.vips, spec["vips"]):
        for state, real in zip(vip.states, one["reals"]):
            if state != UP and vip.has_address(p.family, p.dst):
                case.lines.append(f"real {one['name']}/{real['address']} "
                                  f"{'d' if state == DOWN else 'r'}")
    if is_stale:
        case.lines.append("stale")
    usual = scenarios.start(spec)
    hops = []
    for real in scenarios.REALS4 + scenarios.REALS6:
        row, is_gateway = model.next_hops[wire.address(real)]
        hops.append(f"hop {real} {row}{' gateway' if is_gateway else ''}")
    ways = [f"out {way.row} {way.ifindex} {way.mtu}" for way in model.ways.values()]
    case.lines += [line for line in hops + ways if line not in usual]
    if flags & NO_REPLY:
        case.lines.append("no-replies")
    if p.followed:
        case.lines.append(f"before {p.followed.hex()}")
    if p.before == "mismatch":
        case.lines.append(f"flow 3 {'one6' if p.family == 4 else 'one4'}/10.1.0.1")
    elif p.before:
        state, is_old, real = p.before
        member = "free"
        if real is not None:
            had = p.found
            vip = spec["vips"][had.vip.index]
            place = had.vip.reals.index(had.real)
            member = f"{vip['name']}/{vip['reals'][place]['address']}"
        case.lines.append(f"flow {state} {member}{' old' if is_old else ''}")
    elif "flow_evicted_unproven" in outcome.counters:
        case.lines.append("full 1")
    elif "flow_untracked" in outcome.counters:
        case.lines.append("full 3")
    return case


def smaller(bench, case, wanted):
    """Leaves out what the wanted features do not need: context lines, then bytes at the end."""
    def holds(candidate):
        try:
            return wanted <= features(bench.run(candidate))
        except (Difference, AttributeError, ValueError):
            return False

    for line in [line for line in case.lines if not line.startswith("config")]:
        candidate = Case()
        candidate.packet = case.packet
        candidate.lines = [one for one in case.lines if one != line]
        if holds(candidate):
            case = candidate
    step = len(case.packet) // 2
    while step:
        candidate = Case()
        candidate.lines, candidate.packet = case.lines, case.packet[:-step]
        if len(candidate.packet) >= 14 and holds(candidate):
            case = candidate
        else:
            step //= 2
    return case


class Collector:
    """Keeps a case for every feature that no earlier one showed."""

    def __init__(self):
        self.bench = Bench()
        self.seen = set()
        self.tries = {}

    def keep(self, path):
        """A file of before: stays if it shows anything that the ones before it do not."""
        case = Case.read(path)
        outcome = self.bench.run(case)
        new = features(outcome) - self.seen
        self.seen |= new
        os.remove(path)
        if new:
            case.expect = expectation(outcome)
            case.write(path)

    def add(self, case):
        """Writes a file if the case shows something new; raises Difference."""
        new = features(self.bench.run(case)) - self.seen
        if not new:
            return
        case = smaller(self.bench, case, new)
        outcome = self.bench.run(case)
        case.why = "; ".join(sorted(map(describe, features(outcome) - self.seen)))
        case.expect = expectation(outcome)
        self.seen |= features(outcome)
        words = "".join(c if c.isalnum() else " " for c in case.why.split(";")[0]).lower()
        stem = "-".join(words.split())[:60].rstrip("-")
        path, n = os.path.join(DIRECTORY, f"{stem}.txt"), 2
        while os.path.exists(path):
            path, n = os.path.join(DIRECTORY, f"{stem}-{n}.txt"), n + 1
        case.write(path)

    def look(self, judge, name, is_stale, outcome, flags):
        """Called with every packet that was run."""
        new = {f for f in features(outcome) - self.seen if self.tries.get(f, 0) < 20}
        if not new:
            return
        for feature in new:
            self.tries[feature] = self.tries.get(feature, 0) + 1
        self.add(case_of(judge, name, is_stale, outcome, flags))
