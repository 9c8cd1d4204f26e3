# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""HTTPS probes against nginx, and against servers that get TLS wrong."""

import os
import pathlib
import signal
import subprocess
import time

import pytest

from certificates import NAME, Certificates
from lab import BUILD, wait_for
from traffic import config, vip

SERVERS = pathlib.Path(__file__).with_name("probe_servers.py")
TIMEOUT = 1.5
PROBE = {"type": "https", "host": NAME, "path": "/healthz", "interval": "300ms",
         "timeout": "1500ms", "fall": 2, "rise": 2, "ca": "{dir}/ca.pem"}

NGINX_CONF = """
daemon off;
worker_processes 1;
pid {dir}/tls-nginx.pid;
error_log {dir}/tls-error.log;
events {{ worker_connections 512; }}
http {{
    access_log {dir}/tls-access.log combined;
    client_body_temp_path {dir}/tls-body; proxy_temp_path {dir}/tls-proxy;
    fastcgi_temp_path {dir}/tls-fastcgi; uwsgi_temp_path {dir}/tls-uwsgi;
    scgi_temp_path {dir}/tls-scgi;
{servers}
}}
"""
SERVER = """
    server {{
        listen {port} ssl; listen [::]:{port} ssl;
        ssl_certificate {certs}/{name}.pem; ssl_certificate_key {certs}/{name}.key;
        {more}
        location = /healthz {{ return 200 "name $ssl_server_name $ssl_protocol"; }}
        location = /cut {{ return 444; }}
    }}
"""

# port of nginx: certificate, further directives
SERVED = {
    8443: ("good", "ssl_protocols TLSv1.2 TLSv1.3;"),
    8444: ("wrong-name", ""),
    8445: ("expired", ""),
    8446: ("future", ""),
    8447: ("self-signed", ""),
    8448: ("stranger", ""),
    8449: ("no-server", ""),
    8450: ("address", ""),
    8451: ("good", "ssl_client_certificate {certs}/ca.pem; ssl_verify_client on;"),
    8452: ("good", "ssl_protocols TLSv1.1; ssl_ciphers DEFAULT:@SECLEVEL=0;"),
    8453: ("good", "ssl_protocols TLSv1.2;"),
}
# port: kind, with a certificate
BAD = {9001: ("mute", False), 9002: ("garbage", False), 9003: ("shut", False),
       9004: ("slow", True), 9005: ("drip", True), 9006: ("cut", True), 9007: ("garbage", True)}

CLIENT = {"cert": "{dir}/client.pem", "key": "{dir}/client.key"}

ROWS = [
    # what, keys, state, reason
    ("trusted", {"port": 8443}, "up", "status 200"),
    ("tls-1.2", {"port": 8453, "body": "TLSv1.2"}, "up", "status 200"),
    ("tls-1.3", {"port": 8443, "body": "TLSv1.3"}, "up", "status 200"),
    ("asks-for-host", {"port": 8443, "body": f"name {NAME} "}, "up", "status 200"),
    ("host-with-port", {"port": 8443, "host": f"{NAME}:8443"}, "up", "status 200"),
    ("sni-beats-host", {"port": 8444, "sni": "other.example", "body": "name other.example "},
     "up", "status 200"),
    ("status", {"port": 8443, "path": "/none"}, "down", "status 404"),
    ("wrong-name", {"port": 8444}, "down",
     f"tls: name mismatch: certificate is not for {NAME}"),
    ("expired", {"port": 8445}, "down", "tls: certificate has expired"),
    ("future", {"port": 8446}, "down", "tls: certificate is not valid yet"),
    ("self-signed", {"port": 8447}, "down", "tls: certificate is self-signed and not trusted"),
    ("self-signed-trusted", {"port": 8447, "ca": "{dir}/self-signed.pem"}, "up", "status 200"),
    ("stranger", {"port": 8448}, "down",
     "tls: certificate is issued by a CA that is not trusted"),
    ("stranger-trusted", {"port": 8448, "ca": "{dir}/other-ca.pem"}, "up", "status 200"),
    ("no-server", {"port": 8449}, "down", "tls: certificate is not one for a server"),
    ("unverified", {"port": 8445, "verify": False, "ca": None}, "up", "status 200"),
    ("unverified-self-signed", {"port": 8447, "verify": False, "ca": None}, "up", "status 200"),
    ("by-address", {"port": 8450, "host": "10.1.0.1"}, "up", "status 200"),
    ("by-wrong-address", {"port": 8443, "host": "10.1.0.1"}, "down",
     "tls: name mismatch: certificate is not for 10.1.0.1"),
    ("system-ca", {"port": 8443, "ca": None}, "down",
     "tls: certificate is issued by a CA that is not trusted"),
    ("client-wanted", {"port": 8451}, "down", "status 400"),
    ("client-shown", {"port": 8451, **CLIENT}, "up", "status 200"),
    ("tls-1.1", {"port": 8452}, "down", "tls: handshake failed: "),
    ("closes", {"port": 8443, "path": "/cut"}, "down", "bad_reply"),
    ("no-tls", {"port": 80}, "down", "tls: handshake failed: "),
    ("nobody", {"port": 9999}, "down", "connect: Connection refused"),
    ("mute", {"port": 9001}, "down", "tls_timeout"),
    ("garbage", {"port": 9002}, "down", "tls: handshake failed: "),
    ("half-closed", {"port": 9003}, "down", "tls: handshake failed: "),
    ("slow", {"port": 9004}, "up", "status 200"),
    ("drip", {"port": 9005}, "down", "http_timeout"),
    ("cut", {"port": 9006}, "down", "bad_reply"),
    ("garbage-inside", {"port": 9007}, "down", "bad_reply"),
]


def keys(certs, given):
    """PROBE with `given` over it; None takes a key away."""
    return {key: value.replace("{dir}", str(certs.dir)) if isinstance(value, str) else value
            for key, value in {**PROBE, **given}.items() if value is not None}


def start_bad(lab, host, certs):
    for port, (kind, has_certificate) in BAD.items():
        files = [certs.path("good.pem"), certs.path("good.key")] if has_certificate else []
        process = lab.popen(host, ["/usr/bin/python3", "-E", "-S", SERVERS, kind, port, *files],
                            stdout=subprocess.PIPE)
        assert process.stdout.readline() == "ready\n"


def start_tls_nginx(lab, host, certs):
    servers = "".join(SERVER.format(port=port, certs=certs.dir, name=name,
                                    more=more.format(certs=certs.dir))
                      for port, (name, more) in SERVED.items())
    conf = lab.dir / host / "tls.conf"
    conf.write_text(NGINX_CONF.format(dir=lab.dir / host, servers=servers))
    process = lab.popen(host, ["/usr/sbin/nginx", "-e", lab.dir / host / "tls-error.log",
                               "-c", conf])
    wait_for(lambda: lab.run(host, ["curl", "-skf", "-m1", "https://127.0.0.1:8443/healthz"],
                             check=False).returncode == 0, 5, "nginx answers over TLS")
    return process


@pytest.fixture(scope="module")
def tls_lab(make_shared_lab):
    """One real with nginx over TLS on many ports, and with bad servers."""
    lab = make_shared_lab(reals=1)
    lab.start_nginx("real1")
    lab.certs = Certificates(lab.dir / "certs")
    lab.tls_nginx = start_tls_nginx(lab, "real1", lab.certs)
    start_bad(lab, "real1", lab.certs)
    return lab


@pytest.fixture
def ended(tls_lab):
    """What a test starts is ended with it."""
    daemons = []
    yield daemons
    for daemon in daemons:
        daemon.ctl("detach")
        daemon.process.wait(10)


def row_vips(lab, rows):
    return [vip(lab.reals4, what, f"192.0.2.{i + 10}", ring=251, health=keys(lab.certs, given))
            for i, (what, given, _state, _reason) in enumerate(rows)]


def is_as_expected(row, state, reason):
    said = row["last_result"] or ""
    if row["state"] != state:
        return False
    # A reason that is cut off is a library's, whose words are not ours.
    return said.startswith(reason) and len(said) > len(reason) + 5 if reason.endswith(": ") \
        else said == reason


def wait_rows(daemon, rows, deadline=15):
    """Waits until every row has its state for its reason; names those that have not."""
    end = time.monotonic() + deadline
    while True:
        seen = {row["vip"]: row for row in daemon.ctl_json("health", "list")}
        wrong = [(what, state, reason, seen[what]["state"], seen[what]["last_result"])
                 for what, _given, state, reason in rows
                 if not is_as_expected(seen[what], state, reason)]
        if not wrong:
            return
        assert time.monotonic() < end, (wrong, daemon.log_text())
        time.sleep(0.1)


def test_each_certificate_and_each_server_gets_its_verdict_and_a_reason(tls_lab, ended):
    daemon = tls_lab.start_daemon(config(*row_vips(tls_lab, ROWS)))
    ended.append(daemon)
    wait_rows(daemon, ROWS)
    # Nobody was asked anything who was not who he should be.
    log = (tls_lab.dir / "real1" / "tls-access.log").read_text()
    assert "xdplb-health" in log
