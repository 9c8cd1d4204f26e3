# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Fragmented datagrams of real clients: DNS with large questions and answers; foreign ones."""

import contextlib
import socket
import struct

import pytest

from lab import VIP4, VIP6, wait_for
from traffic import config, start, vip

TXT, OPT, IN = 16, 41, 1
PADDING = 12  # EDNS option (RFC 7830)
ANSWER = 4000  # bytes of text
FOREIGN = ["10.1.0.10", "fd00:1::10"]


def start_dns(lab, host):
    """A DNS server that answers a TXT question for big.test with its name and much more."""
    words = [host] + ["x" * 250] * (ANSWER // 250)
    process = lab.popen(host, ["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null",
                               "--user=root", "--pid-file=", "--no-resolv", "--no-hosts",
                               "--log-facility=-", "--edns-packet-max=4096",
                               f"--txt-record=big.test,{','.join(words)}"])
    wait_for(lambda: ":53 " in lab.run(host, ["ss", "-Hlun"]).stdout, 15, "dnsmasq listens")
    return process


@pytest.fixture(scope="module")
def lab(make_shared_lab):
    made = make_shared_lab()
    made.start_reals()
    for host in made.reals:
        start_dns(made, host)
    made.daemon = start(made, config(vip(made.reals4, "dns", VIP4, 53, "udp"),
                                     vip(made.reals6, "dns6", VIP6, 53, "udp")))
    return made


def question(number, size):
    """A TXT question for big.test, padded to `size` bytes."""
    head = struct.pack(">6H", number, 0x0100, 1, 0, 0, 1)
    asked = b"\x03big\x04test\0" + struct.pack(">2H", TXT, IN)
    room = size - len(head) - len(asked) - 11 - 4
    options = struct.pack(">2H", PADDING, room) + bytes(room) if room > 0 else b""
    return head + asked + struct.pack(">B2HLH", 0, OPT, 4096, 0, len(options)) + options


class Asker:
    """A client's socket: one flow."""

    def __init__(self, lab, address):
        with lab.inside(lab.client):
            self.socket = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET,
                                        socket.SOCK_DGRAM)
        self.socket.connect((address, 53))

    def ask(self, size, tries=3):
        """The name of the real that answers; asks again as a resolver does."""
        self.socket.settimeout(1 if tries > 1 else 10)
        for number in range(tries):
            self.socket.send(question(number, size))
            with contextlib.suppress(TimeoutError):
                while True:
                    answer = self.socket.recv(65535)
                    if answer[:2] == struct.pack(">H", number):
                        return self.check(answer)
        raise AssertionError(f"no answer to {tries} questions")

    @staticmethod
    def check(answer):
        assert len(answer) > ANSWER and answer[3] & 15 == 0
        assert struct.unpack(">H", answer[6:8])[0] == 1
        assert answer.count(b"x" * 250) == ANSWER // 250
        at = answer.index(b"real") - 1
        return answer[at + 1:at + 1 + answer[at]].decode()

    def close(self):
        self.socket.close()


@pytest.fixture
def asker(lab):
    made = []

    def make(address):
        made.append(Asker(lab, address))
        return made[-1]
    yield make
    for one in made:
        one.close()


def counters(lab):
    return lab.daemon.ctl_json("stats", "show")


def growth(before, after):
    return {name: after[name] - before[name] for name in after if after[name] != before[name]}


@pytest.mark.parametrize("address", [VIP4, VIP6])
def test_large_answers_arrive(lab, asker, address):
    before = counters(lab)
    assert {asker(address).ask(60) for _ in range(20)} <= set(lab.reals)
    rose = growth(before, counters(lab))
    # A real's first answer over IPv6 has two fragments that are too large for the client's link.
    # The router's error about the second one quotes no ports, and nobody needs it.
    dropped = {name for name in rose if name.startswith("drop")}
    assert dropped <= ({"drop_icmp_quote"} if ":" in address else set()), rose


@pytest.mark.parametrize("address", [VIP4, VIP6])
def test_a_question_in_three_fragments_is_answered_by_the_flows_real(lab, asker, address):
    flows = [asker(address) for _ in range(30)]
    reals = [one.ask(60) for one in flows]  # by now the reals know the path's MTU
    assert len(set(reals)) > 1
    before = counters(lab)
    assert [one.ask(3500, tries=1) for one in flows] == reals
    rose = growth(before, counters(lab))
    assert rose["flow_fragment"] == 2 * len(flows)
    assert not [name for name in rose if name.startswith("drop")], rose


@pytest.mark.parametrize("address", [VIP4, VIP6])
def test_a_new_flow_may_begin_with_fragments(lab, asker, address):
    asker(address).ask(60)
    before = counters(lab)
    reals = {asker(address).ask(3500) for _ in range(30)}
    assert reals <= set(lab.reals) and len(reals) > 1
    assert "drop_fragment_unknown" not in growth(before, counters(lab))


@pytest.mark.parametrize("address", FOREIGN)
@pytest.mark.parametrize("options", [["-s", "56"], ["-s", "4000"], ["-s", "20000"]], ids=" ".join)
def test_pings_and_fragments_to_other_addresses_reach_the_host(lab, address, options):
    before = counters(lab)
    lab.run(lab.client, ["ping", "-n", "-c", "3", "-i", "0.05", "-W", "2", *options, address])
    rose = growth(before, counters(lab))
    assert rose["pass_no_vip"] >= 3
    assert not [name for name in rose if not name.startswith("pass")], rose


def test_ipv4_options_to_another_address_reach_the_host(lab):
    out = lab.run(lab.client, ["ping", "-n", "-R", "-c", "1", "-W", "2", "10.1.0.10"]).stdout
    assert "RR:" in out
