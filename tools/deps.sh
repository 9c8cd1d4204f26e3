#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Installs the Debian 12 packages that building, testing and linting need and that are missing.
# Silent and quick when all are there. Installing is root's; nobody else's machine is touched.
#
#   tools/deps.sh [vmtest]     vmtest: also what `make vmtest` boots its guests with
set -euo pipefail

PACKAGES=(
	make gcc git pkg-config clang llvm libclang-rt-14-dev bpftool
	libbpf-dev libxdp-dev libelf-dev zlib1g-dev libyaml-dev libjansson-dev libsystemd-dev
	libmicrohttpd-dev libcurl4-gnutls-dev libmnl-dev libsmartcols-dev nettle-dev libgnutls28-dev libcmocka-dev
	python3-scapy python3-grpcio python3-protobuf python3-pytest python3-pytest-xdist python3-yaml python3-jsonschema
	python3-cryptography
	nginx-light haproxy apache2-utils ngtcp2-client ngtcp2-server openssl dnsmasq-base curl
	postgresql-15
	iproute2 ethtool tcpdump nftables iputils-ping traceroute procps
	clang-format clang-tidy shellcheck
)
VMTEST_PACKAGES=(qemu-system-x86 busybox-static cpio kmod xz-utils)
LOCK=/run/lock/xdplb-deps.lock
POLICY=/usr/sbin/policy-rc.d

# The packages that are not installed, one a line. dpkg-query fails when it knows one not at all.
missing() {
	local installed
	installed=$(dpkg-query -W -f='${db:Status-Status} ${Package}\n' "${PACKAGES[@]}" 2>/dev/null |
		sed -n 's/^installed //p' || true)
	comm -23 <(printf '%s\n' "${PACKAGES[@]}" | sort) <(sort <<<"$installed")
}

# Installing nginx must not start one on port 80 of the machine. A policy that exists stays.
forbid_service_starts() {
	[[ -e $POLICY ]] && return
	trap 'rm -f "$POLICY"' EXIT
	printf '#!/bin/sh\nexit 101\n' >"$POLICY"
	chmod 0755 "$POLICY"
}

apt() {
	DEBIAN_FRONTEND=noninteractive apt-get -q -y -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300 "$@"
}

if [[ ${1:-} == vmtest ]]; then
	PACKAGES+=("${VMTEST_PACKAGES[@]}")
fi

if ! command -v dpkg-query >/dev/null; then
	echo "deps: not a Debian system; install by hand: ${PACKAGES[*]}" >&2
	exit 1
fi

mapfile -t todo < <(missing)
[[ ${#todo[@]} -eq 0 ]] && exit 0

if [[ $(id -u) -ne 0 ]]; then
	echo "deps: these packages are missing: ${todo[*]}" >&2
	echo "deps: install them with: sudo tools/deps.sh${1:+ $1}" >&2
	exit 1
fi

# Two runs at once: the second waits and then finds nothing left to do.
exec 9>"$LOCK"
flock 9
mapfile -t todo < <(missing)
[[ ${#todo[@]} -eq 0 ]] && exit 0

echo "deps: installing ${todo[*]}"
forbid_service_starts
# The lock's descriptor is kept from apt's children, any of which might outlive this script.
apt update 9>&-
apt install --no-install-recommends "${todo[@]}" 9>&-
