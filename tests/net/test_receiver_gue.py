# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""xdplb-receiver and GUE: packets with a UDP header that scapy made, and its option."""

import socket

import pytest
from scapy.layers.inet import TCP, UDP

from receiver_lab import (BALANCER6, CLIENT4, CLIENT6, PORT, VIP4, VIP6, answer_to_syn,
                          await_frame, tunnel)

QUIET_S = 0.3  # how long nothing must come where nothing should

COMBINATIONS = [(outer, inner) for outer in (4, 6) for inner in (4, 6)]


def gue(port=6080, **fields):
    """Without a checksum, unless one is asked for: scapy computes what is None."""
    return UDP(sport=0xc001, dport=port, **{"chksum": 0, **fields})


@pytest.mark.parametrize("checksum", [0, None], ids=["zero", "computed"])
@pytest.mark.parametrize("mode", ["native", "generic"])
@pytest.mark.parametrize("outer,inner", COMBINATIONS)
def test_a_datagram_in_gue_reaches_the_server_with_the_clients_address(real, outer, inner, mode,
                                                                       checksum):
    vip, client = (VIP4, CLIENT4) if inner == 4 else (VIP6, CLIENT6)
    real.up("--mode", mode)
    server = real.server(vip, socket.SOCK_DGRAM)
    wire = real.wire()
    wire.send(tunnel(outer, inner, UDP(sport=4321, dport=PORT) / b"question",
                     udp=gue(chksum=checksum)))
    data, peer = server.recvfrom(100)
    assert (data, peer[:2]) == (b"question", (client, 4321))
    server.sendto(b"answer", peer)
    assert await_frame(wire, lambda f: UDP in f and f[UDP].dport == 4321) is not None
    assert real.counter("decapsulated") == 1


def test_the_port_can_be_another_or_none_and_stays_until_it_is_given_again(real):
    assert "GUE on UDP port 4754" in real.up("--gue-port", "4754")
    real.server(VIP4)
    wire = real.wire()
    assert answer_to_syn(wire, 4, 4, udp=gue(4754)) is not None
    assert answer_to_syn(wire, 4, 4, QUIET_S, udp=gue()) is None
    assert real.up() == "" and real.status()["gue_port"] == 4754
    assert "no longer decapsulate GUE" in real.up("--gue-port", "off")
    assert real.status()["gue_port"] is None
    assert answer_to_syn(wire, 4, 4, QUIET_S, udp=gue(4754)) is None
    assert "GUE on UDP port 6080" in real.up("--gue-port", "6080")
    assert answer_to_syn(wire, 4, 4, udp=gue()) is not None
    assert answer_to_syn(wire, 4, 4) is not None  # IP in IP all the while


def test_without_gue_segments_may_be_eight_bytes_larger(real):
    real.up("--gue-port", "off")
    real.server(VIP4)
    answer = answer_to_syn(real.wire(), 4, 4)
    assert dict(answer[TCP].options)["MSS"] == 1420


def test_only_listed_balancers_and_right_checksums_are_served(real):
    real.up("--from", "10.0.9.0/24", "--from", BALANCER6)
    real.server(VIP4)
    wire = real.wire()
    assert answer_to_syn(wire, 4, 4, QUIET_S, source="10.0.8.1", udp=gue()) is None
    assert real.counter("drop_not_a_balancer") == 1
    assert answer_to_syn(wire, 6, 4, QUIET_S, udp=gue(chksum=0x1234)) is None
    assert real.counter("drop_gue_checksum") == 1
    assert answer_to_syn(wire, 6, 4, udp=gue(chksum=None)) is not None


def test_other_datagrams_to_the_real_are_not_touched(real):
    real.up()
    server = real.server(VIP4, socket.SOCK_DGRAM)
    wire = real.wire()
    wire.send(tunnel(4, 4, UDP(sport=4321, dport=PORT) / b"question", udp=gue(6081)))
    assert real.counter("decapsulated") == 0 and real.counter("pass_not_tunnel") >= 1
    server.settimeout(QUIET_S)
    with pytest.raises(socket.timeout):
        server.recv(100)
