#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# A network for the balancer in namespaces of this machine, shared by the demo and the tests:
#
#   client ────────── router ──┬─ balancer   10.1.0.10      fd00:1::10
#   198.51.100.2               ├─ real1      10.1.0.1       fd00:1::1
#   2001:db8:c::2        br0   ├─ real2      10.1.0.2       fd00:1::2
#                              └─ ...
#
# The router routes the VIPs (192.0.2.0/24, 2001:db8::/64) to the balancer; br0 is 10.1.0.254 and
# fd00:1::fe. With --balancer-links 2 the reals are on a second segment (br1, 10.2.0.0/24,
# fd00:2::/64) to which the balancer has eth1. Every host is a namespace called NAME-HOST and has
# one interface, eth0; nothing is made outside of these namespaces.
set -euo pipefail

ROOT=$(cd "$(dirname "$0")/.." && pwd)
BUILD=${XDPLB_BUILD:-$ROOT/build}

usage() {
	cat <<'END'
Usage: lab.sh up NAME [--reals N] [--mtu BYTES] [--balancer-links 1|2]
       lab.sh down NAME               end every process in the lab, remove it and its bpffs pins
       lab.sh exec NAME HOST CMD...   run a command on client, router, balancer, real1, real2, ...

--mtu is the MTU of the links of the balancer and the reals (default 1600: room for a tunnel
header around packets of 1500 bytes). The client's link has 1500.
END
}

die() {
	echo "lab: $*" >&2
	exit 1
}

hosts() { # of a lab, by its namespaces
	local ns
	for ns in /run/netns/"$1"-{client,router,balancer,real*}; do
		if [[ -e $ns ]]; then
			echo "${ns#/run/netns/"$1"-}"
		fi
	done
}

# A command in the network of a host. Unlike `ip netns exec` it leaves /sys alone, so that bpffs
# stays visible.
on() {
	local host=$1
	shift
	nsenter --net="/run/netns/$name-$host" "$@"
}

# Addresses are usable at once (no duplicate address detection) and routing works either way round
# (a real answers with the VIP as its source, which a strict reverse path filter would drop).
add_host() {
	ip netns add "$name-$1"
	on "$1" sysctl -qw \
		net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0 \
		net.ipv6.conf.default.dad_transmits=0 net.ipv6.conf.default.accept_ra=0 \
		net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0 \
		net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.default.send_redirects=0
	on "$1" ip link set lo up
}

# A bridge without a MAC of its own takes that of a port, and changes it when ports come and go.
add_bridge() { # BRIDGE SEGMENT-NUMBER
	ip -n "$name-router" -batch - <<END
link add $1 address 02:00:00:00:0$2:fe type bridge mcast_snooping 0
link set $1 mtu $mtu up
addr add 10.$2.0.254/24 dev $1
addr add fd00:$2::fe/64 dev $1 nodad
END
}

# HOST INTERFACE PORT BRIDGE SEGMENT-NUMBER HOST-NUMBER: a host's interface on a segment.
# Checksums are computed in software on both sides: a packet of which XDP takes hold must be whole.
add_port() {
	ip link add "$2" mtu "$mtu" netns "$name-$1" type veth \
		peer name "$3" mtu "$mtu" netns "$name-router"
	ip -n "$name-router" link set "$3" master "$4" up
	ip -n "$name-$1" -batch - <<END
link set $2 up
addr add 10.$5.0.$6/24 dev $2
addr add fd00:$5::$6/64 dev $2 nodad
END
	on router ethtool -K "$3" tx off >/dev/null
	on "$1" ethtool -K "$2" tx off >/dev/null
}

add_default_route() { # HOST SEGMENT-NUMBER
	ip -n "$name-$1" route add default via "10.$2.0.254"
	ip -n "$name-$1" -6 route add default via "fd00:$2::fe"
}

# XDP_TX and redirects out of a veth arrive only if its peer runs an XDP program, too.
add_xdp_peer() { # PORT
	on router ip link set dev "$1" xdpdrv obj "$BUILD/tools/xdp_pass.bpf.o" sec xdp.frags
}

add_client() {
	add_host client
	ip link add eth0 netns "$name-client" type veth peer name client netns "$name-router"
	ip -n "$name-client" -batch - <<'END'
link set eth0 up
addr add 198.51.100.2/24 dev eth0
addr add 2001:db8:c::2/64 dev eth0 nodad
route add default via 198.51.100.1
route add default via 2001:db8:c::1
END
	ip -n "$name-router" -batch - <<'END'
link set client up
addr add 198.51.100.1/24 dev client
addr add 2001:db8:c::1/64 dev client nodad
END
}

add_router() {
	add_host router
	on router sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
	add_bridge br0 1
	if [[ $links -eq 2 ]]; then
		add_bridge br1 2
	fi
}

add_balancer() {
	add_host balancer
	add_port balancer eth0 balancer br0 1 10
	add_xdp_peer balancer
	add_default_route balancer 1
	if [[ $links -eq 2 ]]; then
		add_port balancer eth1 balancer1 br1 2 10
		add_xdp_peer balancer1
	fi
	ip -n "$name-router" route add 192.0.2.0/24 via 10.1.0.10
	ip -n "$name-router" -6 route add 2001:db8::/64 via fd00:1::10
}

add_real() { # NUMBER
	add_host "real$1"
	add_port "real$1" eth0 "real$1" "br$((links - 1))" "$links" "$1"
	add_default_route "real$1" "$links"
}

up() {
	local reals=3 i
	name=$1 mtu=1600 links=1
	shift
	while [[ $# -gt 0 ]]; do
		case $1 in
		--reals) reals=${2:?} ;;
		--mtu) mtu=${2:?} ;;
		--balancer-links) links=${2:?} ;;
		*) die "up: unknown option $1" ;;
		esac
		shift 2
	done
	# The balancer is number 10 of the first segment.
	[[ $reals =~ ^[0-9]$ ]] || die "--reals: expected 0 to 9, not '$reals'"
	[[ $links =~ ^[12]$ ]] || die "--balancer-links: expected 1 or 2, not '$links'"
	[[ -r $BUILD/tools/xdp_pass.bpf.o ]] || die "$BUILD/tools/xdp_pass.bpf.o is missing: run make"
	[[ -z $(hosts "$name") ]] || die "there is a lab called $name already: lab.sh down $name"

	trap 'trap - EXIT; down "$name"' EXIT
	add_router
	add_client
	add_balancer
	for ((i = 1; i <= reals; i++)); do
		add_real "$i"
	done
	trap - EXIT
}

# The processes in the lab's namespaces, one a line.
pids() {
	local host
	for host in $(hosts "$1"); do
		ip netns pids "$1-$host"
	done
}

end_processes() {
	local i
	pids "$1" | xargs -r kill 2>/dev/null || true
	for ((i = 0; i < 20; i++)); do
		[[ -z $(pids "$1") ]] && return 0
		sleep 0.05
	done
	pids "$1" | xargs -r kill -KILL 2>/dev/null || true
}

down() {
	local host
	end_processes "$1"
	# A pinned link would keep the program and its maps after the interface is gone.
	rm -rf "/sys/fs/bpf/${1:?}"
	for host in $(hosts "$1"); do
		ip netns del "$1-$host"
	done
}

[[ $# -ge 2 ]] || { usage >&2; exit 2; }
[[ $(id -u) -eq 0 ]] || die "network namespaces need root"
[[ $2 =~ ^[A-Za-z0-9_-]+$ ]] || die "NAME: expected letters, digits, - and _, not '$2'"
verb=$1
shift

case $verb in
up) up "$@" ;;
down) down "$1" ;;
exec)
	[[ $# -ge 3 ]] || { usage >&2; exit 2; }
	ns=/run/netns/$1-$2
	[[ -e $ns ]] || die "no host $2 in lab $1"
	shift 2
	exec nsenter --net="$ns" "$@"
	;;
*) usage >&2; exit 2 ;;
esac
