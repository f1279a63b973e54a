"""The totals of clients in plain Python over all rows, and as they are kept."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg

__all__ = ["Totals", "kept_totals", "plain_totals"]

Key = tuple[int, ...]
_VISITS = "SELECT *, starts_at AS moment FROM appointments WHERE status = 'completed'"
_PAID = "SELECT *, paid_at AS moment FROM payments WHERE status = 'completed'"
_REFUNDED = "SELECT *, refunded_at AS moment FROM refunds"


@dataclass(frozen=True, slots=True)
class Totals:
    """Days and totals by (organization, client, barber or 0): days to [visits, paid, refunded].

    A total is (first visit, last visit, last day, visit days, paid, refunded).
    """

    days: Mapping[Key, Mapping[date, list[Any]]]
    totals: Mapping[Key, tuple[Any, ...]]


async def plain_totals(connection: asyncpg.Connection) -> Totals:
    """Count every shop's rows, one by one."""
    zones = {
        row["id"]: ZoneInfo(row["time_zone"])
        for row in await connection.fetch("SELECT id, time_zone FROM organizations")
    }
    days: dict[Key, dict[date, list[Any]]] = defaultdict(dict)
    for position, query in enumerate((_VISITS, _PAID, _REFUNDED)):
        for row in await connection.fetch(query):
            if row["client_id"] is None:
                continue
            shop = row["organization_id"]
            day = row["moment"].astimezone(zones[shop]).date()
            for barber in (0, row["barber_id"]):
                nothing = [0, Decimal(0), Decimal(0)]
                counts = days[shop, row["client_id"], barber].setdefault(day, nothing)
                counts[position] += row["amount"] if position else 1
    return Totals(dict(days), {key: _sum(of_key) for key, of_key in days.items()})


def _sum(days: Mapping[date, list[Any]]) -> tuple[Any, ...]:
    visited = sorted(day for day, counts in days.items() if counts[0])
    return (
        visited[0] if visited else None,
        visited[-1] if visited else None,
        max(days),
        len(visited),
        sum(counts[1] for counts in days.values()),
        sum(counts[2] for counts in days.values()),
    )


async def kept_totals(connection: asyncpg.Connection) -> Totals:
    """Read what the triggers keep."""
    days: dict[Key, dict[date, list[Any]]] = defaultdict(dict)
    for row in await connection.fetch("SELECT * FROM client_days"):
        key = row["organization_id"], row["client_id"], row["barber_id"]
        days[key][row["day"]] = [row["visits"], row["paid"], row["refunded"]]
    names = ("first_visit", "last_visit", "last_day", "visit_days", "paid", "refunded")
    totals: dict[Key, tuple[Any, ...]] = {
        (row["organization_id"], row["client_id"], row["barber_id"]): tuple(
            row[name] for name in names
        )
        for row in await connection.fetch("SELECT * FROM client_totals")
    }
    return Totals(dict(days), totals)
