"""Transactions of a shop: alone, and two at once that want the same rows."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from random import Random

import asyncpg

from tests.support.mutations import Mutation, book, close_day, moment, one_of, pay, seed
from tests.support.shop_mutations import barber, offer, service, settings, take_off
from tests.support.small_shop import SmallShop
from tests.support.tag_property import World

__all__ = ["RACES", "Race", "alone", "race"]

Step = Callable[[asyncpg.Connection], Awaitable[object]]
Race = Callable[[World, Random], Awaitable[tuple[Step, Step]]]

_POLL_SECONDS = 0.003
_REFUSED = (
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.DeadlockDetectedError,
)
"""The time is taken, the row is gone, or each waits for the other."""


async def alone(world: World, mutations: Sequence[Mutation], random: Random) -> None:
    """Commit some mutations in one transaction, unless it is refused."""
    connection = world.writers[0]
    try:
        async with connection.transaction():
            for mutate in mutations:
                await mutate(connection, world.shop, random)
    except _REFUSED:
        return
    await world.settle(" and ".join(mutate.__name__ for mutate in mutations))


async def race(world: World, make: Race, random: Random, *, turned: bool, late: bool) -> None:
    """Run two transactions at once: the second begins when the first has not committed.

    `turned` changes who is first. `late` commits the second before the first, unless that
    one waits for the first.
    """
    first, second = (await make(world, random))[:: -1 if turned else 1]
    one, other = world.writers
    name = f"{make.__name__}{' turned' if turned else ''}{' late' if late else ''}"
    outer, inner = one.transaction(), other.transaction()
    await outer.start()
    if not await _goes(first, one):
        await outer.rollback()
        return
    await inner.start()
    going = asyncio.create_task(_goes(second, other))
    while not going.done() and not await _waits(world, other):
        await asyncio.wait({going}, timeout=_POLL_SECONDS)
    if late and going.done():
        await _end(world, inner, f"second of {name}", good=going.result())
        await _end(world, outer, f"first of {name}", good=True)
    else:
        await _end(world, outer, f"first of {name}", good=True)
        await _end(world, inner, f"second of {name}", good=await going)


async def _goes(step: Step, connection: asyncpg.Connection) -> bool:
    try:
        await step(connection)
    except _REFUSED:
        return False
    return True


async def _waits(world: World, connection: asyncpg.Connection) -> bool:
    return bool(
        await world.watching.fetchval(
            "SELECT cardinality(pg_blocking_pids($1)) > 0", connection.get_server_pid()
        )
    )


async def _end(
    world: World, transaction: asyncpg.transaction.Transaction, name: str, *, good: bool
) -> None:
    if not good:
        await transaction.rollback()
        return
    await transaction.commit()
    await world.settle(name)


def _of(mutate: Mutation, shop: SmallShop, random: Random) -> Step:
    return lambda connection: mutate(connection, shop, random)


def _run(statement: str, *arguments: object) -> Step:
    return lambda connection: connection.execute(statement, *arguments)


async def _paid(world: World, random: Random) -> tuple[int, int]:
    """Choose an appointment that was paid for, and a payment of it."""
    row = await world.watching.fetchrow(
        "SELECT appointment_id, id FROM payments WHERE organization_id = $1"
        " AND appointment_id IS NOT NULL ORDER BY hashint8extended(id, $2) LIMIT 1",
        world.shop.organization_id,
        seed(random),
    )
    return (0, 0) if row is None else (row[0], row[1])


async def _appointment(world: World, random: Random) -> int:
    chosen: int = await world.watching.fetchval(
        f"SELECT {one_of('appointments')}", world.shop.organization_id, seed(random)
    )
    return chosen


def _move(appointment: int, shop: SmallShop, random: Random) -> Step:
    """Move an appointment by days or months, to any barber."""
    return _run(
        "UPDATE appointments SET barber_id = $2, starts_at = starts_at + $3::interval,"
        " ends_at = ends_at + $3, blocked_from = blocked_from + $3,"
        " blocked_until = blocked_until + $3, version = version + 1 WHERE id = $1",
        appointment,
        shop.base + random.randint(1, 3),
        random.choice([timedelta(hours=h) for h in (-1490, -720, -49, -1, 25, 731, 800)]),
    )


def _pay_for(appointment: int, shop: SmallShop, random: Random) -> Step:
    return _run(
        "INSERT INTO payments (organization_id, appointment_id, barber_id, client_id, amount,"
        " paid_at) VALUES ($1, $2, $3, $4, $5, $6)",
        shop.organization_id,
        appointment,
        shop.base + random.randint(1, 3),
        shop.base + random.randint(1, 5),
        random.randint(1, 900),
        shop.at(moment(shop, random)),
    )


async def payment_of_a_moving_one(world: World, random: Random) -> tuple[Step, Step]:
    """A payment is inserted while its appointment moves."""
    chosen = await _appointment(world, random)
    return _pay_for(chosen, world.shop, random), _move(chosen, world.shop, random)


async def refund_of_a_moving_one(world: World, random: Random) -> tuple[Step, Step]:
    """A payment is given back while its appointment moves."""
    appointment, payment = await _paid(world, random)
    give = _run(
        "INSERT INTO refunds (organization_id, appointment_id, payment_id, barber_id, client_id,"
        " amount, refunded_at) SELECT organization_id, appointment_id, id, barber_id, client_id,"
        " $2, $3 FROM payments WHERE id = $1",
        payment,
        random.randint(1, 30),
        world.shop.at(moment(world.shop, random)),
    )
    return give, _move(appointment, world.shop, random)


async def correction_and_move(world: World, random: Random) -> tuple[Step, Step]:
    """A payment gets another barber, client and day while its appointment moves."""
    appointment, payment = await _paid(world, random)
    correct = _run(
        "UPDATE payments SET amount = amount + 1, barber_id = $2, client_id = $3, paid_at = $4"
        " WHERE id = $1",
        payment,
        world.shop.base + random.randint(1, 3),
        world.shop.base + random.randint(1, 5),
        world.shop.at(moment(world.shop, random)),
    )
    return correct, _move(appointment, world.shop, random)


async def link_and_move(world: World, random: Random) -> tuple[Step, Step]:
    """A payment is given to an appointment that moves."""
    _, payment = await _paid(world, random)
    chosen = await _appointment(world, random)
    link = _run("UPDATE payments SET appointment_id = $2 WHERE id = $1", payment, chosen)
    return link, _move(chosen, world.shop, random)


async def two_moves(world: World, random: Random) -> tuple[Step, Step]:
    """One appointment moves to two places."""
    chosen = await _appointment(world, random)
    return _move(chosen, world.shop, random), _move(chosen, world.shop, random)


async def status_and_move(world: World, random: Random) -> tuple[Step, Step]:
    """An appointment is called off or completed, with another client, while it moves."""
    chosen = await _appointment(world, random)
    change = _run(
        "UPDATE appointments SET status = $2, hold_until = NULL, client_id = $3,"
        " version = version + 1 WHERE id = $1",
        chosen,
        random.choice(["cancelled", "completed", "confirmed"]),
        world.shop.base + random.randint(1, 5),
    )
    return change, _move(chosen, world.shop, random)


def _two(one: Mutation, other: Mutation, name: str) -> Race:
    async def make(world: World, random: Random) -> tuple[Step, Step]:
        return _of(one, world.shop, random), _of(other, world.shop, random)

    make.__name__ = name
    return make


RACES: Mapping[str, Race] = {
    make.__name__: make
    for make in (
        payment_of_a_moving_one,
        refund_of_a_moving_one,
        correction_and_move,
        link_and_move,
        two_moves,
        status_and_move,
        _two(book, book, "two_bookings"),
        _two(book, offer, "booking_and_offer"),
        _two(book, service, "booking_and_service"),
        _two(book, barber, "booking_and_barber"),
        _two(book, take_off, "booking_and_time_off"),
        _two(book, close_day, "booking_and_closing"),
        _two(book, settings, "booking_and_zone"),
        _two(pay, settings, "payment_and_zone"),
        _two(take_off, settings, "time_off_and_zone"),
    )
}
"""By name; those with the zone touch everything, and so tell little of other tags."""
