#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Clients of a VIP, until SIGTERM: client.py ADDRESS RATE TIMEOUT N-LONG LONG-TIMEOUT

RATE new connections a second, whether earlier ones are answered or not, each with one request and
TIMEOUT seconds from the first SYN to the end of the answer; and N-LONG connections on which a
request follows the other four times a second, opened again when they are lost.

Writes a line of JSON for each request that was answered or failed, and for each long connection
that was lost: kind ("new", "long", "lost"), began and ended (CLOCK_MONOTONIC), real (that answered,
or whose connection it was), error; id of a long connection's client.
"""

import asyncio
import json
import re
import signal
import socket
import sys
import time

REQUEST = b"GET / HTTP/1.1\r\nHost: vip\r\n\r\n"
ANSWER = re.compile(rb"\r\n\r\n(.+)\n$")
LONG_PAUSE_S = 0.25


def report(kind, began, real, error=None, **more):
    print(json.dumps({"kind": kind, "began": began, "ended": time.monotonic(), "real": real,
                      "error": error, **more}), flush=True)


def word(failure):
    return "timeout" if isinstance(failure, asyncio.TimeoutError) else type(failure).__name__


async def opened(address):
    connection = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    connection.setblocking(False)
    try:
        await asyncio.get_running_loop().sock_connect(connection, (address, 80))
    except BaseException:
        connection.close()
        raise
    return connection


async def ask(connection):
    """The name of the real that answers."""
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(connection, REQUEST)
    reply = b""
    while not (match := ANSWER.search(reply)):
        data = await loop.sock_recv(connection, 4096)
        if not data:
            raise ConnectionError("closed")
        reply += data
    return match[1].decode()


async def ask_once(address):
    connection = await opened(address)
    try:
        return await ask(connection)
    finally:
        connection.close()


async def request(address, timeout):
    began = time.monotonic()
    try:
        report("new", began, await asyncio.wait_for(ask_once(address), timeout))
    except (OSError, asyncio.TimeoutError) as failure:
        report("new", began, None, word(failure))


async def ask_on(address, timeout, number):
    """One long connection after the other."""
    while True:
        real, connection, began = None, None, time.monotonic()
        try:
            connection = await asyncio.wait_for(opened(address), timeout)
            while True:
                began = time.monotonic()
                real = await asyncio.wait_for(ask(connection), timeout)
                report("long", began, real, id=number)
                await asyncio.sleep(LONG_PAUSE_S)
        except (OSError, asyncio.TimeoutError) as failure:
            if real:  # else it never was one
                report("lost", began, real, word(failure), id=number)
            await asyncio.sleep(LONG_PAUSE_S)
        finally:
            if connection:
                connection.close()


async def main(address, rate, timeout, n_long, long_timeout):
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    long = [asyncio.create_task(ask_on(address, long_timeout, i)) for i in range(n_long)]
    pending, due = set(), time.monotonic()
    while not ended.is_set():
        task = asyncio.create_task(request(address, timeout))
        pending.add(task)
        task.add_done_callback(pending.discard)
        # What a busy machine kept this program from doing is not made up for in one burst.
        due = max(due + 1 / rate, time.monotonic() - 0.1)
        await asyncio.sleep(max(0, due - time.monotonic()))
    await asyncio.gather(*pending)
    for task in long:
        task.cancel()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], float(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4]),
                     float(sys.argv[5])))
