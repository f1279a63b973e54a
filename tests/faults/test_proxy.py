"""The proxy does what the faults say it does."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from random import Random

import pytest

from tests.faults.proxy import Direction, Link, Proxy
from tests.support.waiting import eventually


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        with suppress(OSError):
            while data := await reader.read(1000):
                writer.write(data)
    finally:
        await _closed(writer)


@asynccontextmanager
async def _echoing() -> AsyncIterator[Proxy]:
    server = await asyncio.start_server(_echo, "127.0.0.1", 0)
    async with server, Proxy("echo", server.sockets[0].getsockname()[1], Random(1)) as proxy:  # noqa: S311
        yield proxy


class _Clients(AsyncExitStack):
    """Connections that are closed in the end, whatever became of them."""

    async def connect(self, proxy: Proxy) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open one more."""
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        self.push_async_callback(_closed, writer)
        return reader, writer


async def _closed(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()
    with suppress(OSError):
        await writer.wait_closed()


@pytest.mark.parametrize("direction", list(Direction))
async def test_held_bytes_arrive_in_order_once_released(direction: Direction) -> None:
    """Nothing passes in a held direction; its release delivers all."""
    async with _echoing() as proxy, _Clients() as clients:
        reader, writer = await clients.connect(proxy)
        writer.write(b"before ")
        assert await reader.readexactly(7) == b"before "
        proxy.hold(direction)
        writer.write(b"one ")
        await eventually(lambda: asyncio.sleep(0, proxy.counts["held_bytes"] == 4))
        proxy.slow(0.0, 0.01)
        writer.write(b"two ")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.05)
        proxy.heal()
        assert await reader.readexactly(8) == b"one two "


async def test_held_bytes_are_lost_with_their_connection() -> None:
    """A fault that loses resets the connection, and a new one works."""
    async with _echoing() as proxy, _Clients() as clients:
        reader, writer = await clients.connect(proxy)
        proxy.hold(Direction.REQUESTS)
        writer.write(b"lost")
        await eventually(lambda: asyncio.sleep(0, proxy.counts["held_bytes"] == 4))
        proxy.heal(lose=True)
        with pytest.raises(OSError):  # noqa: PT011 - any way of being reset
            assert await reader.read(4) or _reset()
        assert proxy.counts["lost_bytes"] == 4
        reader, writer = await clients.connect(proxy)
        writer.write(b"new")
        assert await reader.readexactly(3) == b"new"


def _reset() -> bool:
    raise ConnectionResetError


async def test_a_cut_link_refuses_until_it_is_healed() -> None:
    """A cut resets what is open and what comes."""
    async with _echoing() as proxy, _Clients() as clients:
        reader, _ = await clients.connect(proxy)
        await eventually(lambda: asyncio.sleep(0, len(proxy.links)))
        proxy.cut()
        for _ in range(2):
            with pytest.raises(OSError):  # noqa: PT011 - any way of being reset
                assert await reader.read(1) or _reset()
            reader, _ = await clients.connect(proxy)
        await eventually(lambda: asyncio.sleep(0, proxy.counts["refused"]))
        proxy.heal()
        reader, writer = await clients.connect(proxy)
        writer.write(b"healed")
        assert await reader.readexactly(6) == b"healed"


async def test_a_tap_may_take_what_it_sees() -> None:
    """What the tap takes does not arrive; the rest does."""
    seen: list[bytes] = []

    def tap(_: Link, direction: Direction, data: bytes) -> bool:
        seen.append(data)
        return direction is Direction.REQUESTS and data == b"taken"

    async with _echoing() as proxy, _Clients() as clients:
        reader, writer = await clients.connect(proxy)
        proxy.taps.append(tap)
        writer.write(b"taken")
        await eventually(lambda: asyncio.sleep(0, seen))
        writer.write(b"passed")
        assert await reader.readexactly(6) == b"passed"
        assert seen == [b"taken", b"passed", b"passed"]
