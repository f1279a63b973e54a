"""Opening periods as the database has them: a multirange of minutes after local midnight."""

from collections.abc import Iterable

from sqlalchemy.dialects.postgresql import Range

from booking_service.domain.opening import Period

__all__ = ["minutes", "multirange"]


def minutes(ranges: Iterable[Range[int]]) -> tuple[Period, ...]:
    """Read a column's periods, in order."""
    return tuple((each.lower or 0, each.upper or 0) for each in ranges)


def multirange(periods: Iterable[Period]) -> list[Range[int]]:
    """Make a column's value of periods."""
    return [Range(opens, closes) for opens, closes in periods]
