#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""
Mutated packets through the packet path and the model until they differ or the time is up.

    fuzz.py run [--seconds N] [--seed N]     exit status 1 at the first difference
    fuzz.py corpus [--seconds N]             make tests/fuzz/corpus anew
    fuzz.py snapshots DIRECTORY              what host_parse.c is started with

A round has a seed of its own, printed with a difference: `fuzz.py run --seed N --rounds 1` repeats
it exactly.
"""

import argparse
import glob
import itertools
import os
import random as random_module
import sys
import time

import corpus
import packets
import scenarios
from judge import Difference, Judge
from program import NO_REPLY, Program

BATCH = 256
ROUND_SHAKES = 60  # states on one loaded program
SHAKE_EVERY = 4  # batches in one state
FORGET_EVERY = 4  # states: fragments, before they are 30 s old on a machine that is slow


def batches(random, pool):
    """Packets of one round: at first some seeds' truncations and lies, then mutations."""
    planned = [frame for seed in random.sample(pool, 6) for frame in packets.systematic(seed)]
    random.shuffle(planned)
    while True:
        batch = planned[:BATCH // 4]
        del planned[:BATCH // 4]
        while len(batch) < BATCH:
            batch.append(packets.mutated(random, pool))
        yield [(frame, NO_REPLY if random.random() < 0.02 else 0) for frame in batch]


def fuzz_round(seed, deadline, look=None):
    """One configuration, each in its turn. Returns the number of packets; shows each to look()."""
    random = random_module.Random(seed)
    group, place = divmod(seed, len(scenarios.CONFIGS))
    name = sorted(scenarios.CONFIGS)[place]
    spec = scenarios.CONFIGS[name]
    source = batches(random, packets.seeds(random, group, spec))
    with Program(spec, is_express=random.random() < 0.7) as program:
        judge = Judge(spec, program)
        commands = scenarios.start(spec)
        for n in range(ROUND_SHAKES):
            judge.command(commands + ["forget-fragments"] * (n % FORGET_EVERY == 0))
            is_stale = "rings" not in commands
            for batch, outcomes in judge.run_each(itertools.islice(source, SHAKE_EVERY)):
                for outcome, (_, flags) in zip(outcomes, batch) if look else ():
                    look(judge, name, is_stale, outcome, flags)
            if time.monotonic() > deadline:
                break
            commands = scenarios.shake(spec, random, judge.model.table)
        return judge.packets


def run(args):
    started = time.monotonic()
    deadline = started + args.seconds
    total, seed = 0, args.seed
    while time.monotonic() < deadline and (not args.rounds or seed < args.seed + args.rounds):
        try:
            total += fuzz_round(seed, deadline)
        except Difference as difference:
            print(difference)
            print(f"  to repeat: make fuzz FUZZ_SEED={seed} (found after "
                  f"{time.monotonic() - started:.1f} s)")
            return 1
        seed += 1
    seconds = time.monotonic() - started
    print(f"fuzz: {total} packets in {seconds:.0f} s, {total / seconds:.0f} a second, seeds "
          f"{args.seed} to {seed - 1}: model and packet path agree")
    return 0


def make_corpus(args):
    """Writes the corpus anew: what is there and still interesting stays, what is missing is added."""
    collector = corpus.Collector()
    for path in sorted(glob.glob(os.path.join(corpus.DIRECTORY, "*.txt"))):
        collector.keep(path)
    deadline = time.monotonic() + args.seconds
    seed = args.seed
    while time.monotonic() < deadline:
        fuzz_round(seed, deadline, collector.look)
        seed += 1
    collector.bench.close()
    files = os.listdir(corpus.DIRECTORY)
    print(f"corpus: {len(files)} packets for {len(collector.seen)} ways")
    return 0


def write_snapshot(name, spec, directory):
    """A configuration's maps, as NAME.maps."""
    with Program(spec) as program:
        Judge(spec, program).command(scenarios.start(spec))
        with open(os.path.join(directory, f"{name}.maps"), "wb") as file:
            file.write(program.snapshot())


def write_packets(directory):
    """The packets of the corpus, as seeds/FILE."""
    os.makedirs(os.path.join(directory, "seeds"), exist_ok=True)
    for path in glob.glob(os.path.join(corpus.DIRECTORY, "*.txt")):
        with open(os.path.join(directory, "seeds", os.path.basename(path)), "wb") as file:
            file.write(corpus.Case.read(path).packet)


def snapshots(args):
    """What the host build starts with."""
    write_packets(args.directory)
    for name, spec in scenarios.CONFIGS.items():
        write_snapshot(name, spec, args.directory)
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("run", help="fuzz until the time is up")
    one.add_argument("--seconds", type=float, default=60)
    one.add_argument("--seed", type=int, default=random_module.randrange(1 << 30))
    one.add_argument("--rounds", type=int, default=0)
    one = commands.add_parser("corpus", help="make the corpus anew")
    one.add_argument("--seconds", type=float, default=60)
    one.add_argument("--seed", type=int, default=1)
    one = commands.add_parser("snapshots", help="maps and packets for the host build")
    one.add_argument("directory")
    args = parser.parse_args()
    return {"run": run, "corpus": make_corpus, "snapshots": snapshots}[args.command](args)


if __name__ == "__main__":
    sys.exit(main())
