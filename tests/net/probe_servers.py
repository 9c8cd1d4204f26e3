#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Servers that treat a probe badly: probe_servers.py KIND PORT [CERTIFICATE KEY], on every address.

mute        takes connections, reads, and never says a word
garbage     answers whatever comes with bytes that are of no protocol
shut        has said its last word (FIN) before it hears anything, and goes on reading
slow        waits 300 ms before it answers; with a certificate: a request over TLS
drip        a reply's bytes, one a second; with a certificate: over TLS
cut         with a certificate: closes after half of a reply, without a close of TLS
"""

import socket
import socketserver
import ssl
import sys
import time

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


class Server(socketserver.ThreadingTCPServer):
    address_family = socket.AF_INET6
    allow_reuse_address = True
    request_queue_size = 128
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass  # a probe that gave up


def main(kind, port, *certificate):
    talk = {"mute": mute, "garbage": garbage, "shut": shut, "slow": slow, "drip": drip,
            "cut": cut}[kind]
    context = None
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)

    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            talk(context.wrap_socket(self.request, server_side=True) if context
                 else self.request)

    with Server(("::", int(port)), Handler) as server:
        print("ready", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
