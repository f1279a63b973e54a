"""What the database says in the end: which mutations it has, and whether all is in order."""

from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

import asyncpg

from booking_service.postgres import totals
from chairside.booking.v1 import booking_service_pb2 as pb
from tests.faults.checker import Violation
from tests.faults.history import History, Visit, Write
from tests.faults.mutating import read_answer
from tests.faults.shop import Shop
from tests.support.plain_totals import Totals, kept_totals, plain_totals

__all__ = ["check_database", "check_totals", "resolve"]

_Name = tuple[str, tuple[int, ...]]
_Kept = Mapping[_Name, object]


async def resolve(connection: asyncpg.Connection, history: History) -> int:
    """Find out which unanswered mutations were committed; return how many were.

    A mutation leaves its request id in its own transaction, with its response.
    """
    unknown = {UUID(one.request_id): one for one in history.writes if one.committed is None}
    rows = await connection.fetch(
        "SELECT request_id, response FROM request_ids"
        " WHERE request_id = ANY($1) AND response IS NOT NULL",
        list(unknown),
    )
    for row in rows:
        write = unknown.pop(row["request_id"])
        message: Any = getattr(pb, f"{write.method}Response").FromString(row["response"])
        read_answer(write, message)
        write.committed = True
    for write in unknown.values():
        write.committed = False
    return len(rows)


async def check_database(
    connection: asyncpg.Connection, shop: Shop, history: History
) -> list[Violation]:
    """Compare the final state with the history: lost, unheard of, or overlapping."""
    committed = [write for write in history.writes if write.committed]
    found = await _check_visits(connection, shop, committed)
    for table in ("payments", "refunds"):
        rows = await connection.fetch(
            f"SELECT id, (amount * 100)::bigint AS cents FROM {table}"  # noqa: S608 - two names
            " WHERE organization_id = $1",
            shop.organization_id,
        )
        known = {
            write.money.id: write.money.cents
            for write in committed
            if write.money is not None and write.money.refund == (table == "refunds")
        }
        found += _differences(table, {row["id"]: row["cents"] for row in rows}, known)
    overlaps = await connection.fetch(
        "SELECT a.id, b.id AS other FROM appointments a JOIN appointments b"
        " ON a.barber_id = b.barber_id AND a.id < b.id AND a.blocked && b.blocked"
        " WHERE a.organization_id = $1 AND a.status <> 'cancelled' AND b.status <> 'cancelled'",
        shop.organization_id,
    )
    found += [
        Violation("overlap", f"appointments {row['id']} and {row['other']}") for row in overlaps
    ]
    return found


async def check_totals(database_url: str, organization_id: int) -> list[Violation]:
    """Compare the totals that triggers kept with the rows, as `booking_service totals check`.

    If that finds nothing, plain Python and a rebuild must find the same totals.
    """
    found: list[Violation] = []
    await totals.check(
        database_url,
        organization_id,
        lambda difference: found.append(Violation("totals", str(difference))),
    )
    if found:
        return found
    connection = await asyncpg.connect(database_url)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            kept = _of_shop(await kept_totals(connection), organization_id)
            counted = _of_shop(await plain_totals(connection), organization_id)
        await totals.rebuild(database_url, organization_id)
        rebuilt = _of_shop(await kept_totals(connection), organization_id)
    finally:
        await connection.close()
    return [
        Violation("totals", f"kept {name} of {key}: {mine}, {how} {theirs}")
        for how, other in (("counted in Python", counted), ("rebuilt", rebuilt))
        for (name, key), mine, theirs in _unlike(kept, other)
    ]


def _of_shop(found: Totals, organization_id: int) -> _Kept:
    days = {("days", key): days for key, days in found.days.items() if key[0] == organization_id}
    sums = {("totals", key): one for key, one in found.totals.items() if key[0] == organization_id}
    return days | sums


def _unlike(kept: _Kept, other: _Kept) -> Iterator[tuple[_Name, object, object]]:
    for name in sorted(kept.keys() | other.keys()):
        if kept.get(name) != other.get(name):
            yield name, kept.get(name), other.get(name)


async def _check_visits(
    connection: asyncpg.Connection, shop: Shop, committed: list[Write]
) -> list[Violation]:
    rows = await connection.fetch(
        "SELECT id, version, barber_id, service_id, client_id, status,"
        " extract(epoch FROM starts_at)::bigint AS starts,"
        " extract(epoch FROM ends_at)::bigint AS ends"
        " FROM appointments WHERE organization_id = $1",
        shop.organization_id,
    )
    kept = {
        row["id"]: Visit(
            row["version"],
            row["barber_id"],
            row["service_id"],
            row["client_id"],
            row["starts"],
            row["ends"],
            row["status"].upper(),
        )
        for row in rows
    }
    known: dict[int, Visit] = {}
    for write in committed:
        for name, visit in write.visits.items():
            known[name] = max(visit, known.get(name, visit))
    return _differences("appointments", kept, known)


def _differences(what: str, kept: Mapping[int, Any], known: Mapping[int, Any]) -> list[Violation]:
    found = []
    for name in kept.keys() | known.keys():
        if name not in known:
            found.append(Violation("phantom", f"{what} {name}: nobody made it"))
        elif name not in kept:
            found.append(Violation("lost", f"{what} {name}: {known[name]} is gone"))
        elif kept[name] != known[name]:
            detail = f"{what} {name}: kept is {kept[name]}, made was {known[name]}"
            found.append(Violation("lost", detail))
    return found
