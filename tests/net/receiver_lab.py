# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Two namespaces for the receiver's tests: "b" sends hand-made tunnel packets, "r" is the real.

The servers are sockets of the test's process, made inside the real's namespace: the kernel answers
a SYN for a listening socket, so no process has to run there.
"""

import itertools
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import time

from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether

from lab import BUILD, inside, new_name, wait_for

VIP4, VIP6 = "192.0.2.10", "2001:db8:f::10"
REAL4, REAL6 = "10.0.1.2", "2001:db8:1::2"
GATEWAY4, GATEWAY6 = "10.0.1.1", "2001:db8:1::1"
BALANCER4, BALANCER6 = "10.0.9.1", "2001:db8:9::1"
CLIENT4, CLIENT6 = "198.51.100.9", "2001:db8:c::9"
REAL_MAC, GATEWAY_MAC = "02:00:00:00:01:02", "02:00:00:00:01:01"
PORT = 80


class Real:
    """A real and its balancer's end of the wire; everything is gone after down()."""

    def __init__(self, interface="v0"):
        self.name = new_name()
        self.interface = interface
        self.state_dir = pathlib.Path("/tmp") / self.name
        self.bpffs = pathlib.Path("/sys/fs/bpf") / self.name
        self._sockets = []
        for host in "rb":
            subprocess.run(["ip", "netns", "add", f"{self.name}-{host}"], check=True)
        for setting in ("all", "default"):
            self.sh(f"sysctl -qw net.ipv4.conf.{setting}.rp_filter=0 "
                    f"net.ipv6.conf.{setting}.accept_dad=0")
        self.sh("ip link set lo up")
        self.add_link(interface)
        self.sh(f"ip route add default via {GATEWAY4} metric 50")
        self.sh(f"ip -6 route add default via {GATEWAY6} metric 50")

    def add_link(self, interface):
        """The veth with the real's addresses; the gateway is a permanent neighbour."""
        self.sh(f"ip link add {interface} address {REAL_MAC} type veth peer name wire "
                f"address {GATEWAY_MAC} netns {self.name}-b")
        # Quiet: no answers of the balancer's side, no router solicitations.
        self.sh("sysctl -qw net.ipv6.conf.wire.disable_ipv6=1; ip link set wire up", host="b")
        self.sh(f"""
            ip addr add {REAL4}/24 dev {interface}; ip link set {interface} up
            ip -6 addr add {REAL6}/64 dev {interface} nodad
            ip neigh replace {GATEWAY4} lladdr {GATEWAY_MAC} dev {interface} nud permanent
            ip neigh replace {GATEWAY6} lladdr {GATEWAY_MAC} dev {interface} nud permanent""")

    def run(self, *argv, host="r", **kwargs):
        return subprocess.run(["nsenter", f"--net=/run/netns/{self.name}-{host}", *map(str, argv)],
                              capture_output=True, text=True, timeout=20, check=False, **kwargs)

    def sh(self, line, host="r"):
        done = self.run("sh", "-ec", line, host=host)
        assert done.returncode == 0, f"{line}: {done.stderr}"
        return done.stdout

    def receiver(self, command, *args, interface=None, instance="", **kwargs):
        """Runs xdplb-receiver; another instance has a state and pins of its own."""
        return self.run(BUILD / "xdplb-receiver", command, "--interface",
                        interface or self.interface, "--state-dir", f"{self.state_dir}{instance}",
                        "--bpffs", f"{self.bpffs}{instance}", *args, **kwargs)

    def as_nobody(self, *args):
        """Runs a copy of xdplb-receiver, where everybody can reach it, without any privilege."""
        binary = shutil.copy(BUILD / "xdplb-receiver", f"/tmp/{self.name}.bin")
        try:
            return self.run("setpriv", "--reuid=65534", "--clear-groups", binary, *args)
        finally:
            os.unlink(binary)

    def up(self, *args, vips=(VIP4, VIP6), **kwargs):
        """Runs `up`, which must succeed; returns what it printed."""
        done = self.receiver("up", *(w for vip in vips for w in ("--vip", vip)), *args, **kwargs)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def status(self, **kwargs):
        done = self.receiver("status", "-j", **kwargs)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)["interfaces"][0]

    def counter(self, name):
        return self.status()["counters"][name]

    def has_settled(self):
        """Whether every link that is up has its link-local address, checked for duplicates."""
        addresses = self.sh("ip -o -6 addr show scope link")
        links = re.findall(r"^\d+: ([^:@\s]+)\S* <[^>]*LOWER_UP", self.sh("ip -o link"), re.M)
        return "tentative" not in addresses and \
            all(re.search(rf"\s{link}\s", addresses) for link in links if link != "lo")

    def host_state(self):
        """All that `up` could touch, once the kernel has nothing more to add by itself."""
        wait_for(self.has_settled, 15, "the links' own addresses are there")
        return self.sh("""
            ip -o addr show | sed 's/valid_lft [0-9]*sec.*//'; ip link show lo | head -1
            ip route show table all; ip -6 route show table all
            sysctl -a 2>/dev/null -r 'net.ipv[46].conf' | sort
            ip -d link | grep -o 'xdp.*' || true""")

    def inside(self, host):
        """A context in which this thread's new sockets are a host's."""
        return inside(f"{self.name}-{host}")

    def server(self, vip, kind=socket.SOCK_STREAM):
        """A socket of the real bound to the VIP; listening if TCP."""
        with self.inside("r"):
            s = socket.socket(socket.AF_INET6 if ":" in vip else socket.AF_INET, kind)
        self._sockets.append(s)
        s.settimeout(10)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind((vip, PORT))
        if kind == socket.SOCK_STREAM:
            s.listen()
        return s

    def wire(self):
        """A socket on the balancer's end of the wire."""
        with self.inside("b"):
            s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self._sockets.append(s)
        s.bind(("wire", 0))
        return s

    def down(self):
        for s in self._sockets:
            s.close()
        # Pins go first: a link keeps its program on a device that is being deleted.
        for path in pathlib.Path("/sys/fs/bpf").glob(f"{self.name}*"):
            shutil.rmtree(path)
        for path in pathlib.Path("/tmp").glob(f"{self.name}*"):
            shutil.rmtree(path)
        for host in "rb":
            subprocess.run(["ip", "netns", "del", f"{self.name}-{host}"], check=False)


def tunnel(outer, inner, payload, source=None, udp=None):
    """A frame from the balancer: a client's packet to the VIP in a tunnel to the real.

    With udp, a UDP header, it is GUE."""
    inside = (IP(src=CLIENT4, dst=VIP4) if inner == 4 else IPv6(src=CLIENT6, dst=VIP6)) / payload
    protocol = 17 if udp else 4 if inner == 4 else 41
    if outer == 4:
        header = IP(src=source or BALANCER4, dst=REAL4, proto=protocol)
    else:
        header = IPv6(src=source or BALANCER6, dst=REAL6, nh=protocol)
    if udp:
        header /= udp
    return bytes(Ether(src=GATEWAY_MAC, dst=REAL_MAC) / header / inside)


def await_frame(wire, matches, deadline=10):
    """The first frame from the real for which matches(frame) is true, or None."""
    end = time.monotonic() + deadline
    while (left := end - time.monotonic()) > 0:
        wire.settimeout(left)
        try:
            frame = Ether(wire.recv(4096))
        except socket.timeout:
            break
        if frame.src == REAL_MAC and matches(frame):
            return frame
    return None


_ports = itertools.count(4321)


def answer_to_syn(wire, outer, inner, deadline=10, source=None, udp=None):
    """Sends a SYN through the tunnel; returns the SYN-ACK. Each is a connection of its own: that to
    an earlier one is repeated after a second."""
    port = next(_ports)
    syn = TCP(sport=port, dport=PORT, flags="S", seq=100, options=[("MSS", 1460)])
    wire.send(tunnel(outer, inner, syn, source, udp))
    return await_frame(wire, lambda f: TCP in f and f[TCP].flags == "SA" and f[TCP].dport == port,
                       deadline)
