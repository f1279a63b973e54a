"""The client's channel: who it says it is, over TLS, with files that are renewed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme

from cache_service.client import CacheClient
from cache_service.client.link import Link
from chairside.cache.v1 import cache_service_pb2 as pb
from service_kit.calls import Context
from service_kit.rpc import register
from service_kit.tls import TlsError, TlsFiles, server_credentials
from tests.support.certificates import Issued, issue
from tests.support.grpc_server import SERVICE, calls_of_nobody

PATH = f"/{SERVICE.full_name}/GetStats"


class Servicer:
    """Keep who asked: the name in the certificate, and the token."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.entered, self.go_on = asyncio.Event(), asyncio.Event()

    def _take(self, context: Context) -> None:
        names = context.auth_context().get("x509_common_name", [b""])
        sent = dict(context.invocation_metadata() or ())
        self.asked.append((names[0].decode(), str(sent.get("authorization", ""))))

    async def GetStats(self, _request: Any, context: Context) -> pb.GetStatsResponse:
        """Answer."""
        self._take(context)
        return pb.GetStatsResponse()

    async def Warm(self, _request: Any, _context: Context) -> pb.WarmResponse:
        """Answer when told to."""
        self.entered.set()
        await self.go_on.wait()
        return pb.WarmResponse(entries_filled=7)

    async def Watch(self, _request: Any, context: Context) -> AsyncIterator[bytes]:
        """Take note of who watches."""
        self._take(context)
        self.entered.set()
        yield b""


@asynccontextmanager
async def serve(servicer: Servicer, shown: Issued, callers: Path) -> AsyncIterator[str]:
    """Serve over mTLS."""
    server = grpc.aio.server()
    register(server, SERVICE, servicer, calls_of_nobody())
    files = TlsFiles(shown.certificate, shown.key, callers)
    port = server.add_secure_port("127.0.0.1:0", server_credentials(files, mutual=True))
    await server.start()
    yield f"127.0.0.1:{port}"
    await server.stop(None)


async def test_renewed_files_are_taken_and_calls_under_way_go_on(tmp_path: Path) -> None:
    """Within a second of looking; the token goes along, on calls and on the stream."""
    now = 0.0
    authority = trustme.CA()
    server = issue(authority, tmp_path / "server", "127.0.0.1")
    one = issue(authority, tmp_path / "client", common_name="first")
    servicer = Servicer()
    files = TlsFiles(one.certificate, one.key, server.ca)
    async with serve(servicer, server, one.ca) as address:
        link = Link(address, tls=files, token="secret", metadata=tuple, clock=lambda: now)  # noqa: S106
        ask = link.unary_unary(PATH)
        await ask(b"", timeout=20)
        waiting = asyncio.ensure_future(
            link.unary_unary(f"/{SERVICE.full_name}/Warm")(b"", timeout=20)
        )
        await servicer.entered.wait()
        issue(authority, tmp_path / "client", common_name="second")
        await ask(b"", timeout=20)
        now = 1.0
        await ask(b"", timeout=20)
        async for _ in link.watch():
            pass
        servicer.go_on.set()
        assert pb.WarmResponse.FromString(await waiting).entries_filled == 7
        one.certificate.write_bytes(b"rubbish")
        now = 2.0
        await ask(b"", timeout=20)
        await link.close()
    names = [name for name, _ in servicer.asked]
    assert names == ["first", "first", "second", "second", "second"]
    assert {token for _, token in servicer.asked} == {"Bearer secret"}


async def test_files_that_cannot_be_used_are_said_at_once(tmp_path: Path) -> None:
    """The client is not made."""
    with pytest.raises(TlsError, match="No such file"):
        CacheClient("127.0.0.1:1", tls=TlsFiles(None, None, tmp_path / "ca.pem"))
