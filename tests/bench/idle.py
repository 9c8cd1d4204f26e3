#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Memory and CPU of a daemon that only probes: 1,000 TCP probes a second, all answered.

    unshare --net tests/bench/idle.py OUT

A JSON line on stdout. Every real is an address of this network namespace.
"""
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

VIPS = 10
REALS = 100  # of each VIP: with an interval of 1 s, 1,000 probes a second
SECONDS = 10


def run(*argv):
    subprocess.run(argv, check=True)


def make_network():
    run("ip", "link", "set", "lo", "up")
    run("ip", "link", "add", "lb0", "type", "veth", "peer", "name", "gen0")
    run("ip", "address", "add", "10.0.0.1/24", "dev", "lb0")
    run("ip", "link", "set", "lb0", "up")
    run("ip", "link", "set", "gen0", "up")
    run("ip", "route", "add", "local", "10.1.0.0/16", "dev", "lo")


def config(bpffs):
    lines = ["interfaces:", "  - {name: lb0}", f"bpffs: {bpffs}", "encap: {source4: 10.0.0.1}",
             "defaults:", "  health: {type: tcp, interval: 1s, timeout: 500ms}", "vips:"]
    for vip in range(VIPS):
        lines.append(f"  - {{name: web{vip}, address: 192.0.2.{vip + 1}, port: 80, protocol: tcp, "
                     "reals: [")
        lines += [f"      {{address: 10.1.{vip}.{real + 1}}}," for real in range(REALS)]
        lines[-1] = lines[-1].rstrip(",") + "]}"
    return "\n".join(lines) + "\n"


def answer(seconds):
    """Accepts and closes for so long; returns the number of connections."""
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("0.0.0.0", 80))
        server.listen(4096)
        server.setblocking(False)
        end, n = time.monotonic() + seconds, 0
        while (left := end - time.monotonic()) > 0:
            if not select.select([server], [], [], left)[0]:
                break
            try:
                server.accept()[0].close()
                n += 1
            except BlockingIOError:
                pass
        return n


def cpu_times(pid):
    """Seconds of its own, and of the kernel for it."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return [int(field) / os.sysconf("SC_CLK_TCK") for field in fields[11:13]]


def cpu_seconds(pid):
    return sum(cpu_times(pid))


def rss_kib(pid):
    """All that is resident, and what of it is the mapping of the kernel's maps."""
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        fields = dict(line.split(":", 1) for line in f)
    return int(fields["VmRSS"].split()[0]), int(fields["RssAnon"].split()[0])


def measure(out, directory, bpffs):
    path = os.path.join(directory, "xdplb.yaml")
    with open(path, "w", encoding="utf-8") as f:
        f.write(config(bpffs))
    with open(os.path.join(directory, "log"), "wb") as log, subprocess.Popen(
            [f"{out}/xdplbd", "--config", path, "--socket", f"{directory}/api.sock",
             "--state-dir", f"{directory}/state"], stdout=log, stderr=log) as daemon:
        try:
            answer(5)
            before = cpu_seconds(daemon.pid)
            probes = answer(SECONDS)
            cpu = (cpu_seconds(daemon.pid) - before) / SECONDS
            rss, anon = rss_kib(daemon.pid)
        finally:
            daemon.send_signal(signal.SIGTERM)
    result = {"case": "idle-1000-probes", "probes_per_s": round(probes / SECONDS),
              "cpu_percent": round(100 * cpu, 1), "rss_mib": round(rss / 1024, 1),
              "rss_private_mib": round(anon / 1024, 1)}
    print(json.dumps(result))
    print(f"{'idle-1000-probes':<28} {result['probes_per_s']} probes/s, "
          f"{result['cpu_percent']} % of a CPU, {result['rss_mib']} MiB resident "
          f"({result['rss_private_mib']} MiB private)", file=sys.stderr)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    bpffs = f"/sys/fs/bpf/xdplb-test-{os.getpid()}-idle"
    directory = tempfile.mkdtemp(prefix=f"xdplb-test-{os.getpid()}-", dir="/tmp")
    make_network()
    try:
        measure(sys.argv[1], directory, bpffs)
    finally:
        subprocess.run([f"{sys.argv[1]}/xdplbd", "--config", f"{directory}/xdplb.yaml", "--detach"],
                       check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        shutil.rmtree(bpffs, ignore_errors=True)
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
