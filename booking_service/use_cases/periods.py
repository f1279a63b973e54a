"""Opening periods as the database has them: a multirange of minutes after local midnight."""

import re
from collections.abc import Iterable

from sqlalchemy import ColumnElement, Text, cast
from sqlalchemy.dialects.postgresql import Range

from booking_service.domain.opening import Period

__all__ = ["as_text", "minutes", "multirange"]

_PERIOD = re.compile(r"\[(\d+),(\d+)\)")


def as_text(column: ColumnElement[object]) -> ColumnElement[str]:
    """Select a column of periods as text, for `minutes` to read.

    The driver asks each new connection what a multirange is, within the transaction that
    first reads one: under load that kept barbers' locks, and so made for more new connections.
    """
    return cast(column, Text)


def minutes(text: str) -> tuple[Period, ...]:
    """Read periods, in order, e.g. of `{[540,720),[780,1080)}`."""
    return tuple((int(opens), int(closes)) for opens, closes in _PERIOD.findall(text))


def multirange(periods: Iterable[Period]) -> list[Range[int]]:
    """Make a column's value of periods."""
    return [Range(opens, closes) for opens, closes in periods]
