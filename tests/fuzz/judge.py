# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Model and packet path side by side: runs packets through both and finds the first difference."""

from flows import AGE_OLD
from outcome import DRAIN, DOWN, UP
from program import NO_REPLY

import model as model_module

VERDICTS = {0: "ABORTED", 1: "DROP", 2: "PASS", 3: "TX", 4: "REDIRECT"}
REAL_STATES = {UP: "up", DRAIN: "drain", DOWN: "down"}
STATES = {"u": UP, "d": DOWN, "x": DOWN, "r": DRAIN}


class Difference(Exception):
    """What the model says and what the packet path did are not the same."""


def hexdump(data):
    """Sixteen bytes a row; rows like the one before are left out."""
    lines, before = [], None
    for i in range(0, len(data), 16):
        row = data[i:i + 16]
        if row != before:
            lines.append(f"    {i:04x}  {row[:8].hex(' '):24}{row[8:].hex(' ')}")
        elif not lines[-1].endswith("*"):
            lines.append("    *")
        before = row
    return "\n".join(lines)


class Judge:
    """A program and its model, kept in the same state."""

    def __init__(self, config, program):
        self.config, self.program = config, program
        self.model = model_module.Model(config, program.dump)
        self.tick_shift = program.dump["tick_shift"]
        self.limited = 0  # packets that the rate limit should have stopped
        self.late_replies = 0  # answered all the same: time passed since it was used up
        self.packets = 0
        self.known_rises = {}

    # ---- State ---------------------------------------------------------------------------

    def command(self, lines):
        """Carries out commands (bed.h) on both sides."""
        model = self.model
        applied = any(line in ("apply", "rings") for line in lines)
        for line in lines:
            word, *args = line.split()
            if word == "real":
                model.vips[int(args[0])].states[int(args[1])] = STATES[args[2]]
            elif word == "hop":
                model.next_hops[model_module.wire.address(args[0])] = (int(args[1]),
                                                                       "gateway" in args)
            elif word == "out":
                row, ifindex, mtu = map(int, args[:3])
                tags = bytes.fromhex("".join(args[3:]))
                model.ways[row] = model_module.Way(row, ifindex, mtu, tags)
            elif word == "slot":
                model.table.words[int(args[0])] = int(args[1], 16)
            elif word == "forget":
                model.table.words = [0] * len(model.table.words)
            if word in ("forget", "forget-fragments"):
                model.fragments = {}
        dump = self.program.command(lines)
        if applied:
            model.load(dump)

    def age_now(self, state):
        """The age of a slot in this state that is written now."""
        self.program.send_batch([])
        _, _, (jiffies, _) = self.program.receive_batch([])
        return self.age(jiffies, state)

    def age(self, jiffies, state):
        return min(jiffies >> self.tick_shift[state] & AGE_OLD, AGE_OLD - 1)

    # ---- Packets -------------------------------------------------------------------------

    def run(self, packets):
        """Pairs of frame and flags. Returns the model's outcomes; raises Difference."""
        return next(self.run_each([packets]))[1]

    def run_each(self, batches):
        """Batches and their outcomes; the packet path is at the next one while one is judged."""
        before = None
        for batch in batches:
            ran = before and self.program.receive_batch(before)
            self.program.send_batch(batch)
            if before:
                yield before, self.judge_batch(before, *ran)
            before = batch
        yield before, self.judge_batch(before, *self.program.receive_batch(before))

    def judge_batch(self, packets, ran, members, jiffies):
        sums = {}
        outcomes = []
        for (frame, flags), did in zip(packets, ran):
            outcomes.append(self.judge(frame, flags, did, jiffies, sums))
        self.packets += len(packets)
        if self.late_replies > 10 + self.limited // 4:
            raise Difference(f"{self.late_replies} of {self.limited} packets were answered over "
                             f"the rate limit")
        seen = {i: rise for i, *rise in members}
        if seen != sums:
            raise Difference(f"members' packets, bytes, new flows in this batch:\n"
                             f"  model   {sums}\n  program {seen}")
        return outcomes

    def rises(self, counters):
        """Each by one, as Program.rises() has them."""
        key = tuple(counters)
        if key not in self.known_rises:
            self.known_rises[key] = sorted((name, 1) for name in counters)
        return self.known_rises[key]

    def judge(self, frame, flags, did, jiffies, sums):
        self.model.replies_allowed = not flags & NO_REPLY
        outcome = self.model.run(frame)
        problems = []
        self.limited += "drop_reply_limit" in outcome.counters
        if (flags & NO_REPLY and "drop_reply_limit" in outcome.counters and
                any(name.startswith("reply_") for name, _ in did.counters)):
            self.late_replies += 1
        elif outcome.verdict != did.verdict or self.rises(outcome.counters) != did.counters:
            problems.append("verdict or counters")
        else:
            out = outcome.out or frame
            if outcome.entropy:
                out = outcome.out = outcome.entropy(did.out) if len(did.out) >= 54 else b""
            if out != did.out:
                problems.append("output")
        problems += self.judge_slots(outcome, did, jiffies)
        if problems:
            raise Difference(self.report(frame, flags, outcome, did, problems))
        if outcome.member is not None:
            rise = sums.setdefault(outcome.member.id, [0, 0, 0])
            for i in range(3):
                rise[i] += outcome.stats[i]
        return outcome

    def judge_slots(self, outcome, did, jiffies):
        """Takes over the words that changed; they must be those that the model allows."""
        words, change = self.model.table.words, outcome.slot
        if not did.slots:
            if change is None:
                return []
            if len(change.slots) == 1 and words[change.slots[0]] >> 9 == (
                    change.tag << 23 | change.member << 3 | change.state):
                return []
            return ["flow table: a slot should have changed"]
        if change is None or len(did.slots) > 1:
            return ["flow table: a slot changed"]
        index, word = did.slots[0]
        problems = []
        if index not in change.slots:
            problems.append(f"flow table: not a slot to take: {index}")
        if word >> 9 != change.tag << 23 | change.member << 3 | change.state:
            problems.append("flow table: word")
        if word & AGE_OLD not in [self.age(one, word >> 9 & 7) for one in jiffies]:
            problems.append("flow table: age")
        if not problems:
            words[index] = word
        return problems

    def slot_text(self, word):
        number = word >> 12 & 0xFFFFF
        member = self.model.members.get(number)
        real = f"({REAL_STATES[self.model.state_of(member)]})" if member else "(free)"
        return (f"tag {word >> 32:08x} member {number} {real} state {word >> 9 & 7} "
                f"age {word & AGE_OLD}")

    def report(self, frame, flags, outcome, did, problems):
        change = outcome.slot
        said = "none"
        if change is not None:
            said = (f"one of {list(change.slots)}: tag {change.tag:08x} member {change.member} "
                    f"state {change.state}")
            if len(change.slots) == 1:
                word = self.model.table.words[change.slots[0]]
                said += f"; it has {self.slot_text(word)}"
        slots = ", ".join(f"{i}: {self.slot_text(word)}" for i, word in did.slots)
        text = [f"model and packet path differ: {'; '.join(problems)}",
                f"  packet ({len(frame)} bytes, flags {flags}):", hexdump(frame),
                f"  model:   {VERDICTS[outcome.verdict]} {outcome.counters}; slot: {said}"]
        if outcome.out is not None and outcome.out != did.out:
            text.append(hexdump(outcome.out))
        text.append(f"  program: {VERDICTS.get(did.verdict, did.verdict)} {did.counters}; slots: "
                    f"{slots or 'none'}")
        if did.out != frame:
            text.append(hexdump(did.out))
        return "\n".join(text)
