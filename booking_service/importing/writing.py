"""Write a shop: books in one transaction, a made-up salon in batches on two connections."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager

import asyncpg

from booking_service.importing.copying import (
    ShopIds,
    remove_shop,
    take_ids,
    write_appointments,
    write_money,
    write_shop,
)
from booking_service.importing.progress import Advance
from booking_service.importing.records import Batch, Shop

__all__ = ["connected", "write_at_once", "write_in_batches"]


@asynccontextmanager
async def connected(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """Connect to `postgresql://...` (SQLAlchemy's spelling is understood) for a while."""
    url = database_url.replace("postgresql+asyncpg:", "postgresql:", 1)
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


async def write_at_once(connection: asyncpg.Connection, shop: Shop, batch: Batch) -> int:
    """Write a shop and all that happened in one transaction; returns its organization id."""
    async with connection.transaction():
        ids = await write_shop(connection, shop)
        appointments = await take_ids(connection, "appointments", len(batch.appointments))
        await write_appointments(connection, ids, batch, appointments)
        await write_money(connection, ids, batch, appointments)
    return ids.organization


async def write_in_batches(
    one: asyncpg.Connection,
    other: asyncpg.Connection,
    shop: Shop,
    batches: Iterator[Batch],
    advance: Advance,
) -> int:
    """Write a shop batch by batch; returns its organization id.

    While `one` takes a batch's appointments, `other` takes the money of the batch before, and a
    thread makes the batch after: one connection alone managed 6,700 appointments a second with
    their money. Money sees only committed appointments, so each batch commits; on an error or a
    cancellation all of the shop is deleted again.
    """
    async with one.transaction():
        ids = await write_shop(one, shop)
    try:
        await _pipeline(one, other, ids, batches, advance)
    except BaseException:
        async with one.transaction():
            await remove_shop(one, ids.organization)
        raise
    return ids.organization


async def _pipeline(
    one: asyncpg.Connection,
    other: asyncpg.Connection,
    ids: ShopIds,
    batches: Iterator[Batch],
    advance: Advance,
) -> None:
    money: asyncio.Task[None] | None = None
    written: tuple[Batch, Sequence[int]] | None = None
    coming = asyncio.create_task(asyncio.to_thread(next, batches, None))
    try:
        while (batch := await coming) is not None:
            if money is not None:
                await money
            async with one.transaction():
                # Before the money is encoded, which keeps the loop from short answers.
                appointments = await take_ids(one, "appointments", len(batch.appointments))
                if written is not None:
                    money = asyncio.create_task(_write_money(other, ids, *written))
                coming = asyncio.create_task(asyncio.to_thread(next, batches, None))
                await write_appointments(one, ids, batch, appointments)
            written = (batch, appointments)
            advance(len(batch.appointments))
        if money is not None:
            await money
        if written is not None:
            await _write_money(other, ids, *written)
    finally:
        # Neither may go on behind an error: what they write is about to be deleted.
        await asyncio.gather(coming, *([money] if money else []), return_exceptions=True)


async def _write_money(
    connection: asyncpg.Connection, ids: ShopIds, batch: Batch, appointments: Sequence[int]
) -> None:
    async with connection.transaction():
        await write_money(connection, ids, batch, appointments)
