# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Probes through the data path: what they find that direct ones do not, and what they leave behind."""

import contextlib
import itertools
import re
import subprocess
from pathlib import Path

import pytest

from lab import BUILD, ROOT, VIP4, VIP6, cgroups_of_scripts, new_name, wait_for
from probes import SCRIPT, script, start_bad
from test_probe_grpc import SERVER as GRPC_SERVER
from test_probes_dgram import start_dnsmasq
from traffic import answers, config, start_server, vip

MIXED4, MIXED6 = "192.0.2.46", "2001:db8::64"
VIPS = (VIP4, VIP6, MIXED4, MIXED6)
FAST = {"interval": "200ms", "timeout": "600ms", "fall": 2, "rise": 1}
HTTP = {"type": "http", "port": 80, "path": "/healthz", **FAST}
TUNNEL = {**HTTP, "via": "tunnel"}
OTHERS_FILTER = "bpf bytecode '1,6 0 0 4294967295'"
CALM = {**TUNNEL, "timeout": "3s", "fall": 5}  # a busy machine takes no real down
SILENT = "connect_timeout through the tunnel"


def filters(lab, interface="eth0"):
    """The filters of clsact's egress on the balancer, and the qdiscs."""
    shown = lab.run("balancer", ["tc", "filter", "show", "dev", interface, "egress"],
                    check=False).stdout
    qdiscs = lab.run("balancer", ["tc", "qdisc", "show", "dev", interface]).stdout
    return sum("xdplb_probe" in line for line in shown.splitlines()), "clsact" in qdiscs


def both(reals, probe=HTTP, address=VIP4, **keys):
    """The same real by both ways: a VIP each."""
    return [vip(reals, "direct", address, 81, health=probe, **keys),
            vip(reals, "tunnel", address, 82, health={**probe, "via": "tunnel"}, **keys)]


def health_of(daemon, name, real):
    return next(row for row in daemon.ctl_json("health", "list", name) if row["address"] == real)


def wait_for_probes(daemon, what, n=5):
    """Waits until each target has been probed n times more, with success at last."""
    before = {row["target"]: row["probes"] for row in daemon.ctl_json("health", "list")}
    wait_for(lambda: all(row["last_ok"] and row["probes"] >= before[row["target"]] + n
                         for row in daemon.ctl_json("health", "list")), 15, what)


def counters(daemon):
    """The program's own, summed over the CPUs."""
    path = daemon.lab.bpffs / "xdplb" / "maps" / "probe_stats"
    text = daemon.lab.run("balancer", ["bpftool", "map", "dump", "pinned", path]).stdout
    found = {}
    for name, value in re.findall(r'"(\w+)": (\d+)', text):
        if name not in ("key", "cpu"):
            found[name] = found.get(name, 0) + int(value)
    return found


# ---- faults that only the data path has ----


def vips_on_lo(lab, host, verb, vips=VIPS):
    for address in vips:
        lab.run(host, ["ip", "addr", verb, address, "dev", "lo"])


def without_decapsulation(lab):
    """The VIPs are there, nobody takes the outer header off."""
    vips_on_lo(lab, "real1", "add")


def with_decapsulation(lab):
    vips_on_lo(lab, "real1", "del")
    lab.start_receiver("real1", VIPS)


def without_vip(lab):
    lab.start_receiver("real1", VIPS)
    vips_on_lo(lab, "real1", "del")


def with_vip(lab):
    vips_on_lo(lab, "real1", "add")


@pytest.mark.parametrize("encap", ["ipip", "gue"])
@pytest.mark.parametrize("fail, mend", [(without_decapsulation, with_decapsulation),
                                        (without_vip, with_vip)])
def test_a_real_that_answers_but_cannot_take_clients_packets_is_found(make_lab, encap, fail, mend):
    lab = make_lab(reals=2)
    for host in lab.reals:
        lab.start_nginx(host)
    lab.start_receiver("real2", VIPS)
    fail(lab)
    daemon = lab.start_daemon(config(*both(lab.reals4, encap=encap), gue={"gue_port": 6080}))
    daemon.wait_states({lab.reals4[0]: "up", lab.reals4[1]: "up"}, vip="direct")
    daemon.wait_states({lab.reals4[0]: "down", lab.reals4[1]: "up"}, vip="tunnel")
    row = health_of(daemon, "tunnel", lab.reals4[0])
    assert (row["via"], row["last_result"]) == ("tunnel", SILENT)
    assert health_of(daemon, "direct", lab.reals4[0])["via"] == "direct"
    assert re.search(rf'real down vip=tunnel real={lab.reals4[0]} reason="{SILENT}"',
                     daemon.log_text())
    mend(lab)
    daemon.wait_states({lab.reals4[0]: "up", lab.reals4[1]: "up"}, vip="tunnel")
    vips_on_lo(lab, "real1", "del")
    daemon.wait_states({lab.reals4[0]: "down"}, vip="tunnel")
    assert daemon.reals("direct")[lab.reals4[0]]["state"] == "up"


def test_l2dsr_probes_go_to_the_reals_mac_and_find_a_missing_vip(make_lab):
    lab = make_lab(reals=2)
    for host in lab.reals:
        lab.start_nginx(host)
        lab.start_receiver(host, VIPS)
    vips_on_lo(lab, "real1", "del")
    daemon = lab.start_daemon(config(*both(lab.reals4, encap="l2dsr")))
    daemon.wait_states({lab.reals4[0]: "up", lab.reals4[1]: "up"}, vip="direct")
    daemon.wait_states({lab.reals4[0]: "down", lab.reals4[1]: "up"}, vip="tunnel")
    vips_on_lo(lab, "real1", "add")
    daemon.wait_states({lab.reals4[0]: "up"}, vip="tunnel")


# ---- every kind of probe, every encapsulation ----

PROBES = {
    "tcp": {"type": "tcp", "port": 80},
    "http": {"type": "http", "port": 80, "path": "/healthz"},
    "udp": {"type": "udp", "port": 5353, "send": "x", "expect": "real"},
    "icmp": {"type": "icmp"},
    "agent": {"type": "agent", "port": 7777},
    "https": {"type": "https", "port": 8443, "verify": False},
    "dns": {"type": "dns", "port": 53, "name": "www.example.org"},
    "grpc": {"type": "grpc", "port": 15001},
}


def start_servers(lab, host):
    """What PROBES ask, beside nginx."""
    says, certificate = lab.dir / "says", lab.dir / "certificate.pem"
    if not says.exists():
        says.write_text("up ready\n")
        lab.run(host, ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                       "-subj", "/CN=vip", "-out", certificate, "-keyout", f"{certificate}.key"])
    start_server(lab, host, "udp-echo", 5353)
    start_bad(lab, host, "agent", 7777, says)
    start_bad(lab, host, "slow", 8443, certificate, f"{certificate}.key")
    start_dnsmasq(lab, host)
    grpc = lab.popen(host, ["/usr/bin/python3", "-E", GRPC_SERVER, lab.dir / "unused", 15001, 15002],
                     stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert grpc.stdout.readline() == "ready\n"


def of_every_kind(lab, **keys):
    """A VIP for each kind of probe and combination of families."""
    made = []
    ways = [(VIP4, lab.reals4), (VIP6, lab.reals6), (MIXED4, lab.reals6), (MIXED6, lab.reals4)]
    probes = {kind: {**probe, **FAST, "timeout": "1s"} for kind, probe in PROBES.items()}
    probes["script"] = script(lab, interval="1s")
    for n, ((kind, probe), (address, reals)) in enumerate(itertools.product(probes.items(), ways)):
        made.append(vip(reals, f"{kind}-{n}", address, 1000 + n, ring=251,
                        health={**probe, "via": "tunnel"}, **keys))
    return made


@pytest.mark.limit_s(180)
@pytest.mark.parametrize("encap, gue, options", [
    ("ipip", {}, ()),
    ("ipip", {"source4": "10.99.0.0/16", "source6": "fd00:99::/64"}, ()),
    ("gue", {"gue_port": 4754, "gue_checksum6": "zero"}, ("--gue-port", 4754)),
    ("gue", {"gue_port": 4754, "gue_checksum6": "computed"}, ("--gue-port", 4754)),
    ("l2dsr", {}, ())])
def test_every_kind_of_probe_goes_through_every_encapsulation(make_lab, encap, gue, options):
    lab = make_lab(reals=2)
    for host in lab.reals:
        lab.start_nginx(host)
        lab.start_receiver(host, VIPS, *options)
        start_servers(lab, host)
    vips = of_every_kind(lab, encap=encap)
    daemon = lab.start_daemon(config(*vips, gue=gue))
    for each in vips:
        daemon.wait_states({real["address"]: "up" for real in each["reals"]}, vip=each["name"])
    if encap != "l2dsr":
        decapsulated = lab.receiver_status("real1")["counters"]["decapsulated"]
        assert decapsulated >= len(vips)
    counted = counters(daemon)
    assert counted["sent"] > 0 and counted["drop_no_room"] + counted["drop_too_big"] == 0
    # The other way round: without the VIP none of them says up.
    vips_on_lo(lab, "real1", "del")
    for each in vips:
        daemon.wait_states({each["reals"][0]["address"]: "down", each["reals"][1]["address"]: "up"},
                           vip=each["name"])


def test_there_is_a_row_for_every_type_that_probes():
    schema = (ROOT / "docs/configuration.md").read_text()
    types = set(re.findall(r"`(\w+)`", re.search(r"^\| `type` \|([^|]*)\|", schema, re.M)[1]))
    assert types - {"none"} == {*PROBES, "script"}


# ---- scripts ----


def test_a_script_finds_what_its_direct_twin_does_not(make_lab):
    lab = make_lab(reals=2)
    for host in lab.reals:
        lab.start_nginx(host)
    lab.start_receiver("real2", VIPS)
    without_decapsulation(lab)
    daemon = lab.start_daemon(config(*both(lab.reals4, script(lab))))
    daemon.wait_states({lab.reals4[0]: "up", lab.reals4[1]: "up"}, vip="direct")
    daemon.wait_states({lab.reals4[0]: "down", lab.reals4[1]: "up"}, vip="tunnel")
    assert health_of(daemon, "tunnel", lab.reals4[0])["last_result"] == "exit 28 through the tunnel"
    assert health_of(daemon, "tunnel", lab.reals4[1])["last_result"] == f"exit 0: real2 by {VIP4}"
    assert health_of(daemon, "direct", lab.reals4[1])["last_result"] == \
        f"exit 0: real2 by {lab.reals4[1]}"
    with_decapsulation(lab)
    daemon.wait_states({lab.reals4[0]: "up"}, vip="tunnel")
    assert health_of(daemon, "tunnel", lab.reals4[0])["last_result"] == f"exit 0: real1 by {VIP4}"


def test_more_scripts_than_may_run_at_once_reach_each_its_real(make_lab):
    lab = tunnel_lab(make_lab, reals=3)
    vips = [vip(lab.reals6 if n % 2 else lab.reals4, f"v{n}", VIP6 if n % 2 else VIP4, 1000 + n,
                health=script(lab, SCRIPT, "-m", "9", "-H", f"N: {n}", interval="3s", timeout="10s"))
            for n in range(20)]
    daemon = lab.start_daemon(config(*vips, health={"via": "tunnel"}))
    wait_for(lambda: sum(row["probes"] > 1 for row in daemon.ctl_json("health", "list")) == 60, 45,
             "each was probed twice")
    rows = daemon.ctl_json("health", "list")
    assert {row["last_ok"] for row in rows} == {True}
    assert {(row["address"], row["last_result"].split()[2]) for row in rows} == \
        {(a, f"real{n + 1}") for reals in (lab.reals4, lab.reals6) for n, a in enumerate(reals)}
    assert sum(row["failures"] for row in rows) == 0


@pytest.fixture
def own_cgroup():
    """A cgroup as systemd makes it for a service: its owner may write there without a capability."""
    here = cgroups_of_scripts("/x").with_name(new_name())
    here.mkdir()
    yield here
    wait_for(lambda: not (here / "cgroup.procs").read_text(), 15, "the cgroup is empty")
    here.rmdir()


def test_a_script_through_the_tunnel_needs_no_more_than_the_unit_has(own_cgroup, make_lab):
    lab = tunnel_lab(make_lab, reals=1)
    unit = (ROOT / "tools/xdplbd.service").read_text()
    assert re.search("^Delegate=yes$", unit, re.M)
    held = re.search(r"^CapabilityBoundingSet=(.*)$", unit, re.M)[1].lower().split()
    bounds = ",".join(["-all", *(f"+{name.removeprefix('cap_')}" for name in held)])
    daemon = lab.start_daemon(config(vip(lab.reals4, health=script(lab, via="tunnel"))),
                              wrapper=["sh", "-c", f'echo $$ >{own_cgroup}/cgroup.procs && exec "$@"',
                                       "-", "setpriv", "--bounding-set", bounds, "--no-new-privs"])
    up(daemon)
    assert (own_cgroup / cgroups_of_scripts(lab.bpffs / "xdplb").name).is_dir()
    assert daemon.stop() == 0


def test_what_a_script_sends_at_once_fits_with_the_outer_header(make_lab):
    lab = tunnel_lab(make_lab, reals=1, mtu=1500)
    long = script(lab, SCRIPT, "-H", "Long: " + "x" * 1356, via="tunnel")
    daemon = lab.start_daemon(config(vip(lab.reals4, health=long)))
    up(daemon)
    assert counters(daemon)["drop_too_big"] == 0


def test_a_script_that_sends_nothing_to_the_vip_says_nothing(make_lab):
    lab = tunnel_lab(make_lab, reals=1)
    aside = script(lab, SCRIPT.replace("$XDPLB_ADDRESS", "$XDPLB_REAL_ADDRESS"))
    rows = [("aside", aside, "not probed: nothing went through the tunnel"),
            ("idle", script(lab, "#!/bin/sh\nexit 1"), "not probed: nothing went through the tunnel"),
            ("gone", {**aside, "command": "/nonexistent/check"},
             "not probed: cannot run: No such file or directory")]
    daemon = lab.start_daemon(config(*(vip(lab.reals4, name, VIP4, port, health=probe)
                                       for port, (name, probe, _) in enumerate(rows, 80)),
                                     health={"via": "tunnel"}))
    for name, _, reason in rows:
        wait_for(lambda: health_of(daemon, name, lab.reals4[0])["last_result"] == reason, 15, name)
        assert health_of(daemon, name, lab.reals4[0])["probes"] == 0


@pytest.mark.parametrize("spoil, reason", [
    ("mount -o remount,bind,ro {cgroup}", "no cgroup for scripts: Read-only file system: "),
    ("umount {cgroup}", "no cgroup for scripts: none of version 2 is mounted")])
def test_without_a_cgroup_nothing_is_concluded(make_lab, spoil, reason):
    lab = tunnel_lab(make_lab)
    mount = cgroups_of_scripts("x").parent
    text = config(vip(lab.reals4, health=script(lab, via="tunnel", start="up")),
                  vip(lab.reals4, "http", VIP4, 81, health=CALM))
    daemon = lab.start_daemon(text, wrapper=["unshare", "--mount", "--propagation", "private", "sh",
                                             "-c", f'{spoil.format(cgroup=mount)} && exec "$@"',
                                             "-"])
    up(daemon, "http")
    wait_for(lambda: all((row["last_result"] or "").startswith(f"not probed: {reason}")
                         for row in daemon.ctl_json("health", "list", "web")), 15, reason)
    assert {r["state"] for r in daemon.reals("web").values()} == {"up"}
    assert "real down" not in daemon.log_text()
    assert daemon.log_text().count("no scripts through the data path") == 1


def test_cgroups_of_scripts_go_with_the_daemon_or_at_the_next_start(make_lab):
    lab = tunnel_lab(make_lab, reals=1)
    cgroups = cgroups_of_scripts(lab.bpffs / "xdplb")
    left = script(lab, "#!/bin/sh\nsetsid sleep 1000 >/dev/null 2>&1 &\nwait", via="tunnel")
    tunnel = config(vip(lab.reals4, health=script(lab, via="tunnel")))
    first = lab.start_daemon(tunnel)
    up(first)
    assert cgroups.is_dir()
    assert first.stop() == 0
    assert not cgroups.exists()
    second = lab.start_daemon(config(vip(lab.reals4, health=left)), state_dir=first.state_dir)
    wait_for(lambda: "sleep" in programs_in(cgroups), 15, "the script's child runs")
    lab.stop(second.process, sig=9)
    assert "sleep" in programs_in(cgroups)
    lab.start_daemon(config(vip(lab.reals4), health=HTTP), state_dir=first.state_dir)
    assert not cgroups.exists()


def programs_in(cgroups):
    """The names of programs that run in the cgroups of scripts."""
    names = []
    for procs in cgroups.glob("*/cgroup.procs"):
        for pid in procs.read_text().split():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has ended
                names.append(Path(f"/proc/{pid}/comm").read_text().strip())
    return names


# ---- prefixes ----

PREFIX4, FIRST4 = "192.0.2.64/26", "192.0.2.64"
PREFIX6, FIRST6 = "2001:db8::ff00/120", "2001:db8::ff00"


def test_a_vip_that_is_a_prefix_is_probed_at_its_first_address(make_lab):
    lab = make_lab(reals=2)
    for host in lab.reals:
        lab.start_nginx(host)
        lab.start_receiver(host, (FIRST4, FIRST6))
    probes = {"http": HTTP, "tcp": {"type": "tcp", "port": 80, **FAST}, "icmp": {"type": "icmp", **FAST},
              "script": script(lab)}
    vips = [vip(reals, f"{kind}{family}", address, port, health=probe)
            for family, reals, address in (("4", lab.reals4, PREFIX4), ("6", lab.reals6, PREFIX6))
            for port, (kind, probe) in enumerate(probes.items())]
    daemon = lab.start_daemon(config(*vips, health={"via": "tunnel"}))
    for each in vips:
        up(daemon, each["name"])
    assert {row[1] for row in lab.access_log("real1") if row[2] == "/healthz"} == \
        {FIRST4, FIRST6, "127.0.0.1"}
    vips_on_lo(lab, "real1", "del", (FIRST4, FIRST6))
    for each in vips:
        daemon.wait_states({each["reals"][0]["address"]: "down", each["reals"][1]["address"]: "up"},
                           vip=each["name"])


# ---- reload, restart, detach ----


def tunnel_lab(make_lab, reals=2, **options):
    lab = make_lab(reals=reals, **options)
    lab.start_reals()
    return lab


def up(daemon, name="web"):
    daemon.wait_states({a: "up" for a in daemon.reals(name)}, vip=name)


def test_the_filter_comes_with_the_first_probe_and_goes_with_the_last(make_lab):
    lab = tunnel_lab(make_lab)
    direct = config(vip(lab.reals4), health=HTTP)
    tunnel = config(vip(lab.reals4), vip(lab.reals6, "six", VIP6), health=CALM)
    daemon = lab.start_daemon(direct)
    up(daemon)
    assert filters(lab) == (0, False)
    for _ in range(2):
        daemon.write_config(tunnel)
        daemon.ctl_json("reload")
        wait_for(lambda: health_of(daemon, "web", lab.reals4[0])["last_result"] == "status 200"
                 and health_of(daemon, "web", lab.reals4[0])["via"] == "tunnel", 15, "probed anew")
        up(daemon, "six")
        assert filters(lab) == (1, True)
        assert daemon.reals("web")[lab.reals4[0]]["state"] == "up"
        daemon.write_config(direct)
        daemon.ctl_json("reload")
        assert filters(lab) == (0, False)
    assert "real down" not in daemon.log_text()


@pytest.mark.parametrize("before, meanwhile", [
    ("qdisc add dev eth0 clsact", None),
    (None, f"filter add dev eth0 ingress pref 7 {OTHERS_FILTER}"),
    (None, f"filter add dev eth0 egress pref 7 {OTHERS_FILTER}")])
def test_a_qdisc_that_others_made_or_use_stays(make_lab, before, meanwhile):
    lab = tunnel_lab(make_lab, reals=1)
    if before:
        lab.run("balancer", f"tc {before}")
    daemon = lab.start_daemon(config(vip(lab.reals4), health=TUNNEL))
    up(daemon)
    if meanwhile:
        lab.run("balancer", f"tc {meanwhile}")
    assert filters(lab) == (1, True)
    assert daemon.ctl("detach")[0] == 0
    assert filters(lab) == (0, True)
    shown = lab.run("balancer", "tc filter show dev eth0 ingress; tc filter show dev eth0 egress")
    assert ("bytecode" in shown.stdout) == bool(meanwhile)


def test_detach_leaves_no_filter_qdisc_or_pin(make_lab):
    lab = tunnel_lab(make_lab)
    daemon = lab.start_daemon(config(vip(lab.reals4), health=TUNNEL))
    up(daemon)
    assert daemon.ctl("detach")[0] == 0
    assert filters(lab) == (0, False)
    assert not (lab.bpffs / "xdplb").exists()


def test_a_restart_goes_on_with_the_filter_and_no_real_goes_down(make_lab):
    lab = tunnel_lab(make_lab)
    text = config(vip(lab.reals4), health=CALM)
    first = lab.start_daemon(text)
    up(first)
    lab.stop(first.process, sig=9)
    assert filters(lab) == (1, True)
    second = lab.start_daemon(text, state_dir=first.state_dir)
    wait_for(lambda: all(row["last_result"] == "status 200" and row["probes"] > 3
                         for row in second.ctl_json("health", "list")), 15, "probed again")
    assert filters(lab) == (1, True)
    assert "real down" not in second.log_text()
    assert counters(second)["sent"] > 0
    # Started without such probes, and not told to remove anything: the filter is found and goes.
    lab.stop(second.process)
    third = lab.start_daemon(config(vip(lab.reals4), health=HTTP), state_dir=first.state_dir)
    up(third)
    assert filters(lab) == (0, False)


def test_detach_without_a_daemon_removes_the_filter(make_lab):
    lab = tunnel_lab(make_lab)
    daemon = lab.start_daemon(config(vip(lab.reals4), health=TUNNEL))
    up(daemon)
    lab.stop(daemon.process, sig=9)
    lab.run("balancer", [BUILD / "xdplbd", "--config", daemon.config, "--detach"])
    assert filters(lab) == (0, False)
    assert not (lab.bpffs / "xdplb").exists()


def test_a_reload_in_mid_probe_goes_on_without_a_false_result(make_lab):
    lab = tunnel_lab(make_lab)
    start_server(lab, "real1", "silent", 9000)
    start_server(lab, "real2", "silent", 9000)
    slow = {**TUNNEL, "port": 9000, "timeout": "5s", "interval": "100ms"}
    daemon = lab.start_daemon(config(vip(lab.reals4), health=CALM))
    up(daemon)
    for n in range(6):
        # Under way on a server that never answers, then ended by the next reload.
        daemon.write_config(config(vip(lab.reals4, encap=("gue", "ipip")[n % 2], health=slow)))
        daemon.ctl_json("reload")
        wait_for(lambda: all(row["next_in_ms"] == 0 and row["port"] == 9000
                             for row in daemon.ctl_json("health", "list")), 15, "probes under way")
        daemon.write_config(config(vip(lab.reals4), health=CALM))
        daemon.ctl_json("reload")
    wait_for(lambda: all(row["last_result"] == "status 200"
                         for row in daemon.ctl_json("health", "list")), 15, "probed again")
    assert "real down" not in daemon.log_text()
    assert daemon.process.poll() is None and filters(lab) == (1, True)


def test_other_outer_sources_are_used_after_a_reload(make_lab):
    lab = tunnel_lab(make_lab, reals=1)
    daemon = lab.start_daemon(config(vip(lab.reals4), health=TUNNEL))
    up(daemon)
    lab.run("real1", "nft add table inet seen; nft 'add chain inet seen in "
            "{ type filter hook prerouting priority -400; }'")
    lab.stop_receiver("real1")
    lab.run("real1", "nft 'add rule inet seen in ip protocol 4 ip saddr 10.1.0.77 counter'")
    daemon.write_config(config(vip(lab.reals4), health=TUNNEL, gue={"source4": "10.1.0.77"}))
    daemon.ctl_json("reload")
    wait_for(lambda: not re.search("packets 0 ", lab.run("real1", "nft list table inet seen").stdout),
             15, "packets from the new source")


# ---- the balancer's own shortcomings ----


def test_without_a_way_to_the_vip_nothing_is_concluded(make_lab):
    lab = tunnel_lab(make_lab)
    daemon = lab.start_daemon(config(vip(lab.reals4), health=CALM))
    up(daemon)
    for away, back in (("ip route del default", "ip route add default via 10.1.0.254"),
                       (f"ip addr add {VIP4} dev lo", f"ip addr del {VIP4} dev lo"),
                       (f"ip route add {VIP4} dev eth0", f"ip route del {VIP4} dev eth0")):
        lab.run("balancer", away)
        wait_for(lambda: all(row["last_result"].startswith("not probed: no way to the VIP")
                             for row in daemon.ctl_json("health", "list")), 15, away)
        assert {r["state"] for r in daemon.reals("web").values()} == {"up"}
        lab.run("balancer", back)
        wait_for(lambda: all(row["last_result"] == "status 200"
                             for row in daemon.ctl_json("health", "list")), 15, back)
    assert "real down" not in daemon.log_text()
    assert daemon.log_text().count("no probes through the data path") == 3
    # As the operator is told to: any MAC will do for what never gets there.
    lab.run("balancer", f"ip route add {VIP4} dev eth0; "
            f"ip neigh replace {VIP4} lladdr 02:00:00:00:00:99 dev eth0 nud permanent")
    wait_for_probes(daemon, "permanent neighbour")


def test_a_real_that_nobody_finds_is_down(make_lab):
    lab = tunnel_lab(make_lab, reals=1)
    daemon = lab.start_daemon(config(vip(["10.1.0.99", *lab.reals4]), health=TUNNEL))
    daemon.wait_states({"10.1.0.99": "down", lab.reals4[0]: "up"}, vip="web")
    assert health_of(daemon, "web", "10.1.0.99")["last_result"] == \
        "no next hop to the real through the tunnel"


def test_the_filter_follows_the_route_to_the_vip(make_lab):
    lab = tunnel_lab(make_lab, balancer_links=2)
    lab.run("balancer", "for i in all eth0 eth1; do sysctl -qw net.ipv4.conf.$i.rp_filter=2; done")
    daemon = lab.start_daemon(config(vip(lab.reals4), interfaces=("eth0",), health=TUNNEL))
    up(daemon)
    assert (filters(lab), filters(lab, "eth1")) == ((1, True), (0, False))
    lab.run("balancer", "ip route replace default via 10.2.0.254")
    wait_for(lambda: (filters(lab), filters(lab, "eth1")) == ((0, False), (1, True)), 15,
             "the filter is on the other interface")
    wait_for_probes(daemon, "probed by the other interface")
    assert daemon.ctl("detach")[0] == 0
    assert (filters(lab), filters(lab, "eth1")) == ((0, False), (0, False))


def test_strict_rp_filter_is_warned_of(make_lab):
    """The probe's source is on the reals' segment: they answer there, the route to the VIP does not leave there."""
    lab = tunnel_lab(make_lab, balancer_links=2)
    lab.run("balancer", "for i in all eth0 eth1; do sysctl -qw net.ipv4.conf.$i.rp_filter=1; done")
    daemon = lab.start_daemon(config(vip(lab.reals4), interfaces=("eth0",),
                                     health={**TUNNEL, "source": "10.2.0.10"}))
    daemon.wait_states({a: "down" for a in lab.reals4}, vip="web")
    assert health_of(daemon, "web", lab.reals4[0])["last_result"] == SILENT
    warnings = re.findall(r'if they come in here .*reason=rp_filter fix="(.*)"', daemon.log_text())
    assert len(warnings) == 1
    lab.run("balancer", "sysctl -qw net.ipv4.conf.all.rp_filter=0; " + warnings[0])
    up(daemon)


def test_a_probe_comes_from_the_source_that_is_set(make_lab):
    lab = tunnel_lab(make_lab, reals=1)
    lab.run("balancer", "ip addr add 10.1.0.77/24 dev eth0")
    daemon = lab.start_daemon(config(vip(lab.reals4), health={**TUNNEL, "source": "10.1.0.77"}))
    up(daemon)
    assert {line[0] for line in lab.access_log("real1") if line[1] == VIP4} == {"10.1.0.77"}


def test_clients_are_balanced_while_the_filter_is_there(make_lab):
    lab = tunnel_lab(make_lab)
    daemon = lab.start_daemon(config(vip(lab.reals4), vip(lab.reals6, "six", VIP6), health=TUNNEL))
    up(daemon)
    up(daemon, "six")
    assert answers(lab) == answers(lab, VIP6) == set(lab.reals)
    stats = daemon.ctl_json("stats", "show")
    assert {k: v for k, v in stats.items() if k.startswith("drop_") and v} == {}
