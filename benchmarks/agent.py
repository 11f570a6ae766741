"""`python agent.py PORT FILE`: an agent's webhook that answers at once and notes each call's id and time in the file.

Written on bare sockets: a web framework would take the very processor time that is measured.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from typing import IO

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


async def serve(port: int, path: Path) -> None:
    with path.open("a", buffering=1) as heard:

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                while await _answer_one(reader, writer, heard):
                    pass
            except (asyncio.IncompleteReadError, ConnectionError):
                pass
            finally:
                writer.close()

        server = await asyncio.start_server(connected, "127.0.0.1", port)
        async with server:
            await server.serve_forever()


async def _answer_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, heard: IO[str]) -> bool:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    at = time.time()
    headers = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
    await reader.readexactly(int(headers.get("content-length", "0")))
    heard.write(f"{headers['webhook-id']} {at}\n")
    writer.write(ANSWER)
    await writer.drain()
    return True


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), Path(sys.argv[2])))
