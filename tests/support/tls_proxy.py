"""TLS before a server that has none: the embedded Postgres and Valkey are built without."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from tests.support.certificates import Issued

__all__ = ["tls_before"]

_SSL_REQUEST = bytes.fromhex("0000000804d2162f")
"""What a Postgres client asks with, before TLS begins."""


@asynccontextmanager
async def tls_before(
    port: int, shown: Issued, *, client_ca: Issued | None = None, postgres: bool = False
) -> AsyncIterator[int]:
    """Pass on to a port of the loopback what comes over TLS; yields the port to come to.

    With `client_ca` who comes must show a certificate of that authority.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(shown.certificate, shown.key)
    if client_ca is not None:
        context.load_verify_locations(client_ca.ca)
        context.verify_mode = ssl.CERT_REQUIRED
    tasks: set[asyncio.Task[None]] = set()

    async def passed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            if postgres:
                if await reader.readexactly(len(_SSL_REQUEST)) != _SSL_REQUEST:
                    writer.close()  # a client that would go on without
                    return
                writer.write(b"S")
                await writer.start_tls(context)
            inner, outer = await asyncio.open_connection("127.0.0.1", port)
            await asyncio.gather(passed(reader, outer), passed(inner, writer))

    def come(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(come, "127.0.0.1", 0, ssl=None if postgres else context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
