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
"""

import pathlib
import socket
import ssl
import sys
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


def main(kind, port, *arguments):
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
