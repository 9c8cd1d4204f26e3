# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""QUIC connection IDs: a client keeps its real when its address changes."""

import os
import socket

import pytest

from lab import BUILD, VIP4, VIP6, wait_for
from traffic import config, start, start_server, vip

KEY = "8f95f09245765f80256934e50c66207f"
STACK = "192.0.2.77"  # served by a real QUIC stack
IDS = ["0a01", "0a02", "0a03"]
OTHER4 = "198.51.100.9"  # another address of the client


def quic_vip(lab, configs, address=VIP4, name="quic", ids=None):
    reals = lab.reals6 if ":" in address else lab.reals4
    keys = {"quic": configs} if configs else {}
    return vip([{"address": a, **({"server_id": i} if configs else {})}
                for a, i in zip(reals, ids or IDS)], name, address, 4433, "udp", **keys)


def plain(rotation=0, **keys):
    return {"rotation": rotation, "server_id_length": 2, "nonce_length": 6, **keys}


@pytest.fixture(scope="module")
def lab(make_shared_lab):
    made = make_shared_lab(reals=3)
    made.start_reals()
    for host in made.reals:
        start_server(made, host, "udp-echo", 4433)
    made.run(made.client, ["ip", "addr", "add", f"{OTHER4}/24", "dev", "eth0"])
    made.key_file = made.dir / "quic.key"
    made.key_file.write_text(KEY + "\n")
    made.daemon = start(made, config(quic_vip(made, [plain()])))
    return made


def reload(lab, *vips):
    lab.daemon.write_config(config(*vips))
    rc, _, err = lab.daemon.ctl("reload")
    assert rc == 0, err
    for row in lab.daemon.ctl_json("real", "list"):
        lab.daemon.wait_states({row["address"]: "up"}, vip=row["vip"])


def encode(lab, rotation, server_id, nonce, *key):
    rc, out, err = lab.daemon.ctl("quic", "encode", rotation, server_id, nonce, *key)
    assert rc == 0, err
    return bytes.fromhex(out)


def ask(lab, payload, source="", to=VIP4):
    """The real that answers a datagram from a port of its own."""
    with lab.inside(lab.client):
        s = socket.socket(socket.AF_INET6 if ":" in to else socket.AF_INET, socket.SOCK_DGRAM)
    with s:
        s.bind((source, 0))
        s.settimeout(5)
        s.sendto(payload, (to, 4433))
        return s.recvfrom(2048)[0].split(b" ")[0].decode()


def short_header(cid):
    return b"\x40" + cid + os.urandom(30)


def everyone_reaches(lab, cid, host, to=VIP4):
    sources = ["", OTHER4] if to == VIP4 else [""]
    assert {ask(lab, short_header(cid), source, to)
            for source in sources for _ in range(8)} == {host}


def test_a_connection_id_reaches_its_real_from_any_address(lab):
    reload(lab, quic_vip(lab, [plain()]), quic_vip(lab, [plain()], VIP6, "quic6"))
    for host, server_id in zip(lab.reals, IDS):
        cid = encode(lab, 0, server_id, os.urandom(6).hex())
        everyone_reaches(lab, cid, host)
        everyone_reaches(lab, cid, host, VIP6)
    assert lab.daemon.ctl_json("stats", "show")["quic_by_cid"] >= 3 * 24


@pytest.mark.parametrize("nonce_length", [14, 6])
def test_an_encrypted_one_does_too(lab, nonce_length):
    encrypted = plain(5, key_file=str(lab.key_file)) | {"nonce_length": nonce_length}
    reload(lab, quic_vip(lab, [plain(), encrypted]))
    for host, server_id in zip(lab.reals, IDS):
        nonce = bytes(range(nonce_length)).hex()  # a random one may encrypt to the server's ID
        cid = encode(lab, 5, server_id, nonce, f"@{lab.key_file}")
        assert bytes.fromhex(server_id) not in cid or nonce_length == 0
        everyone_reaches(lab, cid, host)
        everyone_reaches(lab, encode(lab, 0, server_id, os.urandom(6).hex()), host)


def test_without_a_readable_connection_id_the_four_tuple_decides(lab):
    reload(lab, quic_vip(lab, [plain()]))
    for payload in (b"\xc0\x00\x00\x00\x01\x08" + b"\x08\x0a\x01" + os.urandom(40),  # Initial
                    short_header(b"\xe8\x0a\x01" + os.urandom(6)),
                    short_header(b"\x08\x0a\x09" + os.urandom(6)),
                    b"no QUIC at all, just a datagram"):
        assert {ask(lab, payload) for _ in range(60)} == set(lab.reals)


def test_a_restart_changes_nothing(lab):
    reload(lab, quic_vip(lab, [plain()]))
    cid = encode(lab, 0, IDS[1], "001122334455")
    state_dir, text = lab.daemon.state_dir, lab.daemon.config.read_text()
    assert lab.daemon.stop() == 0
    everyone_reaches(lab, cid, lab.reals[1])
    lab.daemon = start(lab, text, state_dir=state_dir)
    everyone_reaches(lab, cid, lab.reals[1])


def test_a_drained_real_keeps_them_and_a_disabled_one_does_not(lab):
    reload(lab, quic_vip(lab, [plain()]))
    cid = encode(lab, 0, IDS[2], "001122334455")
    lab.daemon.ctl("real", "drain", "quic", lab.reals4[2])
    everyone_reaches(lab, cid, lab.reals[2])
    lab.daemon.ctl("real", "disable", "quic", lab.reals4[2])
    assert ask(lab, short_header(cid)) in lab.reals[:2]
    lab.daemon.ctl("real", "enable", "quic", lab.reals4[2])
    everyone_reaches(lab, cid, lab.reals[2])


def test_quic_goes_and_comes_by_a_reload(lab):
    cid = encode(lab, 0, IDS[0], "001122334455")
    reload(lab, quic_vip(lab, None))
    assert {ask(lab, short_header(cid)) for _ in range(60)} == set(lab.reals)
    reload(lab, quic_vip(lab, [plain()], ids=[IDS[1], IDS[0], IDS[2]]))
    everyone_reaches(lab, cid, lab.reals[1])


def test_a_key_is_shown_to_nobody(lab):
    reload(lab, quic_vip(lab, [plain(1, key=KEY), plain(2, key_file=str(lab.key_file))]))
    shown = [lab.daemon.ctl(*words)[1] for words in
             (("config", "show"), ("vip", "show", "quic"), ("status",), ("-j", "config", "show"),
              ("-j", "vip", "list"), ("-j", "real", "list"))]
    shown.append(lab.daemon.log_text())
    assert "server_id_length" in shown[0] and str(lab.key_file) in shown[0]
    assert not any(KEY[:8] in text for text in shown)


def test_what_is_encoded_can_be_decoded(lab):
    cid = encode(lab, 3, "0a1b2c", "00112233445566", KEY).hex()
    assert lab.daemon.ctl_json("quic", "decode", cid, 3, 7, KEY) == {
        "rotation": 3, "server_id": "0a1b2c", "nonce": "00112233445566"}
    rc, _, err = lab.daemon.ctl("quic", "decode", cid[:-2], 3, 7, KEY)
    assert rc == 1 and "at least 11 octets" in err
    rc, _, err = lab.daemon.ctl("quic", "encode", 7, "0a", "00112233")
    assert rc == 2 and "ROTATION" in err


# ---- A real QUIC stack: ngtcp2's client and server, the server's connection IDs made QUIC-LB's ----

def start_stack(lab, host, server_id):
    where = lab.dir / host / "quic"
    where.mkdir()
    (where / "name").write_text(host)
    lab.run(host, ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1",
                   "-subj", "/CN=vip", "-keyout", where / "key", "-out", where / "cert"])
    # Octets 17 and 18 are the server's own.
    words = ["env", f"QUIC_LB=4 {server_id} 13 {KEY}",
             f"LD_PRELOAD={(BUILD / 'tests/net/quic_lb_ids.so').resolve()}",
             "gtlsserver", "-q", "-d", where, "*", "4434", where / "key", where / "cert"]
    with (where / "log").open("w") as log:
        lab.popen(host, words, stdout=log, stderr=log)
    wait_for(lambda: ":4434" in lab.run(host, ["ss", "-Hlnu"]).stdout, 15, "gtlsserver listens")


@pytest.fixture(scope="module")
def stack(make_shared_lab):
    made = make_shared_lab(reals=3)
    for host, server_id in zip(made.reals, IDS):
        made.start_nginx(host)
        made.start_receiver(host, (STACK,))
        start_stack(made, host, server_id)
    made.daemon = start(made, config(stack_vip(made, quic=True)))
    return made


def stack_vip(lab, quic):
    made = quic_vip(lab, [plain(4, key=KEY) | {"nonce_length": 13}] if quic else None, STACK)
    return made | {"port": 4434}


def fetch_while_moving(lab, *how):
    """The client shakes hands, changes its port, then asks; the real's name, or None."""
    where = lab.dir / "got"
    where.mkdir(exist_ok=True)
    (where / "name").unlink(missing_ok=True)
    lab.run(lab.client, ["gtlsclient", "-q", "--timeout=3s", "--change-local-addr=100ms",
                         "--delay-stream=300ms", "--exit-on-all-streams-close",
                         f"--download={where}", *how, STACK, "4434", f"https://{STACK}/name"],
            check=False)
    return ((where / "name").exists() and (where / "name").read_text()) or None


@pytest.mark.parametrize("how", [(), ("--nat-rebinding",)], ids=["migration", "rebinding"])
def test_a_quic_connection_goes_on_when_its_clients_port_changes(stack, how):
    stack.daemon.write_config(config(stack_vip(stack, quic=True)))
    assert stack.daemon.ctl("reload")[0] == 0
    before = stack.daemon.ctl_json("stats", "show")
    names = []
    while len(names) < 12 or (len(set(names)) < 2 and len(names) < 40):
        names.append(fetch_while_moving(stack, *how))
    after = stack.daemon.ctl_json("stats", "show")
    assert None not in names and len(set(names)) >= 2, names
    assert after["quic_by_cid"] - before["quic_by_cid"] > 12 * 3


def test_without_connection_ids_some_of_them_end(stack):
    stack.daemon.write_config(config(stack_vip(stack, quic=False)))
    assert stack.daemon.ctl("reload")[0] == 0
    # The new port has another real two times in three.
    assert any(fetch_while_moving(stack, "--nat-rebinding") is None for _ in range(20))
