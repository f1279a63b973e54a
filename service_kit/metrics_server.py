"""Serve the metrics over HTTP on a port of their own.

On the event loop, not on a thread as prometheus_client does: collectors read
what the loop changes, and need no locks this way.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

__all__ = ["serve_metrics"]

_REQUEST_SECONDS = 5.0
_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@asynccontextmanager
async def serve_metrics(
    render: Callable[[], Awaitable[bytes]], host: str, port: int
) -> AsyncIterator[int]:
    """Answer `GET /metrics` with what `render` returns, in Prometheus' text format.

    Yields the port (0 asks for a free one), and answers while the context lasts. Raises
    OSError if the address cannot be bound.
    """

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(
            OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError
        ):
            async with asyncio.timeout(_REQUEST_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(await _response(render, head.split(b"\r\n", 1)[0]))
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, host, port)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def _response(render: Callable[[], Awaitable[bytes]], request_line: bytes) -> bytes:
    method, _, rest = request_line.partition(b" ")
    path = rest.split(b" ", 1)[0].split(b"?", 1)[0]
    if path not in {b"/metrics", b"/"}:
        status, body = "404 Not Found", b"The metrics are at /metrics.\n"
    elif method not in {b"GET", b"HEAD"}:
        status, body = "405 Method Not Allowed", b"Ask with GET.\n"
    else:
        status, body = "200 OK", await render()
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: {_CONTENT_TYPE}\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + (b"" if method == b"HEAD" else body)
