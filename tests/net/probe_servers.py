#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Servers for probes, most of them bad: probe_servers.py KIND PORT [ARGUMENT ...], on every address.

agent       answers with what the file ARGUMENT holds, as HAProxy's agent-check wants it
agent-slow  does so 300 ms later
The others take a certificate and its key as arguments and then speak TLS.

mute        takes connections, reads, and never says a word
garbage     answers whatever comes with bytes that are of no protocol
shut        has said its last word (FIN) before it hears anything, and goes on reading
slow        waits 300 ms before it answers a request
drip        a reply's bytes, one a second
cut         closes after half of a reply

On an ADDRESS instead of a port, for pings that the kernel ignores:
ping-late   answers 400 ms later
ping-noise  answers with others' data, with other numbers, and with half of the answer
"""

import pathlib
import socket
import ssl
import struct
import sys
import threading
import time

from tcp_server import serve

REPLY = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n"


def mute(connection):
    while connection.recv(4096):
        pass


def garbage(connection):
    connection.recv(4096)
    connection.sendall(b"\x00\xff\x80 no such protocol\r\n\xfe" * 20)


def shut(connection):
    connection.shutdown(socket.SHUT_WR)
    mute(connection)


def slow(connection):
    connection.recv(4096)
    time.sleep(0.3)
    connection.sendall(REPLY)


def drip(connection):
    connection.recv(4096)
    for byte in REPLY:
        connection.sendall(bytes([byte]))
        time.sleep(1)


def cut(connection):
    connection.recv(4096)
    connection.sendall(REPLY[:30])


def agent(connection, path, delay=0):
    time.sleep(delay)
    connection.sendall(pathlib.Path(path).read_bytes())


def echo_reply(rest):
    """An ICMP echo reply with what follows the checksum: RFC 792."""
    words = b"\0\0\0\0" + rest + b"\0" * (len(rest) % 2)
    total = sum(struct.unpack(f"!{len(words) // 2}H", words))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return struct.pack("!BBH", 0, 0, ~total & 0xffff) + rest


def serve_pings(address, answer):
    """answer(rest of a request) makes the rests of its replies."""
    s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    s.bind((address, 0))
    print("ready", flush=True)
    while True:
        packet, peer = s.recvfrom(65535)
        icmp = packet[(packet[0] & 15) * 4:]
        if icmp[0] == 8:
            threading.Thread(target=lambda rest=icmp[4:], to=peer: [
                s.sendto(echo_reply(reply), to) for reply in answer(rest)], daemon=True).start()


def ping_late(rest):
    time.sleep(0.4)
    return [rest]


def ping_noise(rest):
    return [rest[:4] + bytes(byte ^ 1 for byte in rest[4:]), rest[:3] + bytes([rest[3] ^ 1]) +
            rest[4:], rest[:len(rest) // 2], b"\0\0\0\0"]


def main(kind, port, *arguments):
    if kind.startswith("ping-"):
        serve_pings(port, {"ping-late": ping_late, "ping-noise": ping_noise}[kind])
    talk = {"agent": lambda connection: agent(connection, *arguments),
            "agent-slow": lambda connection: agent(connection, *arguments, 0.3),
            "mute": mute, "garbage": garbage, "shut": shut, "slow": slow, "drip": drip,
            "cut": cut}[kind]
    context = None
    if arguments and not kind.startswith("agent"):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*arguments)
    serve(int(port), lambda connection: talk(
        context.wrap_socket(connection, server_side=True) if context else connection))


if __name__ == "__main__":
    main(*sys.argv[1:])
