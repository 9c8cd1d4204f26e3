# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""HTTPS probes against nginx, and against servers that get TLS wrong."""

import os
import signal
import subprocess

import pytest

from certificates import NAME, Certificates
from lab import BUILD, wait_for
from probes import row_vips, start_bad, wait_rows
from traffic import config, vip

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


def start_tls_nginx(lab, host, certs):
    servers = "".join(SERVER.format(port=port, certs=certs.dir, name=name,
                                    more=more.format(certs=certs.dir))
                      for port, (name, more) in SERVED.items())
    conf = lab.dir / host / "tls.conf"
    conf.write_text(NGINX_CONF.format(dir=lab.dir / host, servers=servers))
    process = lab.popen(host, ["/usr/sbin/nginx", "-e", lab.dir / host / "tls-error.log",
                               "-c", conf])
    wait_for(lambda: lab.run(host, ["curl", "-skf", "-m1", "https://127.0.0.1:8443/healthz"],
                             check=False).returncode == 0, 15, "nginx answers over TLS")
    return process


@pytest.fixture(scope="module")
def tls_lab(make_shared_lab):
    """One real with nginx over TLS on many ports, and with bad servers."""
    lab = make_shared_lab(reals=1)
    lab.start_nginx("real1")
    lab.certs = Certificates(lab.dir / "certs")
    lab.tls_nginx = start_tls_nginx(lab, "real1", lab.certs)
    for port, (kind, has_certificate) in BAD.items():
        files = [lab.certs.path("good.pem"), lab.certs.path("good.key")] if has_certificate else []
        start_bad(lab, "real1", kind, port, *files)
    return lab


@pytest.fixture
def ended(tls_lab):
    """What a test starts is ended with it."""
    daemons = []
    yield daemons
    for daemon in daemons:
        daemon.ctl("detach")
        daemon.process.wait(10)


def test_each_certificate_and_each_server_gets_its_verdict_and_a_reason(tls_lab, ended):
    daemon = tls_lab.start_daemon(config(*row_vips(
        tls_lab, ROWS, lambda given: keys(tls_lab.certs, given))))
    ended.append(daemon)
    wait_rows(daemon, ROWS)


def test_nobody_is_asked_anything_before_he_is_known(tls_lab, ended):
    """The request, and what headers it may hold, goes to who is trusted only."""
    log = tls_lab.dir / "real1" / "tls-access.log"
    secret = {"headers": {"Referer": "a-secret"}}
    rows = [("trusted", {"port": 8443, **secret}, "up", "status 200"),
            ("expired", {"port": 8445, "path": "/healthz?expired", **secret}, "down",
             "tls: certificate has expired")]
    daemon = tls_lab.start_daemon(config(*row_vips(
        tls_lab, rows, lambda given: keys(tls_lab.certs, given))))
    ended.append(daemon)
    wait_rows(daemon, rows)
    wait_for(lambda: "a-secret" in log.read_text(), 15, "nginx logs")
    assert "/healthz?expired" not in log.read_text()


def test_a_real_goes_down_and_up_with_its_certificate(make_lab):
    lab = make_lab(reals=1)
    lab.start_nginx("real1")
    certs = Certificates(lab.dir / "certs")
    nginx = start_tls_nginx(lab, "real1", certs)
    daemon = lab.start_daemon(config(vip(lab.reals4, health=keys(certs, {"port": 8443}))))
    real = lab.reals4[0]
    daemon.wait_states({real: "up"})
    good = [(certs.dir / file).read_bytes() for file in ("good.pem", "good.key")]
    for file in ("pem", "key"):
        (certs.dir / f"good.{file}").write_bytes((certs.dir / f"expired.{file}").read_bytes())
    nginx.send_signal(signal.SIGHUP)
    daemon.wait_states({real: "down"})
    assert daemon.reals()[real]["reason"] == "tls: certificate has expired"
    for file, content in zip(("pem", "key"), good):
        (certs.dir / f"good.{file}").write_bytes(content)
    nginx.send_signal(signal.SIGHUP)
    daemon.wait_states({real: "up"})
    # Frozen: the kernel takes the connection, nobody speaks TLS.
    os.killpg(nginx.pid, signal.SIGSTOP)
    daemon.wait_states({real: "down"})
    assert daemon.reals()[real]["reason"] == "tls_timeout"
    os.killpg(nginx.pid, signal.SIGCONT)
    daemon.wait_states({real: "up"})
    lab.stop(nginx, sig=signal.SIGKILL)
    daemon.wait_states({real: "down"})
    assert daemon.reals()[real]["reason"] == "connect: Connection refused"


def test_files_are_read_with_the_configuration_and_not_again(make_lab):
    lab = make_lab(reals=1)
    lab.start_nginx("real1")
    certs = Certificates(lab.dir / "certs")
    start_tls_nginx(lab, "real1", certs)
    real = lab.reals4[0]
    wanted = config(vip(lab.reals4, health=keys(certs, {"port": 8451, **CLIENT})))
    daemon = lab.start_daemon(wanted)
    daemon.wait_states({real: "up"})
    kept = {file: (certs.dir / file).read_bytes() for file in ("ca.pem", "client.pem", "client.key")}

    def probes():
        return daemon.ctl_json("health", "list")[0]["probes"]
    # Gone, or a pipe that nobody writes to: nothing waits, nothing changes.
    for file in kept:
        (certs.dir / file).unlink()
        subprocess.run(["mkfifo", certs.dir / file], check=True)
    seen = probes()
    wait_for(lambda: probes() > seen + 3, 15, "probes go on")
    assert daemon.reals()[real]["state"] == "up"
    rc, _out, err = daemon.ctl("reload")
    assert rc == 1 and "vips[0].health.ca: " in err and "expected a regular file" in err
    for file in kept:
        (certs.dir / file).unlink()
    rc, _out, err = daemon.ctl("reload")
    assert rc == 1 and f"open {certs.dir}/ca.pem: No such file or directory" in err
    # What a file says now counts after a reload.
    for file, content in kept.items():
        (certs.dir / file).write_bytes(content)
    (certs.dir / "ca.pem").write_bytes((certs.dir / "other-ca.pem").read_bytes())
    daemon.ctl_json("reload")
    daemon.wait_states({real: "down"})
    assert daemon.reals()[real]["reason"] == \
        "tls: certificate is issued by a CA that is not trusted"


@pytest.mark.parametrize("given, error", [
    ({"ca": "{dir}/none.pem"}, "health.ca: open {dir}/none.pem: No such file or directory"),
    ({"ca": "{dir}/ca.key"}, "health.ca: {dir}/ca.key: expected certificates in PEM: "),
    ({"cert": "{dir}/client.pem"}, "health.cert: expected the key \"key\" too"),
    ({"cert": "{dir}/ca.cnf", "key": "{dir}/client.key"},
     "health.cert: {dir}/ca.cnf: expected a certificate in PEM: "),
    ({"cert": "{dir}/client.pem", "key": "{dir}/client.pem"},
     "health.key: {dir}/client.pem: expected the certificate's private key in PEM: "),
    ({"cert": "{dir}/client.pem", "key": "{dir}/good.key"},
     "health.key: {dir}/good.key: expected the certificate's private key in PEM: "),
    ({"cert": "{dir}/client.pem", "key": "{dir}/locked.key"},
     "health.key: {dir}/locked.key: expected the certificate's private key in PEM: ")])
def test_files_that_are_no_use_are_refused_where_they_are_named(tmp_path, given, error):
    certs = Certificates(tmp_path / "certs")
    subprocess.run(["openssl", "pkey", "-in", certs.path("client.key"), "-aes128", "-passout",
                    "pass:xx", "-out", certs.path("locked.key")], check=True)
    file = tmp_path / "xdplb.yaml"
    file.write_text(config(vip(["10.1.0.1"], health=keys(certs, {**given, "port": 443})))
                    .replace("{bpffs}", "/sys/fs/bpf/none"))
    done = subprocess.run([BUILD / "xdplbd", "--config", file, "--check"], capture_output=True,
                          text=True, check=False)
    assert done.returncode == 1
    place, _, rest = done.stderr.partition(": ")
    assert place.startswith(f"{file}:") and place.count(":") == 2
    assert f"vips[0].{error.format(dir=certs.dir)}" in rest
