#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The main job end to end, in network namespaces, told as a story with numbers. Ends 0 when every
# step held, and leaves nothing behind. DEMO_KEEP=1 leaves the lab for playing.
#
#   tools/demo.sh [OUT]     use `sudo make demo`, which builds first
set -euo pipefail

tools=$(cd "$(dirname "$0")" && pwd)
build=$(realpath -m "${1:-build}")
lab=xdplb-demo-$$
dir=/tmp/$lab
export XDPLB_BUILD=$build

VIP4=192.0.2.10
VIP6=2001:db8::10
REALS=(10.1.0.1 10.1.0.2 10.1.0.3)
WEIGHTS=(100 100 50)
LOAD_RATE=250
# A download takes BIG_BYTES / BIG_RATE = 4 s.
BIG_BYTES=4000000
BIG_RATE=1000000
DOWNLOADS=12

# shellcheck source=tools/demo-lib.sh
. "$tools/demo-lib.sh"
colours

finish() {
	local status=$?
	# Who is impatient is not to end it half-way.
	trap - EXIT
	trap '' INT TERM
	if [[ $status -ne 0 && $broken -eq 0 ]]; then
		echo "demo: stopped in step $steps" >&2
	fi
	if [[ -n ${DEMO_KEEP:-} && -S $dir/api.sock ]]; then
		how_to_play
	else
		"$tools/lab.sh" down "$lab" || true
		rm -rf "$dir"
	fi
	exit "$status"
}

how_to_play() {
	cat <<END

The lab $lab is left running (DEMO_KEEP):
   export XDPLB_SOCKET=$dir/api.sock
   $build/xdplbctl real list
   $tools/lab.sh exec $lab client curl http://$VIP4/
   $tools/lab.sh exec $lab balancer tcpdump -ni eth0     (and real1, real2, real3, router, client)
   \$EDITOR $dir/xdplb.yaml; $build/xdplbctl reload
Remove it with:
   $tools/lab.sh down $lab; rm -rf $dir
END
}

configuration() {
	cat <<END
interfaces:
  - {name: eth0}
bpffs: /sys/fs/bpf/$lab/xdplb
encap: {source4: 10.1.0.10, source6: "fd00:1::10"}
capacity: {flows: 100k, members: 1k, vips: 64, ring_slots: 4M}
defaults:
  health: {type: http, path: /healthz, interval: 200ms, timeout: 150ms, fall: 2, rise: 2}
vips:
  - name: web
    address: $VIP4
    port: 80
    protocol: tcp
    reals:
      - {address: 10.1.0.1, weight: 100}
      - {address: 10.1.0.2, weight: 100}
      - {address: 10.1.0.3, weight: 50}
  - name: web6
    address: "$VIP6"
    port: 80
    protocol: tcp
    reals:
      - {address: "fd00:1::1", weight: 100}
      - {address: "fd00:1::2", weight: 100}
      - {address: "fd00:1::3", weight: 50}
END
}

the_lab() {
	local i
	step "A network: client, router, balancer, three reals with nginx"
	"$tools/lab.sh" up "$lab"
	mkdir -p "$dir" "/sys/fs/bpf/$lab"
	show <<END
client 198.51.100.2 ── router ─┬─ balancer 10.1.0.10        VIP $VIP4 and $VIP6
       2001:db8:c::2           ├─ real1    10.1.0.1         are routed to the balancer
                               ├─ real2    10.1.0.2
                               └─ real3    10.1.0.3
END
	for i in 1 2 3; do
		start_nginx "real$i"
	done
	say "on every real: xdplb-receiver up --interface eth0 --vip $VIP4 --vip $VIP6"
	start_receiver real1 "$VIP4" "$VIP6" | show
	start_receiver real2 "$VIP4" "$VIP6" >/dev/null
	start_receiver real3 "$VIP4" "$VIP6" >/dev/null
}

the_balancer() {
	local start
	step "xdplbd starts on this file"
	configuration >"$dir/xdplb.yaml"
	show <"$dir/xdplb.yaml"
	start=$EPOCHREALTIME
	on balancer setsid "$build/xdplbd" --config "$dir/xdplb.yaml" --socket "$dir/api.sock" \
		--state-dir "$dir/state" >"$dir/xdplbd.log" 2>&1 &
	disown
	if ! within 10 all_up; then
		say "not all reals came up; xdplbd says:"
		show <"$dir/xdplbd.log"
		ctl real list | show || true
		exit 1
	fi
	held "attached, all six reals probed and up after $(calc %.1f "$EPOCHREALTIME - $start") s" true
	ctl real list | show
}

# FILE: how the answers in it spread over the reals, against the weights. Chance alone moves a share
# of 4,000 connections by 0.8 points (one standard deviation): five of them are allowed.
spread() {
	local i n total due share
	total=$(count "$1" '^200 ')
	for i in 0 1 2; do
		n=$(count "$1" "^200 real$((i + 1))\$")
		share=$(calc %.1f "100 * $n / ($total + ($total == 0))")
		due=$(calc %.1f "100 * ${WEIGHTS[i]} / 250")
		held "$(printf 'real%d  weight %3d  %5d connections  %s %% (due %s %%)' $((i + 1)) \
			"${WEIGHTS[i]}" "$n" "$share" "$due")" \
			is "$share - $due < 4 && $due - $share < 4"
	done
}

# N VIP-URL CLIENT-ADDRESS: connections by weight; nginx sees the client's own address.
balance() {
	local start seconds ok
	truncate -s 0 "$dir"/real*/access.log # which nginx appends to
	start=$EPOCHREALTIME
	requests "$1" "$2" >"$dir/answers"
	seconds=$(calc %.2f "$EPOCHREALTIME - $start")
	ok=$(count "$dir/answers" '^200 ')
	held "$ok of $1 requests to $2 answered, $(calc %.0f "$1 / $seconds") a second" \
		test "$ok" -eq "$1"
	spread "$dir/answers"
	within 2 logged "$1" || true
	held "nginx logged $(cat "$dir"/real*/access.log | sort | uniq -c | xargs) (requests, client)" \
		logged "$1" "$3"
}

logged() { # N [ADDRESS]: the reals logged N requests (of that address)
	[[ $(cat "$dir"/real*/access.log | grep -cx "${2:-.*}") -eq $1 ]]
}

bytes_to_balancer() { # so far, counted by the router
	ip -n "$lab-router" -s -j link show balancer | json 'd[0]["stats64"]["tx"]["bytes"]'
}

spread_by_weight() {
	step "4,000 connections spread by weight; the reals see the client and answer it directly"
	balance 4000 "http://$VIP4/" 198.51.100.2
}

a_real_dies() {
	local killed removed ended before between after
	step "real2's nginx is killed under load ($LOAD_RATE requests a second, each a new connection)"
	start_load "http://$VIP4/"
	sleep 1
	killed=$EPOCHREALTIME
	kill_nginx real2
	held "real2 is seen as down" within 10 real_is web "${REALS[1]}" down
	removed=$EPOCHREALTIME
	sleep 1
	stop_load
	ended=$EPOCHREALTIME
	before=$(load_count 0 "$killed" '^[^2]')
	between=$(load_count "$killed" "$removed" '^[^2]')
	after=$(load_count "$removed" "$ended" '^[^2]')
	held "failed before the kill: $before of $(load_count 0 "$killed" .)" test "$before" -eq 0
	held "removed $(calc %.0f "1000 * ($removed - $killed)") ms after the kill (two probes, 200 ms apart)" \
		is "$removed - $killed < 1.5"
	say "failed in between: $between of $(load_count "$killed" "$removed" .)"
	held "failed after the removal: $after of $(load_count "$removed" "$ended" .)" \
		test "$after" -eq 0 -a "$(load_count "$removed" "$ended" .)" -gt 0
}

the_real_is_back() {
	local start n
	step "real2's nginx is started again"
	start=$EPOCHREALTIME
	start_nginx real2
	held "real2 is up again" within 10 real_is web "${REALS[1]}" up
	say "$(calc %.0f "1000 * ($EPOCHREALTIME - $start)") ms after the start"
	requests 1000 "http://$VIP4/" >"$dir/answers"
	n=$(count "$dir/answers" '^200 real2$')
	held "real2 takes $n of the next 1000 connections, $(count "$dir/answers" '^000') failed" \
		test "$n" -gt 200 -a "$(count "$dir/answers" '^200 ')" -eq 1000
}

start_downloads() {
	local i
	downloads=()
	for ((i = 1; i <= DOWNLOADS; i++)); do
		on client curl -s -m 20 -D "$dir/head.$i" -o /dev/null \
			-w '%{http_code} %{size_download} %header{x-real}\n' \
			"http://$VIP4/files/big" >"$dir/download.$i" 2>/dev/null &
		downloads+=($!)
	done
	within 5 all_downloading
}

all_downloading() {
	[[ $(cat "$dir"/head.* 2>/dev/null | grep -c '^X-Real') -eq $DOWNLOADS ]]
}

a_drain() {
	local busiest held_by address whole bytes start
	step "A drain: old connections finish, no new ones come"
	bytes=$(bytes_to_balancer)
	start_downloads
	read -r held_by busiest < <(sed -n 's/^X-Real: \(real.\).*/\1/p' "$dir"/head.* | sort |
		uniq -c | sort -rn)
	address=${REALS[${busiest#real} - 1]}
	say "$DOWNLOADS downloads of 4 s are under way, $held_by of them on $busiest"
	say "xdplbctl real drain web $address"
	ctl real drain web "$address" | show
	held "$busiest is draining" within 2 real_is web "$address" draining
	requests 1000 "http://$VIP4/" >"$dir/answers"
	held "new connections to $busiest: $(count "$dir/answers" "$busiest") of 1000, failed: $(count \
		"$dir/answers" '^000')" \
		test "$(count "$dir/answers" '^200 ')" -eq 1000 -a \
		"$(count "$dir/answers" "$busiest")" -eq 0
	wait "${downloads[@]}" || true
	whole=$(cat "$dir"/download.* | grep -c "^200 $BIG_BYTES " || true)
	held "downloads finished whole: $whole of $DOWNLOADS, on $busiest $(cat "$dir"/download.* |
		grep -c "^200 $BIG_BYTES $busiest" || true) of $held_by" test "$whole" -eq "$DOWNLOADS"
	start=$EPOCHREALTIME
	held "with its last connection gone $busiest is drained" \
		within 30 real_is web "$address" drained
	say "$(calc %.1f "$EPOCHREALTIME - $start") s after the last download"
	bytes=$(($(bytes_to_balancer) - bytes))
	held "of their $((DOWNLOADS * BIG_BYTES / 1000000)) MB the balancer saw the acknowledgements: $(calc \
		%.1f "$bytes / 1000000") MB" test $((bytes * 10)) -lt $((DOWNLOADS * BIG_BYTES))
	ctl real undrain web "$address" | show
	held "undrained: $busiest is up" within 2 real_is web "$address" up
}

reload() {
	ctl reload >/dev/null
}

a_bad_reload() {
	local before status=0
	step "A reload with a mistake is refused; nothing changes"
	before=$(ctl -j vip list | json '[v["fingerprint"] for v in d]')
	cp "$dir/xdplb.yaml" "$dir/good.yaml"
	sed -i '0,/weight: 50/s//weight: fifty/' "$dir/xdplb.yaml"
	say "$(grep -n fifty "$dir/xdplb.yaml")"
	ctl reload >"$dir/reload" 2>&1 || status=$?
	show <"$dir/reload"
	held "refused (exit status $status) with the file's line" \
		test "$status" -eq 1 -a "$(grep -c "xdplb.yaml:$(grep -n fifty "$dir/xdplb.yaml" |
			cut -d: -f1):" "$dir/reload")" -gt 0
	held "the rings are the same as before" \
		test "$(ctl -j vip list | json '[v["fingerprint"] for v in d]')" = "$before"
	requests 500 "http://$VIP4/" >"$dir/answers"
	held "$(count "$dir/answers" '^200 ') of 500 requests answered" \
		test "$(count "$dir/answers" '^200 ')" -eq 500
	cp "$dir/good.yaml" "$dir/xdplb.yaml"
	held "with the mistake undone the reload is taken" reload
}

over_ipv6() {
	step "The same over IPv6"
	balance 4000 "http://[$VIP6]/" 2001:db8:c::2
}

# The members' counters as bpftool reads them from the pinned map, one row a CPU.
counters() {
	bpftool -j map dump pinned "/sys/fs/bpf/$lab/xdplb/maps/member_stats" |
		/usr/bin/python3 -c '
import json, sys
for row in json.load(sys.stdin):
    for cpu in row["formatted"]["values"]:
        if cpu["value"]["packets"]:
            print("member", row["formatted"]["key"], "cpu", cpu["cpu"], *(
                f"{name} {n}" for name, n in cpu["value"].items() if name != "pad"))'
}

counters_by_bpftool() {
	local by_map by_ctl
	step "The counters, per CPU, straight from the pinned map"
	say "bpftool map dump pinned /sys/fs/bpf/$lab/xdplb/maps/member_stats"
	counters >"$dir/counters"
	show <"$dir/counters"
	by_map=$(awk '{ for (i = 1; i < NF; i++) if ($i == "packets") n += $(i + 1) }
		END { print n + 0 }' "$dir/counters")
	by_ctl=$(ctl -j vip list | json 'sum(v["packets"] for v in d)')
	held "their sum, $by_map packets, is what xdplbctl vip list says: $by_ctl" \
		test "$by_map" -eq "$by_ctl" -a "$by_map" -gt 0
}

[[ $(id -u) -eq 0 ]] || { echo "demo: network namespaces need root: sudo make demo" >&2; exit 1; }
for program in xdplbd xdplbctl xdplb-receiver; do
	[[ -x $build/$program ]] || { echo "demo: $build/$program is missing: run make" >&2; exit 1; }
done
for program in nginx curl ethtool bpftool /usr/bin/python3; do
	command -v "$program" >/dev/null || {
		echo "demo: $program is missing: sudo make deps installs it" >&2
		exit 1
	}
done
trap finish EXIT
trap 'exit 130' INT TERM
the_lab
the_balancer
spread_by_weight
a_real_dies
the_real_is_back
a_drain
a_bad_reload
over_ipv6
counters_by_bpftool

if [[ $broken -gt 0 ]]; then
	printf '\n%s%d claims did not hold%s\n' "$red" "$broken" "$plain"
	exit 1
fi
printf '\n%severy step held%s, in %d s\n' "$green" "$plain" "$SECONDS"
