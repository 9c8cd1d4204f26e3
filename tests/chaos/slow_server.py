#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""HTTP on port 80 of every address that takes its time: slow_server.py NAME FILE

Answers whatever is asked with NAME, so many seconds later as FILE says at that moment.
"""

import asyncio
import pathlib
import sys


async def serve(name, file):
    body = f"{name}\n".encode()
    reply = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body

    async def talk(reader, writer):
        try:
            while True:
                await reader.readuntil(b"\r\n\r\n")
                await asyncio.sleep(float(file.read_text() or 0))
                writer.write(reply)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(talk, ["0.0.0.0", "::"], 80, backlog=4096)
    print("ready", flush=True)
    await server.serve_forever()


asyncio.run(serve(sys.argv[1], pathlib.Path(sys.argv[2])))
