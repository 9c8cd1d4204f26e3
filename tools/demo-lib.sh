# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# What tools/demo.sh is told with: printing, the lab's servers, load from the client, and questions
# to xdplbctl. Expects $lab (the lab's name), $dir (its files), $build and $tools to be set.
# shellcheck disable=SC2154

steps=0
broken=0

# ---- Telling ------------------------------------------------------------------------------------

step() {
	steps=$((steps + 1))
	printf '\n%s%d. %s%s\n' "$bold" "$steps" "$*" "$plain"
}

say() {
	printf '   %s\n' "$*"
}

show() { # what comes in, indented
	sed 's/^/   │ /'
}

# TEXT COMMAND...: the command decides whether what the text claims is so.
held() {
	local text=$1
	shift
	if "$@"; then
		printf '   %s✓%s %s\n' "$green" "$plain" "$text"
	else
		printf '   %s✗ %s%s\n' "$red" "$text" "$plain"
		broken=$((broken + 1))
	fi
}

colours() {
	bold='' green='' red='' plain=''
	if [[ -t 1 && -z ${NO_COLOR:-} ]]; then
		bold=$'\e[1m' green=$'\e[32m' red=$'\e[31m' plain=$'\e[0m'
	fi
}

# Arithmetic on numbers with fractions: `calc '%.1f' '3 / 7'`; `is '0.4 < 0.5'`.
calc() {
	awk "BEGIN { printf \"$1\", $2 }"
}

is() {
	awk "BEGIN { exit !($1) }"
}

# SECONDS COMMAND...: polls until the command succeeds; 1 when it did not in time.
within() {
	local end
	end=$(calc '%.3f' "$EPOCHREALTIME + $1")
	shift
	until "$@"; do
		is "$EPOCHREALTIME < $end" || return 1
		sleep 0.02
	done
}

# ---- The lab's hosts ----------------------------------------------------------------------------

on() { # HOST COMMAND...
	"$tools/lab.sh" exec "$lab" "$@"
}

start_nginx() { # HOST
	local here=$dir/$1
	mkdir -p "$here/www/files"
	[[ -e $here/www/files/big ]] || head -c "$BIG_BYTES" /dev/zero >"$here/www/files/big"
	cat >"$here/nginx.conf" <<END
daemon off;
user root;
pid $here/nginx.pid;
worker_processes 1;
events { worker_connections 4096; }
http {
	log_format client '\$remote_addr';
	access_log $here/access.log client;
	client_body_temp_path $here/tmp1; proxy_temp_path $here/tmp2; fastcgi_temp_path $here/tmp3;
	uwsgi_temp_path $here/tmp4; scgi_temp_path $here/tmp5;
	server {
		listen 80 backlog=4096;
		listen [::]:80 backlog=4096;
		root $here/www;
		add_header X-Real $1;
		location / { return 200 "hello from $1\n"; }
		location = /healthz { access_log off; return 200 "ok\n"; }
		location /files/ { limit_rate $BIG_RATE; }
	}
}
END
	on "$1" setsid nginx -e "$here/error.log" -c "$here/nginx.conf" &>"$here/start.log" &
	disown
	within 5 curl_local "$1" || {
		say "nginx does not answer on $1:"
		cat "$here/error.log" "$here/start.log" 2>/dev/null | show
		return 1
	}
}

curl_local() { # HOST
	on "$1" curl -sf -m 1 -o /dev/null http://127.0.0.1/healthz
}

kill_nginx() { # HOST: all its processes at once, as when a machine's service crashes
	ip netns pids "$lab-$1" | xargs -r kill -KILL
}

start_receiver() { # HOST VIP...
	local vips=() vip host=$1
	shift
	for vip in "$@"; do
		vips+=(--vip "$vip")
	done
	on "$host" "$build/xdplb-receiver" up --interface eth0 "${vips[@]}" \
		--bpffs "/sys/fs/bpf/$lab/$host" --state-dir "$dir/$host/receiver"
}

# ---- Questions to the balancer ------------------------------------------------------------------

ctl() {
	"$build/xdplbctl" --socket "$dir/api.sock" "$@"
}

# Evaluates a Python expression on the JSON document `d` that comes in.
json() {
	/usr/bin/python3 -c 'import json, sys; d = json.load(sys.stdin); print(eval(sys.argv[1]))' "$1"
}

real() { # VIP ADDRESS FIELD
	ctl -j real list | json \
		"next((r['$3'] for r in d if r['vip'] == '$1' and r['address'] == '$2'), None)"
}

real_is() { # VIP ADDRESS STATE
	[[ $(real "$1" "$2" state) == "$3" ]]
}

all_up() {
	[[ $(ctl -j real list 2>/dev/null | json "all(r['state'] == 'up' for r in d)" 2>/dev/null) == True ]]
}

# ---- Load ---------------------------------------------------------------------------------------

# N URL: requests from the client, each on a connection of its own. One line an answer:
# "STATUS REAL", "000" for a failed request.
requests() {
	on client curl -s --parallel --parallel-immediate --parallel-max 32 -H 'Connection: close' \
		--connect-timeout 2 -m 5 -o /dev/null -w '%{http_code} %header{x-real}\n' \
		"$2?[1-$1]" 2>/dev/null || true
}

# FILE PATTERN: how many of its lines match.
count() {
	grep -c "$2" "$1" || true
}

# A steady stream of requests, LOAD_RATE a second; $dir/load gets a line each when it is over:
# "TIME STATUS SECONDS REAL".
start_load() { # URL
	load_curl "$1" 2>/dev/null |
		while read -r line; do
			echo "$EPOCHREALTIME $line"
		done >"$dir/load" &
	load_job=$!
	within 5 test -s "$dir/load"
}

load_curl() { # URL
	on client stdbuf -oL curl -s --rate "$LOAD_RATE/s" -H 'Connection: close' \
		--connect-timeout 1 -m 2 -o /dev/null \
		-w '%{http_code} %{time_total} %header{x-real}\n' "$1?[1-100000]" || true
}

stop_load() {
	ip netns pids "$lab-client" | xargs -r kill
	wait "$load_job" || true
}

# FROM TO STATUS-PATTERN: requests of the load that began between two times.
load_count() {
	awk -v from="$1" -v to="$2" -v want="$3" \
		'{ began = $1 - $3 } began >= from && began < to && $2 ~ want' "$dir/load" | wc -l
}
