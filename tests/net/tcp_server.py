# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A TCP server on every address, for servers.py and probe_servers.py."""

import socket
import socketserver


class Server(socketserver.ThreadingTCPServer):
    address_family = socket.AF_INET6
    allow_reuse_address = True
    request_queue_size = 128
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass  # a probe that gave up


def serve(port, talk):
    """Calls talk(connection) for every connection, in a thread of its own; never returns."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            talk(self.request)

    with Server(("::", port), Handler) as server:
        print("ready", flush=True)
        server.serve_forever()
