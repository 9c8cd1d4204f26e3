# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""docs/recipes/databases.md, word for word: its files and commands are taken out of the page and run
with PostgreSQL. Writes go to the primary, whoever that is; reads to the replicas."""

import contextlib
import itertools
import os
import re
import shutil
import signal
import subprocess
import threading
import time

import pytest
import yaml

from lab import ROOT, SLOWNESS, wait_for
from traffic import CAPACITY

BIN = "/usr/lib/postgresql/15/bin"
WRITE, READ = "192.0.2.10", "192.0.2.11"
SCRIPT = "/usr/local/lib/xdplb/check-postgres"
APP = "user=app dbname=app password=change-me-too connect_timeout=2"
SLACK_S = 4  # a busy machine; and a SYN that is dropped is repeated after a second
# The page says nothing of where a server has its files, and these need not survive a power cut.
OURS = "cluster_name = '{host}'\nunix_socket_directories = '{dir}'\n" \
       "dynamic_shared_memory_type = mmap\nshared_buffers = 16MB\nfsync = off\n"

BLOCKS = dict(re.findall(r"<!-- test: (\S+) -->\n```\w*\n(.*?)```\n",
                         (ROOT / "docs/recipes/databases.md").read_text(), re.S))
CONFIGURATION = yaml.safe_load(BLOCKS["configuration"])


def seconds(text):
    return float(text.removesuffix("s"))


HEALTH = CONFIGURATION["defaults"]["health"]
EACH_S = seconds(HEALTH["interval"]) * 1.1
# The page's section "How long"; a hanging server takes the script's own time limit longer.
IN_WITHIN_S = HEALTH["rise"] * EACH_S
OUT_WITHIN_S = HEALTH["fall"] * EACH_S
HANG_S = float(re.search(r"timeout (\S+) psql", BLOCKS["script"])[1])


class Server:
    """PostgreSQL on a real, as user postgres."""

    def __init__(self, lab, host):
        self.lab, self.host = lab, host
        self.address = lab.reals4[lab.reals.index(host)]
        self.dir = lab.dir / host / "postgres"
        self.data = self.dir / "data"
        self.dir.mkdir(parents=True)
        shutil.chown(self.dir, "postgres", "postgres")
        self.process = None

    def _as_postgres(self, cmd):
        return ["env", f"PGDATA={self.data}", f"PGHOST={self.dir}", f"PATH={BIN}:/usr/bin:/bin",
                "setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups",
                *(["sh", "-ec", cmd] if isinstance(cmd, str) else cmd)]

    def run(self, cmd, **kwargs):
        return self.lab.run(self.host, self._as_postgres(cmd), cwd=self.dir, timeout=60, **kwargs)

    def make_primary(self):
        self.run([f"{BIN}/initdb", "--no-sync", "-E", "UTF8", "--locale=C", "-A", "trust"])
        (self.data / "pg_hba.conf").write_text(BLOCKS["pg_hba.conf"])
        with (self.data / "postgresql.conf").open("a") as conf:
            conf.write(BLOCKS["postgresql.conf"] + OURS.format(host=self.host, dir=self.dir))
        self.start()
        self.run(["psql", "-XqAt", "-v", "ON_ERROR_STOP=1"], input=BLOCKS["roles"])

    def make_replica(self):
        self.run(BLOCKS["replica"])
        with (self.data / "postgresql.conf").open("a") as conf:
            conf.write(OURS.format(host=self.host, dir=self.dir))
        self.start()

    def start(self):
        log = (self.dir / "log").open("a")
        self.process = self.lab.popen(self.host, self._as_postgres([f"{BIN}/postgres"]),
                                      cwd=self.dir, stdout=log, stderr=subprocess.STDOUT)
        log.close()
        wait_for(lambda: self.run(["pg_isready", "-q"], check=False).returncode == 0, 20,
                 f"PostgreSQL answers on {self.host}")

    def processes(self):
        """The server and its children, which are groups of their own."""
        done = subprocess.run(["ps", "-o", "pid=", "--ppid", str(self.process.pid)],
                              capture_output=True, text=True, check=False)
        return [self.process.pid, *map(int, done.stdout.split())]

    def send(self, sig):
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, sig)

    def ask(self, sql):
        return self.run(["psql", "-XqAt", "-c", sql, "app"]).stdout.strip()

    def end(self):
        """Killed, it would leave a piece of shared memory behind."""
        if self.process:
            self.send(signal.SIGCONT)
            self.lab.stop(self.process, deadline=20, sig=signal.SIGQUIT)


class Writer:
    """A client that writes one number after the other through the VIP, each by a connection of its
    own, and goes on when one fails."""

    def __init__(self, lab):
        self.lab = lab
        self.done = []  # (number, when it began, when it ended, who took it or None, what was said)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self):
        for number in itertools.count():
            if self._ended.is_set():
                return
            began = time.monotonic()
            out = self.lab.run("client", [
                f"{BIN}/psql", "-XqAt", "-c", f"insert into t values ({number}) returning "
                "current_setting('cluster_name') || ' ' || pg_is_in_recovery()",
                f"host={WRITE} {APP}"], check=False)
            taken = out.stdout.strip() if out.returncode == 0 else None
            self.done.append((number, began, time.monotonic(), taken, out.stderr.strip()))
            self._ended.wait(0.05)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        self._thread.join()

    def first_taken(self, by, since):
        """When a server took the first write that began since then; None: not yet."""
        taken = f"{by.host} false"
        return next((ended for _, began, ended, who, _ in list(self.done)
                     if began >= since and who == taken), None)

    def wait_taken(self, by, since):
        return wait_for(lambda: self.first_taken(by, since), 20,
                        f"{by.host} takes writes; {self.done[-3:]}")

    def takers(self, since=0, until=float("inf")):
        return {who for _, began, _, who, _ in self.done if since <= began < until and who}


class Cluster:
    def __init__(self, lab):
        self.lab = lab
        lab.dir.chmod(0o755)
        script = lab.dir / "check-postgres"
        script.write_text(BLOCKS["script"])
        script.chmod(0o755)
        self.servers = [Server(lab, host) for host in lab.reals]
        for host in lab.reals:
            lab.start_receiver(host, (WRITE, READ))
        self.daemon = None

    def begin(self):
        first, second = self.servers
        first.make_primary()
        second.make_replica()
        first.ask("set role app; create table t (n integer)")
        self.daemon = self.lab.start_daemon(
            BLOCKS["configuration"].replace(SCRIPT, str(self.lab.dir / "check-postgres")) +
            yaml.dump({"bpffs": "{bpffs}", "capacity": CAPACITY}))
        self.wait_roles(first, second)

    def wait_roles(self, primary, replica, deadline=15):
        """Waits until each is up where it should be, and only there."""
        self.daemon.wait_states({primary.address: "up", replica.address: "down"}, deadline,
                                "pg-write")
        self.daemon.wait_states({primary.address: "down", replica.address: "up"}, deadline,
                                "pg-read")

    def probes(self, server, vip="pg-write"):
        """What `health list` says of a server."""
        return next(row for row in self.daemon.ctl_json("health", "list", vip)
                    if row["address"] == server.address)

    def is_down(self, server):
        return self.probes(server)["state"] == "down"

    def says(self, server, words, vip="pg-write"):
        """Waits until the script says so of a server."""
        wait_for(lambda: words in self.probes(server, vip)["last_result"], 15,
                 f"{words}, not {self.probes(server, vip)['last_result']}")

    def reads(self):
        """Who answers reads."""
        out = self.lab.run("client", [f"{BIN}/psql", "-XqAt", "-c",
                                      "select current_setting('cluster_name')",
                                      f"host={READ} {APP}"])
        return out.stdout.strip()

    def end(self):
        for server in self.servers:
            server.end()


@pytest.fixture
def cluster(make_lab):
    made = Cluster(make_lab(reals=2))
    try:
        made.begin()
        yield made
    finally:
        made.end()


def assert_no_replica_wrote(writer):
    assert all(who is None or who.endswith(" false") for _, _, _, who, _ in writer.done)
    assert not [said for *_, said in writer.done if "read-only" in said]


@pytest.mark.limit_s(150)
def test_writes_follow_the_primary_and_reads_the_replica(cluster):
    """A switch-over, then the loss of the new primary, which comes back believing it still is."""
    first, second = cluster.servers
    assert {cluster.reads() for _ in range(5)} == {"real2"}
    with Writer(cluster.lab) as writer:
        writer.wait_taken(first, 0)

        # ---- as the page says: stop, promote, rejoin ----
        first.run(BLOCKS["stop"])
        stopped = time.monotonic()
        second.run(BLOCKS["promote"])
        promoted = time.monotonic()
        resumed = writer.wait_taken(second, stopped)
        assert resumed - promoted < IN_WITHIN_S + SLACK_S * SLOWNESS
        wait_for(lambda: cluster.is_down(first), OUT_WITHIN_S + SLACK_S, "the old one is out")
        first.run(BLOCKS["rejoin"])
        first.start()
        cluster.wait_roles(second, first)
        cluster.says(first, "exit 1: replica")
        cluster.says(second, "exit 1: primary", "pg-read")
        assert {cluster.reads() for _ in range(5)} == {"real1"}
        # What was confirmed before and after is on both.
        seen = time.monotonic()
        writer.wait_taken(second, seen)
        confirmed = {number for number, _, ended, who, _ in list(writer.done)
                     if who and ended < seen}

        def has_all(server):
            return confirmed <= set(map(int, server.ask("select n from t").split()))
        assert has_all(second)
        wait_for(lambda: has_all(first), 15, "the replica has all")

        # ---- the primary stands still, and comes back ----
        second.send(signal.SIGSTOP)
        frozen = time.monotonic()
        first.run(BLOCKS["promote"])
        promoted = time.monotonic()
        resumed = writer.wait_taken(first, frozen)
        assert resumed - promoted < max(IN_WITHIN_S, OUT_WITHIN_S + HANG_S) + SLACK_S * SLOWNESS
        wait_for(lambda: cluster.is_down(second), OUT_WITHIN_S + HANG_S + SLACK_S,
                 "the frozen one is out")
        out = time.monotonic()
        second.send(signal.SIGCONT)
        cluster.says(second, "but 10.1.0.1 is of 00000003")
        n = cluster.probes(second)["probes"]
        wait_for(lambda: cluster.probes(second)["probes"] >= n + 2 * HEALTH["rise"], 20,
                 "some probes more")
        assert cluster.is_down(second)
        assert second.ask("select pg_is_in_recovery()") == "f"
        writer.wait_taken(first, time.monotonic())
        assert writer.takers(since=out) == {"real1 false"}
    assert_no_replica_wrote(writer)
    assert writer.takers() == {"real1 false", "real2 false"}


# ---- what the script says, for every answer that the servers may give ----

ONE, TWO = "10.1.0.1", "10.1.0.2"


@pytest.mark.parametrize("role, answers, code, says", [
    ("primary", {ONE: "00000002", TWO: "replica"}, 0, "primary of timeline 00000002"),
    ("primary", {ONE: "00000002"}, 0, "primary of timeline 00000002"),
    ("primary", {ONE: "replica", TWO: "00000002"}, 1, "replica"),
    ("primary", {TWO: "replica"}, 1, "no answer"),
    ("primary", {ONE: "00000003", TWO: "00000002"}, 0, "primary of timeline 00000003"),
    ("primary", {ONE: "00000002", TWO: "00000003"}, 1,
     f"primary of timeline 00000002, but {TWO} is of 00000003"),
    # Both promoted: neither.
    ("primary", {ONE: "00000002", TWO: "00000002"}, 1,
     f"primary of timeline 00000002, but {TWO} is of 00000002"),
    ("primary", {ONE: "0000000A", TWO: "00000009"}, 0, "primary of timeline 0000000A"),
    ("replica", {ONE: "replica", TWO: "00000002"}, 0, "replica"),
    ("replica", {ONE: "00000002", TWO: "replica"}, 1, "primary"),
    ("replica", {TWO: "00000002"}, 1, "no answer"),
])
def test_the_script_tells_a_primary_from_a_replica(tmp_path, role, answers, code, says):
    (tmp_path / "check").write_text(BLOCKS["script"])
    psql = tmp_path / "psql"
    psql.write_text('#!/bin/sh\nhost=${2#host=}\ncat "${0%/*}/${host%% *}"\n')
    psql.chmod(0o755)
    for address, answer in answers.items():
        (tmp_path / address).write_text(answer + "\n")
    nodes = [ONE, TWO] if role == "primary" else []
    done = subprocess.run(["sh", tmp_path / "check", role, *nodes], capture_output=True, text=True,
                          check=False, env={"PATH": f"{tmp_path}:/usr/bin:/bin",
                                            "XDPLB_REAL_ADDRESS": ONE, "XDPLB_REAL_PORT": "5432"})
    assert (done.returncode, done.stdout, done.stderr) == (code, says + "\n", "")
