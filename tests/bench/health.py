#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""10,000 HTTP targets probed once a second by a daemon on one CPU: CPU, lateness, memory.

    unshare --net tests/bench/health.py OUT [TARGETS...]

A JSON line for each number of targets on stdout. Every real is an address of this network namespace;
nginx answers on the other CPUs; both go before what else runs (chrt: niceness means little between
sessions). Lateness is the daemon's own: how long after its time a probe begins.
"""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from idle import cpu_times, make_network, rss_kib

REALS = 1000  # of each VIP
SETTLE_S = 22  # until the daemon's window of lateness holds nothing of the start
SECONDS = 15

NGINX = """
daemon off;
pid {dir}/nginx.pid;
error_log {dir}/error.log;
worker_processes 1;
worker_rlimit_nofile 65536;
events {{ worker_connections 32768; }}
http {{
    access_log off;
    server {{
        listen 80 backlog=16384;
        location / {{ return 200 "ok\\n"; }}
    }}
}}
"""


def config(bpffs, targets):
    lines = ["interfaces:", "  - {name: lb0}", f"bpffs: {bpffs}", "encap: {source4: 10.0.0.1}",
             "capacity: {members: 16k, ring_slots: 4M}", "defaults:", "  ring: 16381",
             "  health: {type: http, path: /healthz, interval: 1s, timeout: 500ms}", "vips:"]
    for vip in range((targets + REALS - 1) // REALS):
        lines.append(f"  - {{name: web{vip}, address: 192.0.2.{vip + 1}, port: 80, protocol: tcp, "
                     "reals: [")
        for i in range(vip * REALS, min(targets, (vip + 1) * REALS)):
            lines.append(f"      {{address: 10.1.{i // 250}.{i % 250 + 1}}},")
        lines[-1] = lines[-1].rstrip(",") + "]}"
    return "\n".join(lines) + "\n"


def status(out, directory):
    done = subprocess.run([f"{out}/xdplbctl", "--socket", f"{directory}/api.sock", "-j", "status"],
                          capture_output=True, text=True, timeout=30, check=True)
    return json.loads(done.stdout)


def other_cpus(cpu):
    return ",".join(str(c) for c in sorted(os.sched_getaffinity(0)) if c != cpu) or str(cpu)


def start_nginx(directory, cpus):
    conf = pathlib.Path(directory, "nginx.conf")
    conf.write_text(NGINX.format(dir=directory), encoding="utf-8")
    return subprocess.Popen(["chrt", "-r", "1", "taskset", "-c", cpus, "/usr/sbin/nginx", "-e",
                             f"{directory}/error.log", "-c", conf])


def measure(out, directory, bpffs, targets):
    cpu = min(os.sched_getaffinity(0))
    path = pathlib.Path(directory, "xdplb.yaml")
    path.write_text(config(bpffs, targets), encoding="utf-8")
    with start_nginx(directory, other_cpus(cpu)) as nginx, \
            open(os.path.join(directory, "log"), "wb") as log, \
            subprocess.Popen(["chrt", "-r", "1", "taskset", "-c", str(cpu), f"{out}/xdplbd",
                              "--config", path, "--socket", f"{directory}/api.sock", "--state-dir",
                              f"{directory}/state"], stdout=log, stderr=log) as daemon:
        try:
            time.sleep(SETTLE_S)
            began, used, first = time.monotonic(), cpu_times(daemon.pid), status(out, directory)
            time.sleep(SECONDS)
            last = status(out, directory)
            own, kernel = (now - then for now, then in zip(cpu_times(daemon.pid), used))
            took = time.monotonic() - began
            rss, anon = rss_kib(daemon.pid)
        finally:
            daemon.send_signal(signal.SIGTERM)
            nginx.send_signal(signal.SIGTERM)
    late = last["probes"]["late_us"]
    return {"case": f"health-{targets}", "targets": last["probes"]["targets"],
            "probes_per_s": round((last["probes"]["started"] - first["probes"]["started"]) / took),
            "up": last["reals_up"], "not_made": last["probes"]["not_made"],
            "cpu_percent": round(100 * (own + kernel) / took, 1),
            "kernel_percent": round(100 * kernel / took, 1),
            "late_p50_ms": late["p50"] / 1000, "late_p99_ms": late["p99"] / 1000,
            "late_max_ms": late["max"] / 1000, "rss_mib": round(rss / 1024, 1),
            "rss_private_mib": round(anon / 1024, 1), "load": os.getloadavg()[0]}


def run(out, targets):
    """One measurement in this network namespace; nothing of it stays."""
    bpffs = f"/sys/fs/bpf/xdplb-test-{os.getpid()}-health"
    directory = tempfile.mkdtemp(prefix=f"xdplb-test-{os.getpid()}-", dir="/tmp")
    try:
        return measure(out, directory, bpffs, targets)
    finally:
        subprocess.run([f"{out}/xdplbd", "--config", f"{directory}/xdplb.yaml", "--detach"],
                       check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        shutil.rmtree(bpffs, ignore_errors=True)
        shutil.rmtree(directory, ignore_errors=True)


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    make_network()
    for targets in sys.argv[2:] or ["10000"]:
        row = run(sys.argv[1], int(targets))
        print(json.dumps(row), flush=True)
        print(f"{row['case']:<28} {row['probes_per_s']} probes/s, {row['cpu_percent']} % of a CPU "
              f"({row['kernel_percent']} % in the kernel), "
              f"late {row['late_p50_ms']} ms (p50) {row['late_p99_ms']} ms (p99) "
              f"{row['late_max_ms']} ms (most), {row['up']} up, {row['rss_mib']} MiB resident "
              f"({row['rss_private_mib']} MiB private)", file=sys.stderr)


if __name__ == "__main__":
    main()
