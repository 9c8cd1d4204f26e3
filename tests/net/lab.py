# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The lab of tools/lab.sh for tests: hosts, nginx and the receiver on the reals, the daemon.

Everything a Lab starts or makes ends with Lab.down(); its names carry the run's id.
"""

import contextlib
import ctypes
import itertools
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("XDPLB_BUILD", ROOT / "build"))

VIP4, VIP6 = "192.0.2.10", "2001:db8::10"
CLIENT4, CLIENT6 = "198.51.100.2", "2001:db8:c::2"

NGINX_CONF = """
daemon off;
user root;
pid {dir}/nginx.pid;
error_log {dir}/error.log;
worker_processes 1;
events {{ worker_connections 4096; }}
http {{
    log_format client '$remote_addr $server_addr $request_uri $connection';
    access_log {dir}/access.log client;
    client_body_temp_path {dir}/body;
    proxy_temp_path {dir}/proxy;
    fastcgi_temp_path {dir}/fastcgi;
    uwsgi_temp_path {dir}/uwsgi;
    scgi_temp_path {dir}/scgi;
    keepalive_requests 1000000;
    default_type text/plain;
    server {{
        listen 80 backlog=4096;
        listen [::]:80 backlog=4096;
        {listens}
        root {dir}/www;
        location / {{ return 200 "{name}\\n"; }}
        location = /healthz {{ return 200 "ok\\n"; }}
        location /files/ {{ }}
    }}
}}
"""


# How many times longer than elsewhere things may take here: under emulation.
SLOWNESS = float(os.environ.get("XDPLB_SLOWNESS", 1))
RUN = os.environ.get("XDPLB_RUN", f"xdplb-test-{os.getpid()}")
_number = itertools.count(1)


def new_name():
    """A name for something outside of this process, unique to this run and worker."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "w")
    return f"{RUN}-{worker}-{next(_number)}"


def wait_for(predicate, deadline, what):
    """Polls until predicate() is true and returns its value; AssertionError after deadline seconds."""
    deadline *= SLOWNESS
    end = time.monotonic() + deadline
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {deadline} s: {what}")
        time.sleep(0.02)


@contextlib.contextmanager
def inside(namespace):
    """This thread's new sockets are in a network namespace."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open("/proc/thread-self/ns/net") as own, open(f"/run/netns/{namespace}") as other:
        assert libc.setns(other.fileno(), 0) == 0, os.strerror(ctypes.get_errno())
        try:
            yield
        finally:
            assert libc.setns(own.fileno(), 0) == 0


def cgroups_of_scripts(bpffs):
    """The directory that a daemon with this bpffs directory makes for its scripts' cgroups."""
    own = re.search(r"^0::(.*)$", pathlib.Path("/proc/self/cgroup").read_text(), re.M)[1]
    mounts = pathlib.Path("/proc/self/mountinfo").read_text()
    mount = re.search(r"^\S+ \S+ \S+ / (\S+) .* - cgroup2 ", mounts, re.M)
    return pathlib.Path((mount[1] if mount else "/none") + own) / f"xdplb{bpffs}".replace("/", "-")


class Daemon:
    """A running xdplbd, its files, and xdplbctl talking to it."""

    def __init__(self, lab, process, config, socket, state_dir, log):
        self.lab = lab
        self.process = process
        self.config = config
        self.socket = socket
        self.state_dir = state_dir
        self.log = log

    def ctl(self, *args, timeout=10):
        """Runs xdplbctl; returns (exit status, stdout, stderr)."""
        done = subprocess.run([BUILD / "xdplbctl", "--socket", self.socket, *map(str, args)],
                              capture_output=True, text=True, timeout=timeout * SLOWNESS,
                              check=False)
        return done.returncode, done.stdout, done.stderr

    def ctl_json(self, *args):
        """Runs `xdplbctl -j ARGS`, which must succeed; returns its document."""
        rc, out, err = self.ctl("-j", *args)
        assert rc == 0, f"xdplbctl -j {' '.join(map(str, args))}: status {rc}: {err}"
        return json.loads(out)

    def reals(self, vip=None):
        """`real list` as a dictionary by address; of one VIP, or of all when there is just one."""
        rows = self.ctl_json("real", "list")
        return {r["address"]: r for r in rows if vip is None or r["vip"] == vip}

    def wait_states(self, expected, deadline=20, vip=None):
        """Waits until the named reals have the given states, e.g. {"10.1.0.1": "up"}."""
        def reached():
            reals = self.reals(vip)
            return all(reals.get(a, {}).get("state") == s for a, s in expected.items())
        wait_for(reached, deadline, f"reals are {expected}; log:\n{self.log_text()}")
        if "up" in expected.values():
            self.settle()

    def settle(self):
        """Waits until every ring says what is wanted, as the answer to an operator promises."""
        for row in self.ctl_json("real", "list"):
            if row["admin"] == "enabled":
                self.ctl_json("real", "enable", row["vip"], row["address"])
                return

    def write_config(self, text):
        """Replaces the file's text; the daemon reads it at the next reload."""
        self.config.write_text(text.replace("{bpffs}", str(self.lab.bpffs / "xdplb")))

    def log_text(self):
        return self.log.read_text(errors="replace")

    def stop(self, deadline=10):
        """Ends the daemon with SIGTERM (the data plane stays); returns its exit status."""
        self.lab.stop(self.process, deadline)
        return self.process.returncode


class Lab:
    """One lab, up from construction to down(). Hosts are "client", "router", "balancer", "real1"…"""

    client, router, balancer = "client", "router", "balancer"

    def __init__(self, name, reals=3, mtu=1600, balancer_links=1):
        self.name = name
        self.dir = pathlib.Path("/tmp") / name
        self.bpffs = pathlib.Path("/sys/fs/bpf") / name
        self.reals = [f"real{i + 1}" for i in range(reals)]
        segment = balancer_links
        self.reals4 = [f"10.{segment}.0.{i + 1}" for i in range(reals)]
        self.reals6 = [f"fd00:{segment}::{i + 1}" for i in range(reals)]
        self._children = []
        self._nginx = {}
        self._receivers = []
        self._n_daemons = 0
        self.dir.mkdir()
        try:
            self._lab_sh("up", name, "--reals", reals, "--mtu", mtu,
                         "--balancer-links", balancer_links)
        except BaseException:
            shutil.rmtree(self.dir)
            raise

    @staticmethod
    def _lab_sh(*args):
        done = subprocess.run([ROOT / "tools" / "lab.sh", *map(str, args)], text=True,
                              timeout=30 * SLOWNESS, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, check=False)
        assert done.returncode == 0, f"lab.sh {args}: {done.stdout}"

    # ---- commands on hosts ----

    def _argv(self, host, cmd):
        words = ["sh", "-c", cmd] if isinstance(cmd, str) else list(map(str, cmd))
        return ["nsenter", f"--net=/run/netns/{self.name}-{host}", "--", *words]

    def run(self, host, cmd, check=True, timeout=30, **kwargs):
        """Runs a list or a shell line on a host; returns the CompletedProcess (text)."""
        done = subprocess.run(self._argv(host, cmd), capture_output=True, text=True,
                              timeout=timeout * SLOWNESS, check=False, **kwargs)
        if check:
            assert done.returncode == 0, \
                f"{host}: {cmd}: status {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def inside(self, host):
        """A context in which this thread's new sockets are a host's."""
        return inside(f"{self.name}-{host}")

    def popen(self, host, cmd, **kwargs):
        """Starts a list or a shell line on a host; ended at the latest by down()."""
        process = subprocess.Popen(self._argv(host, cmd), text=True, start_new_session=True,
                                   **kwargs)
        self._children.append(process)
        return process

    def stop(self, process, deadline=10, sig=signal.SIGTERM):
        """Ends a process and its group, at the latest with SIGKILL, and reaps it."""
        if process.poll() is None:
            process.send_signal(sig)
        try:
            process.wait(deadline)
        except subprocess.TimeoutExpired:
            pass
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()
        if process in self._children:
            self._children.remove(process)

    # ---- the reals ----

    def start_nginx(self, host, ports=()):
        """nginx on port 80, and others, of every address of a host; / says the host's name."""
        where = self.dir / host
        (where / "www" / "files").mkdir(parents=True, exist_ok=True)
        conf = where / "nginx.conf"
        listens = " ".join(f"listen {port}; listen [::]:{port};" for port in ports)
        conf.write_text(NGINX_CONF.format(dir=where, name=host, listens=listens))
        process = self.popen(host, ["/usr/sbin/nginx", "-e", where / "error.log", "-c", conf])
        self._nginx[host] = process
        wait_for(lambda: self.run(host, ["curl", "-sf", "-m1", "http://127.0.0.1/healthz"],
                                  check=False).returncode == 0, 15, f"nginx answers on {host}")
        return process

    def nginx(self, host):
        """A host's nginx: leader of the group of its processes."""
        return self._nginx[host]

    def stop_nginx(self, host, sig=signal.SIGTERM):
        """Ends a host's nginx; SIGTERM and SIGKILL reset what it has open, SIGQUIT finishes it."""
        self.stop(self._nginx.pop(host), sig=sig)

    def access_log(self, host):
        """The requests nginx answered: [client address, local address, URI, connection number]."""
        path = self.dir / host / "access.log"
        whole = path.read_text().rpartition("\n")[0] if path.exists() else ""
        return [line.split() for line in whole.splitlines()]

    def start_receiver(self, host, vips=(VIP4, VIP6), *options):
        """Decapsulation and the VIPs on a real."""
        words = [BUILD / "xdplb-receiver", "up", "--interface", "eth0"]
        for vip in vips:
            words += ["--vip", vip]
        self.run(host, [*words, *self._receiver_dirs(host), *options])
        self._receivers.append(host)

    def stop_receiver(self, host):
        self.run(host, [BUILD / "xdplb-receiver", "down", "--interface", "eth0",
                        *self._receiver_dirs(host)])
        self._receivers.remove(host)

    def receiver_status(self, host):
        """What `xdplb-receiver status -j` says of a real; everything must be in force."""
        done = self.run(host, [BUILD / "xdplb-receiver", "status", "-j", "--interface", "eth0",
                               *self._receiver_dirs(host)])
        return json.loads(done.stdout)["interfaces"][0]

    def _receiver_dirs(self, host):
        return ["--bpffs", self.bpffs / f"receiver-{host}",
                "--state-dir", self.dir / host / "receiver"]

    def start_reals(self, vips=(VIP4, VIP6), ports=()):
        """nginx and receiver on every real."""
        for host in self.reals:
            self.start_nginx(host, ports)
            self.start_receiver(host, vips)

    # ---- the balancer ----

    def start_daemon(self, config, state_dir=None, wait=True, host="balancer", extra=(),
                     wrapper=()):
        """Starts xdplbd on a configuration (YAML text). "{bpffs}" in it becomes the lab's own.
        wrapper: words in front of it, of a program that executes it."""
        self._n_daemons += 1
        here = self.dir / f"daemon{self._n_daemons}"
        here.mkdir()
        path = here / "xdplb.yaml"
        path.write_text(config.replace("{bpffs}", str(self.bpffs / "xdplb")))
        state_dir = state_dir or here / "state"
        log = here / "log"
        with log.open("w") as out:
            process = self.popen(host, [*wrapper, BUILD / "xdplbd", "--config", path,
                                        "--socket", here / "api.sock",
                                        "--state-dir", state_dir, *extra],
                                 stdout=out, stderr=subprocess.STDOUT)
        daemon = Daemon(self, process, path, here / "api.sock", state_dir, log)
        if wait:
            def answers():
                assert process.poll() is None, \
                    f"xdplbd ended with {process.returncode}:\n{daemon.log_text()}"
                return daemon.ctl("status")[0] == 0
            wait_for(answers, 20, "xdplbd answers")
        return daemon

    # ---- the client ----

    def curl(self, url, *options, host="client", timeout=5):
        """The body of a request from the client, or None when it failed."""
        done = self.run(host, ["curl", "-s", "-f", "-m", timeout, *options, url], check=False,
                        timeout=timeout + 5)
        return done.stdout.strip() if done.returncode == 0 else None

    # ---- the end ----

    def down(self):
        """Ends all processes and removes the lab, its pins and its files, whatever state it is in."""
        try:
            for process in list(self._children):
                if process.poll() is None:
                    process.terminate()
            for process in list(self._children):
                self.stop(process, deadline=3)
        finally:
            cgroups = cgroups_of_scripts(self.bpffs / "xdplb")
            for each in (*cgroups.glob("[0-9]*"), cgroups):  # of a daemon that was killed
                with contextlib.suppress(OSError):
                    each.rmdir()
            self._lab_sh("down", self.name)
            shutil.rmtree(self.dir, ignore_errors=True)
