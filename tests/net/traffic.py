# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Configurations for the daemon and clients for what it balances."""

import contextlib
import itertools
import pathlib
import re
import signal
import socket
import struct
import subprocess
import threading

import yaml

from lab import VIP4, wait_for

SERVERS = pathlib.Path(__file__).with_name("servers.py")

# Quick to come up and slow to give up: a busy machine takes no real away.
STEADY = {"type": "http", "port": 80, "path": "/healthz", "interval": "200ms", "timeout": "3s",
          "fall": 5, "rise": 1}
# Small maps: a scan of the flow table takes no time.
CAPACITY = {"flows": "20k", "members": 1000, "vips": 100, "ring_slots": "4M"}


class Plain(yaml.SafeDumper):
    """Writes twice what is there twice: the configuration has no anchors."""

    def ignore_aliases(self, data):
        return True


def vip(reals, name="web", address=VIP4, port=80, protocol="tcp", **keys):
    """A VIP for config(); a real is an address or a dictionary. reals=None: it has pools."""
    made = {"name": name, "address": address, "port": port, "protocol": protocol, **keys}
    if reals is not None:
        made["reals"] = list_reals(reals)
    return made


def list_reals(reals):
    return [real if isinstance(real, dict) else {"address": real} for real in reals]


def config(*vips, health=None, capacity=None, interfaces=("eth0",), gue=None, pools=None,
           **defaults):
    """The text of a configuration file."""
    return yaml.dump({
        "interfaces": [{"name": name} for name in interfaces],
        "bpffs": "{bpffs}",
        "encap": {"source4": "10.1.0.10", "source6": "fd00:1::10", **(gue or {})},
        "capacity": capacity or CAPACITY,
        "defaults": {"health": health or STEADY, **defaults},
        "pools": [{"name": name, "reals": list_reals(reals)}
                  for name, reals in (pools or {}).items()],
        "vips": list(vips),
    }, Dumper=Plain, sort_keys=False)


def weighted(addresses, *weights):
    return [{"address": a, "weight": w} for a, w in zip(addresses, weights)]


def replace(path, text):
    """Writes a file that others read meanwhile: they see the old text or the new one, whole."""
    new = path.with_name(f"{path.name}.new")
    new.write_text(text)
    new.replace(path)


class Connection:
    """A client's HTTP connection on which one request follows the other."""

    def __init__(self, lab, address=VIP4, port=80, source_port=0, timeout=5):
        with lab.inside(lab.client):
            self.socket = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
        try:
            self.socket.settimeout(timeout)
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.socket.bind(("", source_port))
            self.socket.connect((address, port))
        except OSError:
            self.socket.close()
            raise
        self.port = self.socket.getsockname()[1]

    def ask(self):
        """The name of the real that answers."""
        self.socket.sendall(b"GET / HTTP/1.1\r\nHost: vip\r\n\r\n")
        reply = b""
        while not (match := re.search(rb"\r\n\r\n(.+)\n$", reply)):
            data = self.socket.recv(4096)
            if not data:
                raise ConnectionError(f"closed after {reply!r}")
            reply += data
        return match[1].decode()

    def upload(self, data):
        """Sends all of it and the end of the stream; returns what a sink answers."""
        self.socket.sendall(data)
        self.socket.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: self.socket.recv(4096), b"")).decode()

    def close(self):
        self.socket.close()

    def reset(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


class Connections:
    """Some connections and the reals that they were given."""

    def __init__(self, lab, n, address=VIP4):
        self.lab, self.address = lab, address
        self.all = [Connection(lab, address) for _ in range(n)]
        self.reals = self.ask()

    def ask(self):
        return [c.ask() for c in self.all]

    def reach(self, reals, at_most=500):
        """Opens more until every one of the reals has three; they must be no others."""
        while min(map(self.reals.count, reals)) < 3 and len(self.all) < at_most:
            self.all.append(Connection(self.lab, self.address))
            self.reals.append(self.all[-1].ask())
        assert set(self.reals) == set(reals)

    def of(self, real):
        return [c for c, name in zip(self.all, self.reals) if name == real]

    def close(self):
        for c in self.all:
            c.close()


def answers(lab, address=VIP4, n=60):
    """The reals that answer n new connections: of three alike one is missed once in 10^10."""
    some = Connections(lab, n, address)
    some.close()
    return set(some.reals)


@contextlib.contextmanager
def connections(lab, n, address=VIP4, reals=None):
    """n connections or more, so that every real (of the lab, or as given) has some."""
    some = Connections(lab, n, address)
    try:
        some.reach(reals or lab.reals)
        yield some
    finally:
        some.close()


@contextlib.contextmanager
def busy_connection(lab, address=VIP4):
    """A connection that makes request after request meanwhile; one real answers all of them."""
    connection = Connection(lab, address)
    answered, ended = [], threading.Event()

    def ask_on():
        while not ended.wait(0.01):
            try:
                answered.append(connection.ask())
            except OSError as failure:
                answered.append(repr(failure))
                return
    thread = threading.Thread(target=ask_on)
    thread.start()
    try:
        wait_for(lambda: answered, 15, "the first answer")
        yield
        n = len(answered)
        wait_for(lambda: len(answered) > n or not thread.is_alive(), 15, "an answer afterwards")
    finally:
        ended.set()
        thread.join()
        connection.close()
    assert len(set(answered)) == 1, set(answered)


class UdpClient:
    """A client's UDP socket; its datagrams are one flow."""

    def __init__(self, lab, address=VIP4, port=5353, timeout=5):
        with lab.inside(lab.client):
            self.socket = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET,
                                        socket.SOCK_DGRAM)
        self.socket.settimeout(timeout)
        self.to = (address, port)
        self._number = itertools.count()

    def ask(self, size=0):
        """(name of the real that answers, client address that it saw); comes from the VIP."""
        sent = f"{next(self._number)} ".encode().ljust(size, b".")
        self.socket.sendto(sent, self.to)
        reply, peer = self.socket.recvfrom(65535)
        assert peer[:2] == self.to, peer
        name, client, echo = reply.split(b" ", 2)
        assert echo == sent
        return name.decode(), client.decode()

    def close(self):
        self.socket.close()


def start_server(lab, host, kind, port):
    """Starts one of servers.py on a host and waits until it listens."""
    process = lab.popen(host, ["/usr/bin/python3", "-E", "-S", SERVERS,
                               kind, port, host], stdout=subprocess.PIPE)
    assert process.stdout.readline() == "ready\n"
    return process


class Load:
    """`ab` running on the client: requests, each on a connection of its own; None: until
    finish()."""

    def __init__(self, lab, requests, concurrency=40, url=f"http://{VIP4}/"):
        self.requests = requests
        self.process = lab.popen(lab.client, ["ab", "-q", "-r", "-s", 10, "-n",
                                              requests or 1_000_000, "-c", concurrency, url],
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def is_running(self):
        return self.process.poll() is None

    def finish(self, timeout=50):
        """Waits for the end; returns the number of requests that failed or were not made."""
        if self.requests is None:
            self.process.send_signal(signal.SIGINT)
        out = self.process.communicate(timeout=timeout)[0]
        numbers = {key: int(value) for key, value in
                   re.findall(r"^(\w+ (?:requests|responses)):\s+(\d+)", out, re.M)}
        assert "Complete requests" in numbers, out
        # A failed request is one of the complete ones.
        failed = numbers["Failed requests"] + numbers.get("Non-2xx responses", 0)
        made = numbers["Complete requests"]
        assert made > 0
        return failed + (self.requests or made) - made


def start(lab, text, **options):
    """Starts the daemon on a configuration and waits until all its reals are up."""
    daemon = lab.start_daemon(text, **options)
    wait_for(lambda: all(row["state"] == "up" for row in daemon.ctl_json("real", "list")), 20,
             f"all reals are up; log:\n{daemon.log_text()}")
    daemon.settle()
    return daemon


def served_by(lab):
    """Requests for / that each real's nginx has logged."""
    return {host: sum(row[2] == "/" for row in lab.access_log(host)) for host in lab.reals}


def served_since(lab, before, n):
    """What has been added to served_by(): n requests, once the last of them is logged."""
    def added():
        return {host: count - before[host] for host, count in served_by(lab).items()}
    wait_for(lambda: sum(added().values()) >= n, 15, f"{n} requests are logged")
    assert sum(added().values()) == n
    return added()
