#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Small servers that run on a real: servers.py KIND PORT NAME, listening on every address.

udp-echo  answers a datagram with "NAME CLIENT-ADDRESS DATAGRAM", from the address it was sent to
udp-noise answers a datagram with bytes that are no answer
udp-mute  takes datagrams and never says a word
udp-late  hands datagrams to the port 1000 below its own, and the answer back after 0.4 s
sink      reads a TCP connection to its end, then answers with the number of bytes and their hash
garbage   answers with bytes that are no HTTP
drip      answers with HTTP, one byte a second
silent    takes connections and never says a word
"""

import hashlib
import socket
import struct
import sys
import threading
import time

from tcp_server import serve

IPV6_RECVPKTINFO = 49
IPV6_PKTINFO = 50


def udp_echo(port, name):
    s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    s.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVPKTINFO, 1)
    s.bind(("::", port))
    print("ready", flush=True)
    while True:
        data, ancillary, _flags, peer = s.recvmsg(65535, 256)
        client = peer[0].removeprefix("::ffff:")
        # From the VIP, by whatever interface the route says.
        to = [(socket.IPPROTO_IPV6, IPV6_PKTINFO, info[:16] + struct.pack("i", 0))
              for _level, kind, info in ancillary if kind == IPV6_PKTINFO]
        s.sendmsg([f"{name} {client} ".encode() + data], to, 0, peer)


def serve_udp(port, answer):
    """answer(datagram) makes a reply, or None for none."""
    s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    s.bind(("::", port))
    print("ready", flush=True)
    while True:
        data, peer = s.recvfrom(65535)
        threading.Thread(target=lambda d=data, p=peer: (r := answer(d)) and s.sendto(r, p),
                         daemon=True).start()


def ask_late(port, data):
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as s:
        s.settimeout(5)
        s.connect(("::1", port))
        s.send(data)
        reply = s.recv(65535)
    time.sleep(0.4)
    return reply


def udp_server(kind, port):
    serve_udp(port, {"udp-noise": lambda _: b"\x00\xff\x80 no answer \xfe" * 20,
                     "udp-mute": lambda _: None,
                     "udp-late": lambda data: ask_late(port - 1000, data)}[kind])


def sink(connection):
    digest, size = hashlib.sha256(), 0
    while data := connection.recv(65536):
        digest.update(data)
        size += len(data)
    connection.sendall(f"{size} {digest.hexdigest()}".encode())


def garbage(connection):
    connection.recv(4096)
    connection.sendall(b"\x00\xff\x80 no HTTP\r\n\xfe" * 20)


def drip(connection):
    for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n":
        connection.sendall(bytes([byte]))
        time.sleep(1)


def silent(connection):
    while connection.recv(4096):
        pass


def main(kind, port, name):
    if kind == "udp-echo":
        udp_echo(int(port), name)
    elif kind.startswith("udp-"):
        udp_server(kind, int(port))
    serve(int(port), {"sink": sink, "garbage": garbage, "drip": drip, "silent": silent}[kind])


main(*sys.argv[1:])
