"""What the reports of GetAnalytics have in common: their requests, loading, and figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from google.type import money_pb2
from sqlalchemy import TextClause
from sqlalchemy.ext.asyncio import AsyncConnection

from booking_service.domain.money import to_cents
from cache_service.invalidation import tags
from cache_service.queries.ranges import required_range
from chairside.cache.v1 import cache_service_pb2
from service_kit.errors import NotFound
from service_kit.validation import Violations
from service_kit.values import to_money

__all__ = [
    "AsOfArguments",
    "RangeArguments",
    "as_of_arguments",
    "as_of_day",
    "cents",
    "days_and_day",
    "load_as_of",
    "load_ranges",
    "load_rows",
    "needs_as_of",
    "number",
    "range_arguments",
    "report_days",
    "subject_tags",
]

MAX_RANGE_DAYS = 3660

Request = cache_service_pb2.GetAnalyticsRequest


@dataclass(frozen=True, slots=True)
class RangeArguments:
    """Whom a report is about (0: the shop), and its local days [start, end)."""

    organization_id: int
    barber_id: int
    start: date
    end: date


@dataclass(frozen=True, slots=True)
class AsOfArguments:
    """Whom a report is about (0: the shop), as of which local day."""

    organization_id: int
    barber_id: int
    as_of: date


def as_of_arguments(request: Request, today: date | None) -> list[AsOfArguments]:
    """Read the request of a report that counts back from a day and has no options."""
    found = Violations()
    as_of = as_of_day(found, request, today)
    found.raise_if_any()
    return [AsOfArguments(request.organization_id, request.barber_id, as_of)]


def range_arguments(request: Request, _today: date | None) -> list[RangeArguments]:
    """Read the request of a report over a range that has no options."""
    found = Violations()
    start, end = report_days(found, request)
    found.raise_if_any()
    return [RangeArguments(request.organization_id, request.barber_id, start, end)]


def report_days(found: Violations, request: Request) -> tuple[date, date]:
    """Read who and when of a report over a range; it takes no as_of_date."""
    _who(found, request)
    days = required_range(found, request, most=MAX_RANGE_DAYS)
    if request.HasField("as_of_date"):
        _refuse(found, request, "as_of_date")
    return days


def as_of_day(found: Violations, request: Request, today: date | None) -> date:
    """Read who and when of a report that counts back from a day; it takes no range."""
    _who(found, request)
    if request.HasField("start_date"):
        _refuse(found, request, "start_date")
    if request.HasField("end_date"):
        _refuse(found, request, "end_date")
    return _day(found, request, today)


def days_and_day(
    found: Violations, request: Request, today: date | None
) -> tuple[date, date, date]:
    """Read who and when of a report that takes both a range and a day to count back from."""
    _who(found, request)
    start, end = required_range(found, request, most=MAX_RANGE_DAYS)
    return start, end, _day(found, request, today)


def needs_as_of(request: Request) -> bool:
    """Tell whether a report that counts back from a day asks for today."""
    return not request.HasField("as_of_date")


def _who(found: Violations, request: Request) -> None:
    found.id("organization_id", request.organization_id)
    found.optional_id("barber_id", request.barber_id)


def _day(found: Violations, request: Request, today: date | None) -> date:
    day = found.date("as_of_date", request.as_of_date, has=request.HasField("as_of_date"))
    # Without a day there is a violation, of the day or of the organization.
    return day or today or date.min


def _refuse(found: Violations, request: Request, field: str) -> None:
    found.add(field, f"is not taken by the report {request.WhichOneof('report')}")


def subject_tags(barber_id: int) -> tuple[str, ...]:
    """Return the tag by which a barber's report depends on that there is the barber."""
    return (tags.barber(barber_id),) if barber_id else ()


async def load_rows(
    connection: AsyncConnection,
    statement: TextClause,
    arguments: Sequence[Any],
    parameters: dict[str, object],
) -> list[Any]:
    """Run a report's statement: one row for each of `arguments`, in order.

    The statement takes `organization_id` and `barber_ids` beside `parameters`, and gives
    `number` (from 1) and `known`: whether the barber is there. NotFound: the organization or
    a barber.
    """
    organization_id = arguments[0].organization_id
    barber_ids = [one.barber_id for one in arguments]
    rows = await connection.execute(
        statement, {"organization_id": organization_id, "barber_ids": barber_ids, **parameters}
    )
    found = {row.number: row for row in rows}
    if not found:
        raise NotFound("organization", organization_id)
    for index, one in enumerate(arguments):
        if one.barber_id and not found[index + 1].known:
            raise NotFound("barber", one.barber_id)
    return [found[index + 1] for index in range(len(arguments))]


async def load_ranges(
    connection: AsyncConnection, statement: TextClause, arguments: Sequence[Any]
) -> list[Any]:
    """Run a statement from `reports_sql.OF_RANGES`, as `load_rows`."""
    firsts, lasts = [one.start for one in arguments], [one.end for one in arguments]
    return await load_rows(connection, statement, arguments, {"firsts": firsts, "lasts": lasts})


async def load_as_of(
    connection: AsyncConnection, statement: TextClause, arguments: Sequence[Any]
) -> list[Any]:
    """Run a statement from `clients_sql.OF_DAYS`, as `load_rows`."""
    as_ofs = [one.as_of for one in arguments]
    return await load_rows(connection, statement, arguments, {"as_ofs": as_ofs})


def cents(amount: Decimal | None, currency: str) -> money_pb2.Money | None:
    """Round an amount half-even to cents, as it stands in an answer; None stays absent."""
    return None if amount is None else to_money(to_cents(amount), currency)


def number(value: Decimal | None) -> float | None:
    """Turn an exact figure into the nearest number of an answer; None stays absent."""
    return None if value is None else float(value)
