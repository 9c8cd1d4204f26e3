# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Long and short connections at once: how evenly a scheduler keeps the reals busy."""

import random
import time

from traffic import Connection

STEPS = 600  # connections; one every PACE_S, so the daemon counts a few times meanwhile
PACE_S = 0.006
LONG_SHARE = 0.5
LONG_STEPS = 80, 300  # how many connections later a long one ends


def run(lab, seed=1):
    """
    Opens the same connections whatever the scheduler; the short ones end at once. Returns the
    reals' numbers of open connections after each.
    """
    chance = random.Random(seed)
    counts = dict.fromkeys(lab.reals, 0)
    held, samples = [], []  # (step at which it ends, connection, real)
    began = time.monotonic()
    try:
        for step in range(STEPS):
            for entry in [e for e in held if e[0] <= step]:
                entry[1].close()
                counts[entry[2]] -= 1
                held.remove(entry)
            is_long = chance.random() < LONG_SHARE
            ends = step + chance.randint(*LONG_STEPS)
            connection = Connection(lab)
            real = connection.ask()
            if is_long:
                held.append((ends, connection, real))
                counts[real] += 1
            else:
                connection.close()
            samples.append(dict(counts))
            time.sleep(max(0, began + (step + 1) * PACE_S - time.monotonic()))
    finally:
        for _, connection, _ in held:
            connection.close()
    return samples


def unevenness(sample):
    """Of the busiest real to the average one."""
    mean = sum(sample.values()) / len(sample)
    return max(sample.values()) / mean if mean else 1.0


def mean_unevenness(samples):
    """Once there are many."""
    settled = [unevenness(sample) for sample in samples[len(samples) // 3:]]
    return sum(settled) / len(settled)
