# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""xdplb-receiver on a real: hand-made tunnel packets in, the real's own answers out."""

import socket
import subprocess

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6NDOptSrcLLAddr, IPv6
from scapy.layers.l2 import ARP, Ether

from lab import BUILD
from receiver_lab import (BALANCER4, BALANCER6, CLIENT4, CLIENT6, GATEWAY4, GATEWAY6, GATEWAY_MAC,
                          PORT, REAL4, REAL6, REAL_MAC, VIP4, VIP6, answer_to_syn, await_frame,
                          tunnel)

LATER4 = "192.0.2.11"
QUIET_S = 0.3  # how long nothing must come where nothing should

COMBINATIONS = [(outer, inner) for outer in (4, 6) for inner in (4, 6)]


# ---- Traffic ---------------------------------------------------------------------------------


@pytest.mark.parametrize("outer,inner", COMBINATIONS)
def test_a_syn_in_a_tunnel_is_answered_by_the_vip_straight_to_the_client(real, outer, inner):
    vip, client, layer = (VIP4, CLIENT4, IP) if inner == 4 else (VIP6, CLIENT6, IPv6)
    real.up()
    real.server(vip)
    answer = answer_to_syn(real.wire(), outer, inner)
    assert answer is not None
    assert (answer[layer].src, answer[layer].dst) == (vip, client)
    # Room for the larger tunnel header beside 1500 bytes: 48, and the inner headers.
    assert dict(answer[TCP].options)["MSS"] == (1412 if inner == 4 else 1392)
    assert real.counter("decapsulated") == 1


@pytest.mark.parametrize("mode", ["native", "generic"])
@pytest.mark.parametrize("outer,inner", COMBINATIONS)
def test_a_datagram_in_a_tunnel_reaches_the_server_with_the_clients_address(real, outer, inner,
                                                                            mode):
    vip, client, layer = (VIP4, CLIENT4, IP) if inner == 4 else (VIP6, CLIENT6, IPv6)
    real.up("--mode", mode)
    server = real.server(vip, socket.SOCK_DGRAM)
    wire = real.wire()
    wire.send(tunnel(outer, inner, UDP(sport=4321, dport=PORT) / b"question"))
    data, peer = server.recvfrom(100)
    assert (data, peer[:2]) == (b"question", (client, 4321))
    server.sendto(b"answer", peer)
    answer = await_frame(wire, lambda f: UDP in f and f[UDP].dport == 4321)
    assert (answer[layer].src, answer[layer].dst, bytes(answer[UDP].payload)) == \
        (vip, client, b"answer")


def test_a_forged_balancer_is_dropped_and_counted_and_a_listed_one_is_served(real):
    real.up("--from", "10.0.9.0/24", "--from", BALANCER6)
    real.server(VIP4)
    wire = real.wire()
    assert answer_to_syn(wire, 4, 4, QUIET_S, source="10.0.8.1") is None
    assert answer_to_syn(wire, 6, 4, QUIET_S, source="2001:db8:9::2") is None
    assert real.counter("drop_not_a_balancer") == 2
    assert answer_to_syn(wire, 4, 4, source="10.0.9.77") is not None
    assert answer_to_syn(wire, 6, 4) is not None


def test_without_the_receiver_nothing_answers(real):
    real.sh(f"ip addr add {VIP4}/32 dev lo")
    real.server(VIP4)
    assert answer_to_syn(real.wire(), 4, 4, QUIET_S) is None


def test_strict_rp_filter_does_not_stop_clients_whose_way_back_is_another_interface(real):
    real.sh(f"""
        ip link add out type veth peer name out-peer; ip link set out up; ip link set out-peer up
        ip addr add 10.0.2.2/24 dev out; ip route replace default via 10.0.2.1 metric 50
        sysctl -qw net.ipv4.conf.{real.interface}.rp_filter=1""")
    assert f"net.ipv4.conf.{real.interface}.rp_filter=2" in real.up("--no-advmss")
    server = real.server(VIP4, socket.SOCK_DGRAM)
    real.wire().send(tunnel(4, 4, UDP(sport=4321, dport=PORT) / b"question"))
    assert server.recv(100) == b"question"
    assert real.receiver("down").returncode == 0
    assert real.sh(f"sysctl -n net.ipv4.conf.{real.interface}.rp_filter") == "1\n"


def test_nobody_on_the_wire_learns_that_the_real_has_the_vip(real):
    real.up()
    wire = real.wire()

    def asks4(address, deadline):
        wire.send(bytes(Ether(src=GATEWAY_MAC, dst="ff:ff:ff:ff:ff:ff") /
                        ARP(op=1, hwsrc=GATEWAY_MAC, psrc=GATEWAY4, pdst=address)))
        return await_frame(wire, lambda f: ARP in f and f[ARP].op == 2, deadline)

    def asks6(address, deadline):
        wire.send(bytes(Ether(src=GATEWAY_MAC, dst=REAL_MAC) / IPv6(src=GATEWAY6, dst=address) /
                        ICMPv6ND_NS(tgt=address) / ICMPv6NDOptSrcLLAddr(lladdr=GATEWAY_MAC)))
        return await_frame(wire, lambda f: ICMPv6ND_NA in f, deadline)

    assert asks4(REAL4, 10) is not None and asks4(VIP4, QUIET_S) is None
    assert asks6(REAL6, 10) is not None and asks6(VIP6, QUIET_S) is None


def test_the_real_asks_for_its_gateway_with_an_address_of_its_own(real):
    real.up()
    server = real.server(VIP4, socket.SOCK_DGRAM)
    wire = real.wire()
    real.sh(f"ip neigh del {GATEWAY4} dev {real.interface}")
    wire.send(tunnel(4, 4, UDP(sport=4321, dport=PORT) / b"question"))
    server.sendto(b"answer", server.recvfrom(100)[1])
    request = await_frame(wire, lambda f: ARP in f and f[ARP].pdst == GATEWAY4)
    assert request[ARP].psrc == REAL4


def test_the_hosts_own_connections_do_not_come_from_a_vip(real):
    real.up()
    # Without addresses on the way out the kernel looks for one elsewhere; it must not be a VIP.
    real.sh(f"ip addr flush dev {real.interface} scope global; "
            f"ip route add 198.51.100.0/24 dev {real.interface}")
    assert VIP4 not in real.run("ip", "route", "get", CLIENT4).stdout
    # The VIP has more bits in common with the destination, which decides between two good ones.
    real.sh(f"""
        ip link add out type veth peer name out-peer; ip link set out up; ip link set out-peer up
        ip addr add 2001:db8:2::2/64 dev out nodad
        ip -6 route add 2001:db8:c::/64 dev {real.interface}""")
    assert "src 2001:db8:2::2" in real.run("ip", "-6", "route", "get", CLIENT6).stdout


# ---- up, down, status ------------------------------------------------------------------------


def test_up_again_changes_nothing_and_says_nothing(real):
    first = real.up("--from", BALANCER4)
    before, prog_id = real.host_state(), real.status()["prog_id"]
    assert "ip address add 192.0.2.10/32 dev lo scope host" in first
    assert real.up() == ""
    assert (real.host_state(), real.status()["prog_id"]) == (before, prog_id)
    assert real.status()["from"] == [BALANCER4]


def test_a_vip_added_later_joins_the_others_and_counters_go_on(real):
    real.up(vips=[VIP6])
    real.server(VIP6)
    wire = real.wire()
    assert answer_to_syn(wire, 4, 6) is not None
    assert f"ip address add {VIP4}/32 dev lo scope host" in real.up(vips=[VIP4])
    real.server(VIP4)
    assert answer_to_syn(wire, 4, 4) is not None
    assert real.counter("decapsulated") == 2
    assert [v["address"] for v in real.status()["vips"]] == [VIP6, VIP4]


def test_up_again_takes_a_new_from_list_and_a_new_address_of_the_interface(real):
    real.up("--from", "10.0.8.0/24")
    real.server(VIP4)
    wire = real.wire()
    assert answer_to_syn(wire, 4, 4, QUIET_S) is None
    real.up("--from", "10.0.9.0/24")
    assert answer_to_syn(wire, 4, 4, source="10.0.8.1", deadline=QUIET_S) is None
    assert answer_to_syn(wire, 4, 4) is not None
    real.sh(f"ip addr add 10.0.1.3/24 dev {real.interface}")
    done = real.receiver("status")
    assert done.returncode == 1 and "addresses of" in done.stderr
    assert "10.0.1.3" in real.up()
    assert real.receiver("status").returncode == 0


def test_the_mode_can_be_changed(real):
    real.up("--mode", "native")
    assert "(generic)" in real.up("--mode", "generic")
    assert "xdpgeneric" in real.sh(f"ip link show {real.interface}")
    assert real.up() == ""
    real.server(VIP4)
    assert answer_to_syn(real.wire(), 4, 4) is not None


@pytest.mark.parametrize("args", [[], ["--mode", "generic"], ["--no-advmss"]])
def test_down_restores_everything(real, args):
    real.sh(f"""
        sysctl -qw net.ipv4.conf.all.rp_filter=1; ip link set lo up
        ip route replace default via {GATEWAY4} metric 50 initcwnd 20 advmss 1460
        ip route add default via {GATEWAY4} metric 60 proto static
        ip -6 route add default metric 70 nexthop via {GATEWAY6} nexthop via 2001:db8:1::9""")
    before = real.host_state()
    real.up(*args)
    up = real.host_state()
    assert up != before and ("advmss 1412" in up) == ("--no-advmss" not in args)
    assert up.count("initcwnd 20") == before.count("initcwnd 20")
    real.up(vips=[LATER4])
    done = real.receiver("down")
    assert done.returncode == 0, done.stderr
    assert real.host_state() == before
    assert not list(real.bpffs.iterdir()) and not list(real.state_dir.glob("*.json"))
    again = real.receiver("down")
    assert again.returncode == 0 and "nothing to undo" in again.stdout


def test_down_leaves_what_was_so_before_or_was_changed_since(real):
    real.sh(f"ip addr add {VIP4}/32 dev lo; sysctl -qw net.ipv4.conf.all.arp_ignore=2")
    out = real.up()
    assert VIP4 + "/32" not in out and "arp_ignore" not in out
    real.sh("sysctl -qw net.ipv4.conf.all.arp_announce=1")
    assert real.receiver("down").returncode == 0
    assert VIP4 in real.sh("ip addr show lo")
    assert real.sh("sysctl -n net.ipv4.conf.all.arp_ignore net.ipv4.conf.all.arp_announce") == \
        "2\n1\n"


def test_lo_is_brought_up_where_it_was_down(real):
    real.sh("ip link set lo down")
    assert "ip link set lo up" in real.up()
    real.server(VIP4)
    assert answer_to_syn(real.wire(), 4, 4) is not None
    assert real.receiver("down").returncode == 0
    assert "state DOWN" in real.sh("ip link show lo")


def test_a_wide_link_needs_no_smaller_segments(real):
    real.sh(f"ip link set {real.interface} mtu 1600")
    assert "advmss" not in real.up()


def test_two_interfaces_share_the_host_until_the_last_goes_down(real):
    real.sh("ip link add w0 type veth peer name w1; ip link set w0 up; ip link set w1 up")
    before = real.host_state()
    real.up()
    real.up(interface="w0")
    assert real.receiver("down").returncode == 0
    assert real.receiver("status", interface="w0").returncode == 0
    assert VIP4 in real.sh("ip addr show lo")
    assert real.receiver("down", interface="w0").returncode == 0
    assert real.host_state() == before


def test_an_interface_with_a_dot_in_its_name(make_real):
    real = make_real(interface="v0.100")
    real.up()
    assert (real.bpffs / "v0:100" / "link").exists()
    assert real.status()["attached"]
    assert real.receiver("down").returncode == 0


def test_a_deleted_and_remade_interface_is_served_again_after_up(real):
    real.up()
    real.sh(f"ip link del {real.interface}")
    done = real.receiver("status")
    assert done.returncode == 1 and "not attached" in done.stderr
    real.add_link(real.interface)
    real.up()
    real.sh(f"ip route add default via {GATEWAY4}")
    real.server(VIP4)
    assert answer_to_syn(real.wire(), 4, 4) is not None


def test_down_works_when_the_interface_is_gone(real):
    real.up()
    real.sh(f"ip link del {real.interface}")
    done = real.receiver("down")
    assert done.returncode == 0, done.stderr
    assert VIP4 not in real.sh("ip addr show lo")


@pytest.mark.parametrize("damage,named", [
    (f"ip addr del {VIP4}/32 dev lo", f"ip address add {VIP4}/32 dev lo"),
    ("sysctl -qw net.ipv4.conf.all.arp_ignore=0", "sysctl -w net.ipv4.conf.all.arp_ignore=1"),
    ("sysctl -qw net.ipv4.conf.all.rp_filter=1", "rp_filter=2"),
    (f"ip route replace default via {GATEWAY4} metric 50", "advmss 1412"),
])
def test_status_names_what_is_missing_and_up_mends_it(real, damage, named):
    real.up()
    assert real.receiver("status").returncode == 0
    real.sh(damage)
    done = real.receiver("status")
    assert done.returncode == 1 and named in done.stderr
    assert named in real.up()
    assert real.receiver("status").returncode == 0


def test_status_shows_everything_in_both_forms(real):
    real.up("--from", "10.0.9.0/24")
    status = real.status()
    assert status["interface"] == real.interface and status["mode"] == "native"
    assert status["vips"] == [{"address": VIP4, "on_lo": True}, {"address": VIP6, "on_lo": True}]
    assert status["from"] == ["10.0.9.0/24"] and status["missing"] == []
    text = real.receiver("status").stdout
    for word in (real.interface, f"id {status['prog_id']}", VIP6, "10.0.9.0/24",
                 *status["counters"]):
        assert word in text


def test_status_where_up_never_ran_fails_and_says_so(real):
    done = real.receiver("status")
    assert done.returncode == 1 and f"not up on {real.interface}" in done.stderr


# ---- Nothing half done -----------------------------------------------------------------------


@pytest.mark.parametrize("is_root", [True, False])
def test_a_dry_run_prints_all_and_changes_nothing(real, is_root):
    before = real.host_state()
    run = real.receiver if is_root else lambda *args: real.as_nobody(
        *args, "--interface", real.interface, "--state-dir", real.state_dir, "--bpffs", real.bpffs)
    done = run("up", "--vip", VIP4, "--dry-run")
    assert done.returncode == 0, done.stderr
    assert real.host_state() == before
    assert not real.state_dir.exists() and not real.bpffs.exists()
    assert done.stdout == real.up(vips=[VIP4])  # and that is what it does
    up = real.host_state()
    dry = real.receiver("down", "--dry-run").stdout
    assert real.host_state() == up
    assert dry == real.receiver("down").stdout


def test_what_a_dry_run_prints_is_a_script_for_the_host(real):
    script = real.up("--dry-run", vips=[VIP4])
    real.sh(script)
    assert real.up("--dry-run", vips=[VIP4]).startswith("# attach")


def test_a_step_that_fails_undoes_the_ones_before_it(real):
    # A macvlan has no native XDP, so the last step fails.
    real.sh(f"ip link add link {real.interface} name mv type macvlan; ip link set mv up")
    before = real.host_state()
    done = real.receiver("up", "--vip", VIP4, interface="mv")
    assert done.returncode == 1 and "--mode generic" in done.stderr
    assert f"ip address del {VIP4}/32 dev lo   # undone" in done.stdout
    assert real.host_state() == before
    assert not list(real.bpffs.iterdir()) and not list(real.state_dir.glob("*.json"))
    real.up("--mode", "generic", interface="mv", vips=[VIP4])


def test_a_failing_second_up_leaves_the_first_as_it_was(real):
    real.up(vips=[VIP4])
    real.sh("sysctl -qw net.ipv6.conf.lo.disable_ipv6=1")
    before = real.host_state()
    done = real.receiver("up", "--vip", LATER4, "--vip", VIP6)
    assert done.returncode == 1 and "disable_ipv6=0" in done.stderr
    assert real.host_state() == before
    assert [v["address"] for v in real.status()["vips"]] == [VIP4]


def test_an_interface_that_runs_another_xdp_program_is_refused_with_its_id(real):
    real.up(instance="-other")
    prog_id = real.status(instance="-other")["prog_id"]
    before = real.host_state()
    done = real.receiver("up", "--vip", VIP4)
    assert done.returncode == 1 and f"id {prog_id}" in done.stderr
    assert real.host_state() == before


def test_an_interface_that_does_not_exist_is_refused(real):
    done = real.receiver("up", "--vip", VIP4, interface="nope0")
    assert done.returncode == 1 and "no interface nope0" in done.stderr


def test_a_vip_on_the_interface_itself_is_refused(real):
    done = real.receiver("up", "--vip", REAL4)
    assert done.returncode == 1 and f"ip address del {REAL4}" in done.stderr


def test_without_root_up_says_so(real):
    done = real.as_nobody("up", "--interface", real.interface, "--vip", VIP4)
    assert done.returncode == 1 and "needs root" in done.stderr


@pytest.mark.parametrize("args,named", [
    ([], "command"),
    (["sideways"], "sideways"),
    (["up", "--vip", VIP4], "--interface"),
    (["up", "--interface", "v0"], "--vip"),
    (["up", "--interface", "v0", "--vip", "10.0.0.300"], "10.0.0.300"),
    (["up", "--interface", "v0", "--vip", "127.0.0.1"], "127.0.0.1"),
    (["up", "--interface", "v0", "--vip", "fe80::1"], "fe80::1"),
    (["up", "--interface", "../x", "--vip", VIP4], "../x"),
    (["up", "--interface", "lo", "--vip", VIP4], "lo has the VIPs"),
    (["up", "--interface", "v0", "--vip", VIP4, "--from", "10.0.9.1/24"], "10.0.9.1/24"),
    (["up", "--interface", "v0", "--vip", VIP4, "--from", "10.0.9.0/33"], "10.0.9.0/33"),
    (["up", "--interface", "v0", "--vip", VIP4, "--mode", "offload"], "offload"),
    (["up", "--interface", "v0", "--vip", VIP4, "--gue-port", "0"], "from 1 to 65535 or off"),
    (["up", "--interface", "v0", "--vip", VIP4, "--gue-port", "65536"], "65536"),
    (["up", "--interface", "v0", "--vip", VIP4, "--gue-port", "80x"], "80x"),
    (["up", "--interface", "v0", "--vip"], "--vip"),
    (["down", "--interface", "v0", "--vip", VIP4], "--vip"),
    (["status", "--what"], "--what"),
])
def test_wrong_usage_ends_2_and_names_what_is_wrong(args, named):
    done = subprocess.run([BUILD / "xdplb-receiver", *args], capture_output=True, text=True,
                          timeout=20, check=False)
    assert done.returncode == 2 and named in done.stderr and done.stdout == ""


@pytest.mark.parametrize("args", [["--help"], ["-h"], ["up", "--help"], ["down", "-h"],
                                  ["status", "--help"]])
def test_help_has_an_example(args):
    done = subprocess.run([BUILD / "xdplb-receiver", *args], capture_output=True, text=True,
                          timeout=20, check=False)
    assert done.returncode == 0 and "Example:" in done.stdout


def test_version():
    done = subprocess.run([BUILD / "xdplb-receiver", "--version"], capture_output=True, text=True,
                          timeout=20, check=False)
    assert done.returncode == 0 and done.stdout.startswith("xdplb-receiver ")
