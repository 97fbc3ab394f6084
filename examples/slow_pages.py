"""A small web server with slow pages, for titles.ipynb: GET /N answers after 50 ms with page N and its title.

    python slow_pages.py        serves on a free port of 127.0.0.1, prints it, and ends when its standard input closes

So the server needs no stopping: it ends with the notebook's kernel, however that ends. It stands in for the network,
so it is one asyncio loop that spends as little of the processor as it can while hundreds of requests wait.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import threading

DELAY = 0.05  # seconds
PAGE = "<!doctype html><html><head><title>Page {number}: {noun}</title></head><body>Nothing more.</body></html>"
NOUNS = ("otters", "lighthouses", "glaciers", "marzipan", "comets", "accordions", "moss", "pelicans", "thunder", "ink")


async def serve_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer requests until the client closes the connection."""
    try:
        while request := await reader.readuntil(b"\r\n\r\n"):
            path = request.split(b" ", 2)[1].decode("ascii", "replace")
            await asyncio.sleep(DELAY)
            writer.write(answer(path.removeprefix("/")))
            await writer.drain()
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
        pass  # the client went away, or speaks something else
    finally:
        writer.close()


def answer(number: str) -> bytes:
    """The whole HTTP answer for one page."""
    if number.isdecimal():
        status, body = "200 OK", PAGE.format(number=number, noun=NOUNS[int(number) % len(NOUNS)])
    else:
        status, body = "404 Not Found", "<title>Not found</title>"
    head = f"HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {len(body)}\r\n\r\n"
    return (head + body).encode()


async def main() -> None:
    """Serve until standard input ends."""
    # Hundreds of clients connect at the same moment; the default backlog of 100 would turn some away.
    server = await asyncio.start_server(serve_connection, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()

    def wait_for_end() -> None:
        sys.stdin.read()
        loop.call_soon_threadsafe(ended.set)

    threading.Thread(target=wait_for_end, daemon=True).start()
    await ended.wait()


if __name__ == "__main__":
    # Interrupting the notebook's kernel reaches its children too; this one is to go on.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    asyncio.run(main())
