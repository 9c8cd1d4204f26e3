# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""gRPC probes against a server of grpcio, and against what is none."""

import pathlib
import signal
import subprocess

import pytest

from certificates import Certificates
from probes import row_vips, start_bad, wait_rows
from traffic import config, start, vip

SERVER = pathlib.Path(__file__).with_name("grpc_server.py")
PLAIN, BARE, TLS, MUTUAL = 15001, 15002, 15003, 15004
PROBE = {"type": "grpc", "port": PLAIN, "interval": "300ms", "timeout": "1500ms", "fall": 2,
         "rise": 2}
SECURE = {"port": TLS, "tls": True, "sni": "web.example", "ca": "{dir}/ca.pem"}

# Who is no gRPC server: HTTP/2 in plaintext, with a file that is a message without a grpc-status;
# HTTP/1.1 over TLS.
NGINX_CONF = """
daemon off;
worker_processes 1;
pid {dir}/grpc-nginx.pid;
error_log {dir}/grpc-error.log;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path {dir}/grpc-body; proxy_temp_path {dir}/grpc-proxy;
    fastcgi_temp_path {dir}/grpc-fastcgi; uwsgi_temp_path {dir}/grpc-uwsgi;
    scgi_temp_path {dir}/grpc-scgi;
    ssl_certificate {certs}/good.pem; ssl_certificate_key {certs}/good.key;
    root {dir}/grpc;
    server {{ listen 9101 http2; error_page 405 =200 $uri; }}
    server {{ listen 9102 http2; root {dir}/none; }}
    server {{ listen 9103 ssl; error_page 405 =200 $uri; }}
    server {{ listen 9104 ssl http2; error_page 405 =200 $uri; add_header grpc-status 0; }}
}}
"""

ROWS = [
    # name, keys, state, reason
    ("server", {}, "up", "SERVING"),
    ("up", {"service": "up.Service"}, "up", "SERVING"),
    ("longest", {"service": "x" * 255}, "up", "SERVING"),
    ("down", {"service": "down.Service"}, "down", "NOT_SERVING"),
    ("unknown", {"service": "unknown.Service"}, "down", "UNKNOWN"),
    ("gone", {"service": "gone.Service"}, "down", "SERVICE_UNKNOWN"),
    ("not-found", {"service": "nobody.Knows"}, "down", "NOT_FOUND"),
    ("denied", {"service": "denied"}, "down", "PERMISSION_DENIED"),
    ("unimplemented", {"port": BARE}, "down", "UNIMPLEMENTED"),
    ("slow", {"service": "slow"}, "up", "SERVING"),
    ("stuck", {"service": "stuck"}, "down", "grpc_timeout"),
    ("future", {"service": "future.Service"}, "down", "bad_reply"),
    ("garbage-inside", {"service": "garbage"}, "down", "bad_reply"),
    ("long", {"service": "long"}, "down", "bad_reply"),
    ("empty", {"service": "empty"}, "down", "UNKNOWN"),
    ("tls", SECURE, "up", "SERVING"),
    ("tls-down", {**SECURE, "service": "down.Service"}, "down", "NOT_SERVING"),
    ("tls-wrong-name", {**SECURE, "sni": "other.example"}, "down",
     "tls: name mismatch: certificate is not for other.example"),
    ("tls-stranger", {**SECURE, "ca": "{dir}/other-ca.pem"}, "down",
     "tls: certificate is issued by a CA that is not trusted"),
    ("tls-unverified", {"port": TLS, "tls": True, "verify": False}, "up", "SERVING"),
    ("tls-mutual", {**SECURE, "port": MUTUAL, "cert": "{dir}/client.pem",
                    "key": "{dir}/client.key"}, "up", "SERVING"),
    ("tls-to-plain", {**SECURE, "port": PLAIN}, "down", "tls: handshake failed: "),
    ("plain-to-tls", {"port": TLS}, "down", "bad_reply"),
    ("http-1", {"port": 80}, "down", "bad_reply"),
    ("no-status", {"port": 9101}, "down", "bad_reply"),
    ("no-method", {"port": 9102}, "down", "status 404"),
    ("no-http-2", {**SECURE, "port": 9103}, "down", "the real does not speak HTTP/2"),
    ("status-in-header", {**SECURE, "port": 9104}, "up", "SERVING"),
    ("nobody", {"port": 9999}, "down", "connect: Connection refused"),
    ("mute", {"port": 9001}, "down", "grpc_timeout"),
    ("garbage", {"port": 9002}, "down", "bad_reply"),
    ("half-closed", {"port": 9003}, "down", "bad_reply"),
    ("mute-tls", {**SECURE, "port": 9001}, "down", "tls_timeout"),
]


@pytest.fixture
def grpc_lab(make_lab):
    lab = make_lab(reals=1)
    lab.start_nginx("real1")
    lab.certs = Certificates(lab.dir / "certs")
    for port, kind in ((9001, "mute"), (9002, "garbage"), (9003, "shut")):
        start_bad(lab, "real1", kind, port)
    return lab


def keys(certs, given):
    return {key: value.replace("{dir}", str(certs.dir)) if isinstance(value, str) else value
            for key, value in {**PROBE, **given}.items()}


def start_http(lab, host):
    where = lab.dir / host
    method = where / "grpc" / "grpc.health.v1.Health" / "Check"
    method.parent.mkdir(parents=True)
    method.write_bytes(b"\0\0\0\0\x02\x08\x01")
    conf = where / "grpc.conf"
    conf.write_text(NGINX_CONF.format(dir=where, certs=lab.certs.dir))
    lab.popen(host, ["/usr/sbin/nginx", "-e", where / "grpc-error.log", "-c", conf])


def start_grpc(lab):
    """The server; its service "file" is up while lab.serves exists."""
    lab.serves = lab.dir / "serves"
    process = lab.popen("real1", ["/usr/bin/python3", "-E", SERVER, lab.serves, PLAIN, BARE, TLS,
                                  MUTUAL, lab.certs.dir], stdout=subprocess.PIPE,
                        stderr=subprocess.DEVNULL)
    assert process.stdout.readline() == "ready\n"
    return process


def test_each_answer_of_a_health_service_gets_its_verdict_and_its_word(grpc_lab):
    start_grpc(grpc_lab)
    start_http(grpc_lab, "real1")
    daemon = grpc_lab.start_daemon(config(*row_vips(
        grpc_lab, ROWS, lambda given: keys(grpc_lab.certs, given))))
    wait_rows(daemon, ROWS)


def test_a_real_goes_down_and_up_with_its_service(grpc_lab):
    lab, real = grpc_lab, grpc_lab.reals4[0]
    server = start_grpc(lab)
    lab.serves.touch()
    daemon = start(lab, config(vip(lab.reals4, health={**PROBE, "service": "file"})))
    lab.serves.unlink()
    daemon.wait_states({real: "down"})
    assert daemon.reals()[real]["reason"] == "NOT_SERVING"
    lab.serves.touch()
    daemon.wait_states({real: "up"})
    server.send_signal(signal.SIGSTOP)
    daemon.wait_states({real: "down"})
    assert daemon.reals()[real]["reason"] == "grpc_timeout"
    server.send_signal(signal.SIGCONT)
    daemon.wait_states({real: "up"})
    lab.stop(server, sig=signal.SIGKILL)
    daemon.wait_states({real: "down"})
    assert daemon.reals()[real]["reason"] == "connect: Connection refused"
