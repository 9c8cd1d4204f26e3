# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Reals that fail under load: what is done to them, what came of it, what is promised.

run() breaks one thing while clients (client.py) go on, and returns a Result: when the balancer
knew, when the real was back, and how every request and long connection fared. Result.broken() says
which promises were not kept.
"""

import collections
import contextlib
import dataclasses
import datetime
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
from typing import Callable

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "net"))

from lab import SLOWNESS, VIP4, wait_for  # noqa: E402
from traffic import config, vip  # noqa: E402

CLIENT, SLOW_SERVER = HERE / "client.py", HERE / "slow_server.py"
VICTIM = "real1"
JITTER = 0.1  # of the intervals: the configuration's default
GIVE_UP_S = 6  # after what is promised
MARGIN_S = 0.3  # a request that begins with the verdict may be ahead of it
LATE_ANSWER_S = 30  # of the slow real: beyond every timeout here


@dataclasses.dataclass(frozen=True)
class Pace:
    """How much traffic, how long, and how eager the probes are. Seconds, connections a second."""

    interval: float
    timeout: float
    fall: int
    rise: int
    rate: float
    n_long: int
    request_timeout: float
    long_timeout: float
    watch: float  # traffic watched before, while the real is out (at least), and afterwards
    flap_for: float
    slack: float  # a busy machine may be so much later than the configuration says
    hold: float = 0  # hold_down
    hold_max: float = 0

    def detection(self):
        """By when a real must be down."""
        return self.fall * self.interval * (1 + JITTER) + self.timeout

    def recovery(self):
        """By when it must be up again."""
        return self.rise * self.interval * (1 + JITTER) + self.timeout

    def health(self):
        health = {"type": "http", "path": "/healthz", "interval": f"{self.interval * 1000:.0f}ms",
                  "timeout": f"{self.timeout * 1000:.0f}ms", "fall": self.fall, "rise": self.rise}
        if self.hold:
            health |= {"hold_down": f"{self.hold}s", "hold_down_max": f"{self.hold_max}s"}
        return health


# The values built in, but for the path.
LONG = Pace(interval=1, timeout=0.5, fall=3, rise=2, rate=200, n_long=30, request_timeout=2,
            long_timeout=40, watch=5, flap_for=20, slack=0.3)
# At this rate it is once in 10^8 cases that no request meets a real before it is out, or that a real
# has less than a quarter of its share afterwards. Who waits for longer than two seconds may see his
# third SYN answered by another real.
SHORT = Pace(interval=0.2, timeout=0.5, fall=3, rise=2, rate=120, n_long=12, request_timeout=1.8,
             long_timeout=8, watch=1, flap_for=3, slack=2)
# What a real that comes and goes every second needs: to be noticed within one, and then not trusted.
FLAP = {"interval": 0.2, "timeout": 0.2, "fall": 2, "rise": 2, "hold": 2, "hold_max": 8}


# ---- what is done ----


def kill(lab):
    lab.stop_nginx(VICTIM, signal.SIGKILL)


def start(lab):
    lab.start_nginx(VICTIM)


def freeze(lab):
    os.killpg(lab.nginx(VICTIM).pid, signal.SIGSTOP)


def thaw(lab):
    os.killpg(lab.nginx(VICTIM).pid, signal.SIGCONT)


def blackhole(lab):
    lab.run(VICTIM, "nft add table inet lost; "
            "nft 'add chain inet lost in { type filter hook input priority 0; policy drop; }'")


def unblackhole(lab):
    lab.run(VICTIM, "nft delete table inet lost")


def slow_file(lab):
    return lab.dir / "answers-after"


def start_slow_server(lab):
    """In nginx's place, a server that can be slow."""
    lab.stop_nginx(VICTIM)
    slow_file(lab).write_text("0")
    lab.slow_server = lab.popen(VICTIM, ["/usr/bin/python3", "-E", "-S", SLOW_SERVER, VICTIM,
                                         slow_file(lab)], stdout=subprocess.PIPE)
    assert lab.slow_server.stdout.readline() == "ready\n"


def stop_slow_server(lab):
    lab.stop(lab.slow_server)
    lab.start_nginx(VICTIM)


def slow(lab):
    slow_file(lab).write_text(str(LATE_ANSWER_S))


def quick(lab):
    slow_file(lab).write_text("0")


def kill_all(lab):
    for host in lab.reals:
        lab.stop_nginx(host, signal.SIGKILL)


def start_all(lab):
    for host in lab.reals:
        lab.start_nginx(host)


def cut(lab, numbers):
    """Between the balancer and these reals nothing passes the switch, ARP neither. The reals'
    answers to clients go by the router and are untouched."""
    addresses = "{ " + ", ".join(lab.reals4[n] for n in numbers) + " }"
    towards = {"balancer": addresses, **{lab.reals[n]: "10.1.0.10" for n in numbers}}
    chains = "".join(f"""
        chain {port} {{
            type filter hook ingress device "{port}" priority 0; policy accept;
            ip daddr {to} drop
            arp daddr ip {to} drop
        }}""" for port, to in towards.items())
    lab.run(lab.router, ["nft", "-f", "-"], input=f"table netdev cut {{{chains}\n}}")


def uncut(lab):
    lab.run(lab.router, "nft delete table netdev cut")


class Flapping:
    """A server that crashes and is started again, a second each, until it is told to stay."""

    def __init__(self):
        self.crashes = 0
        self._ended = threading.Event()
        self._thread = None

    def begin(self, lab):
        self._thread = threading.Thread(target=self._run, args=(lab,))
        self._thread.start()

    def end(self, _lab):
        self._ended.set()
        self._thread.join()

    def _run(self, lab):
        while not self._ended.is_set():
            kill(lab)
            self.crashes += 1
            self._ended.wait(1)
            start(lab)
            self._ended.wait(1)


@dataclasses.dataclass(frozen=True)
class Case:
    """What is broken, how it is mended, and what becomes of long connections to what is broken:
    "lost" at once, "told" (reset, once the real is out and its client says something), "settled"
    (goes on, or is reset, when the real is back), or None where it depends on what their client
    does."""

    name: str
    what: str
    fail: Callable
    mend: Callable
    long: str | None
    hits_all: bool = False
    prepare: Callable = lambda lab: None
    restore: Callable = lambda lab: None

    def hit(self, lab):
        """The reals that fail."""
        return set(lab.reals if self.hits_all else [VICTIM])


CASES = {case.name: case for case in (
    Case("kill", "SIGKILL of the server", kill, start, "lost"),
    Case("freeze", "SIGSTOP of the server", freeze, thaw, None),
    Case("blackhole", "the real drops all that arrives", blackhole, unblackhole, "told"),
    Case("slow", f"answers take {LATE_ANSWER_S} s", slow, quick, None,
         prepare=start_slow_server, restore=stop_slow_server),
    Case("cut-one", "partition: the balancer and one real", lambda lab: cut(lab, [0]), uncut,
         "told"),
    Case("cut-all", "partition: the balancer and all reals",
         lambda lab: cut(lab, range(len(lab.reals))), uncut, "settled",
         hits_all=True),
    Case("flap", "the server crashes every other second, with `hold_down`", None, None, None),
    Case("all-dead", "SIGKILL of all servers", kill_all, start_all, "lost", hits_all=True),
)}


# ---- the traffic ----


class Clients:
    """client.py on the lab's client, and what it has reported so far."""

    def __init__(self, lab, pace):
        path = lab.dir / "clients.jsonl"
        with path.open("w") as out:
            self.process = lab.popen(lab.client, [
                "/usr/bin/python3", "-E", "-S", CLIENT, VIP4, pace.rate,
                pace.request_timeout * SLOWNESS, pace.n_long, pace.long_timeout * SLOWNESS],
                stdout=out)
        self._in = path.open()
        self._rest = ""
        self.rows = []
        self.n_watched = int(pace.rate * pace.watch)

    def read(self):
        *lines, self._rest = (self._rest + self._in.read()).split("\n")
        self.rows += map(json.loads, lines)
        return self.rows

    def new(self, since, until=float("inf")):
        """Requests on connections of their own that began then."""
        return [row for row in self.rows if row["kind"] == "new" and since <= row["began"] < until]

    def watch(self, what, hold=0):
        """Waits until so many requests that begin from now on have ended; not before hold seconds
        have passed, in which those that nobody answers end, too."""
        since = time.monotonic()
        wait_for(lambda: self.read() and time.monotonic() >= since + hold and
                 len(self.new(since)) >= self.n_watched, 30, f"{self.n_watched} requests {what}")

    def long_of(self, reals):
        """Clients of long connections whose last answer came from one of the reals."""
        last = {row["id"]: row["real"] for row in self.read() if row["kind"] == "long"}
        return {client for client, real in last.items() if real in reals}

    def lost(self, clients, since):
        """Of these clients of long connections, those that have lost one since then."""
        return {row["id"] for row in self.read()
                if row["kind"] == "lost" and row["ended"] >= since} & clients

    def told(self, clients, since):
        """Of these, those that heard that it is over, and did not only lose patience."""
        return {row["id"] for row in self.read() if row["kind"] == "lost" and
                row["ended"] >= since and row["error"] != "timeout"} & clients

    def answered(self, clients, since):
        """Of these clients, those whose long connection had a request answered that was sent and
        answered since then."""
        return {row["id"] for row in self.read()
                if row["kind"] == "long" and row["ended"] >= since} & clients

    def finish(self, deadline):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(deadline)
        self.read()

    def stop(self, lab):
        lab.stop(self.process)
        self._in.close()


def start_clients(lab, pace, hit):
    """Clients with all their long connections, some of them to the reals that are to fail: which
    real a connection gets is chance, and once in a hundred it is none of these."""
    for _ in range(10):
        clients = Clients(lab, pace)
        try:
            wait_for(lambda: len(clients.long_of(lab.reals)) == pace.n_long, 10,
                     f"{pace.n_long} long connections")
            if clients.long_of(hit):
                return clients
        except BaseException:
            clients.stop(lab)
            raise
        clients.stop(lab)
    raise AssertionError(f"ten times, no long connection to {hit}")


def n_failed(rows):
    return sum(row["real"] is None for row in rows)


# ---- what the balancer knew ----


class Verdicts:
    """When reals went down and up since a moment, by the balancer's audit log, on the monotonic
    clock."""

    def __init__(self, daemon, addresses):
        self.daemon = daemon
        self.addresses = set(addresses)
        self.since = time.monotonic()

    def list(self):
        """[(when, address, is it up)]"""
        offset = time.time() - time.monotonic()
        found = []
        for event in self.daemon.ctl_json("events"):
            if event["what"] in ("real_up", "real_down") and event["real"] in self.addresses:
                at = datetime.datetime.fromisoformat(event["time"].replace("Z", "+00:00"))
                found.append((at.timestamp() - offset, event["real"], event["what"] == "real_up"))
        return [row for row in found if row[0] >= self.since]

    def outages(self):
        """[(from, to)] in which all of the reals were down; the last may have no end."""
        down, spans = set(), []
        for at, real, is_up in self.list():
            if not is_up:
                down.add(real)
                if down == self.addresses:
                    spans.append((at, float("inf")))
            elif real in down:
                if down == self.addresses:
                    spans[-1] = (spans[-1][0], at)
                down.remove(real)
        return spans

    def all_up_at(self):
        """When the last of them came up for good; None if one is down."""
        last = {}
        for at, real, is_up in self.list():
            last[real] = (at, is_up)
        if set(last) == self.addresses and all(is_up for _, is_up in last.values()):
            return max(at for at, _ in last.values())
        return None


# ---- a case ----


@dataclasses.dataclass
class Result:
    """Times are seconds after the failure (detected) or after it was mended (back). Requests are
    (failed, made): while the reals that fail were used, while they were out, and afterwards. Long
    connections are (lost, there were): to the reals that failed, to others."""

    case: Case
    detected: float
    detected_at_most: float
    back: float
    back_at_most: float
    slack: float
    while_used: tuple
    while_out: tuple
    afterwards: tuple
    long_hit: tuple
    long_others: tuple
    serves_again: bool
    drops: int
    outages: int
    crashes: int = 0

    def broken(self):
        """The promises that were not kept."""
        late = self.slack * SLOWNESS
        checks = {
            "found out too late": self.detected <= self.detected_at_most + late,
            "back too late": self.back <= self.back_at_most + late,
            "nothing was lost: was there any load?": self.while_used[0] > 0,
            "requests failed after recovery": self.afterwards[0] == 0 and self.afterwards[1] > 0,
            "the real does not get its share after recovery": self.serves_again,
        }
        if self.case.hits_all:
            checks["lost packets were not counted"] = self.drops >= self.while_out[0] > 0
        else:
            checks["requests failed while the real was out"] = \
                self.while_out[0] == 0 and self.while_out[1] > 0
            checks["a long connection of another real was lost"] = self.long_others[0] == 0
        if self.case.long in ("lost", "told"):
            checks["a long connection was not told"] = self.long_hit[0] >= self.long_hit[1]
        if self.case.name == "flap":
            checks["it was trusted each time"] = self.outages < max(self.crashes * 2 / 3, 3)
        return [name for name, holds in checks.items() if not holds]


def configure(daemon, lab, health):
    daemon.write_config(config(vip(lab.reals4), health=health))
    daemon.ctl_json("reload")
    daemon.wait_states({real: "up" for real in lab.reals4})


def count_drops(daemon):
    return daemon.ctl_json("stats", "show")["drop_no_real"]


def run(lab, daemon, case, pace):
    """Breaks it and mends it, under load; the lab is afterwards as it was before."""
    if case.name == "flap":
        flapping = Flapping()
        case = dataclasses.replace(case, fail=flapping.begin, mend=flapping.end)
        pace = dataclasses.replace(pace, **FLAP)
    case.prepare(lab)
    configure(daemon, lab, pace.health())
    clients = start_clients(lab, pace, case.hit(lab))
    try:
        result = _result(case, pace, clients, _break_and_mend(lab, daemon, case, pace, clients))
    finally:
        clients.stop(lab)
        case.restore(lab)
    if case.name == "flap":
        result.crashes = flapping.crashes
    return result


@dataclasses.dataclass
class Course:
    """How it went: moments, outages of what failed, packets dropped for want of a real, and whose
    long connections were to what failed, and to others."""

    failed_at: float
    mended_at: float
    back_at: float
    outages: list
    drops: int
    hit: set
    long_hit: set
    long_others: set


def _break_and_mend(lab, daemon, case, pace, clients):
    hit = case.hit(lab)
    verdicts = Verdicts(daemon, lab.reals4 if case.hits_all else lab.reals4[:1])
    clients.watch("before anything fails")
    long_hit = clients.long_of(hit)
    long_others = clients.long_of(lab.reals) - long_hit
    drops = count_drops(daemon)

    with contextlib.ExitStack() as broken:
        failed_at = verdicts.since = time.monotonic()
        broken.callback(case.mend, lab)
        case.fail(lab)
        wait_for(verdicts.outages, pace.detection() + GIVE_UP_S, f"{case.name}: it is noticed")
        if case.name == "flap":
            wait_for(lambda: time.monotonic() > failed_at + pace.flap_for, pace.flap_for + 5,
                     "it flaps for a while")
        clients.watch("while it is out", (pace.request_timeout + 0.5) * SLOWNESS)
        if case.long in ("lost", "told"):
            wait_for(lambda: clients.told(long_hit, failed_at) == long_hit, pace.long_timeout,
                     f"{case.name}: clients of long connections are told")
        began_to_mend_at = time.monotonic()
    # To start a server takes a while.
    mended_at = time.monotonic() if case.name in ("kill", "all-dead") else began_to_mend_at
    back_at = wait_for(verdicts.all_up_at, pace.recovery() + pace.hold_max + GIVE_UP_S,
                       f"{case.name}: it is back")
    if case.long == "settled":
        wait_for(lambda: clients.lost(long_hit, failed_at) |
                 clients.answered(long_hit, back_at) == long_hit,
                 pace.long_timeout, f"{case.name}: long connections go on or are reset")
    clients.watch("after recovery")
    drops = count_drops(daemon) - drops
    clients.finish(pace.request_timeout * SLOWNESS + 10)
    return Course(failed_at, mended_at, back_at, verdicts.outages(), drops, hit, long_hit,
                  long_others)


def _has_share(rows, reals):
    """Whether each of the reals has a quarter of its even share, at least: chance takes no more."""
    served = collections.Counter(row["real"] for row in rows)
    return all(served[real] > len(rows) / len({*served, *reals}) / 4 for real in reals)


def _result(case, pace, clients, course):
    out, used = [], []
    for row in clients.new(course.failed_at - pace.request_timeout, course.back_at):
        if any(begin + MARGIN_S <= row["began"] < end for begin, end in course.outages):
            out.append(row)
        elif row["ended"] > course.failed_at:
            used.append(row)
    after = clients.new(course.back_at)
    return Result(
        case=case, detected=course.outages[0][0] - course.failed_at,
        detected_at_most=pace.detection(), back=max(0, course.back_at - course.mended_at),
        back_at_most=pace.recovery() + pace.hold_max, slack=pace.slack, while_used=(n_failed(used), len(used)),
        while_out=(n_failed(out), len(out)), afterwards=(n_failed(after), len(after)),
        long_hit=(len(clients.lost(course.long_hit, course.failed_at)), len(course.long_hit)),
        long_others=(len(clients.lost(course.long_others, course.failed_at)),
                     len(course.long_others)),
        serves_again=_has_share(after, course.hit), drops=course.drops,
        outages=len(course.outages))
