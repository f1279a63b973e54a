"""The arithmetic of the definitions, exact: everything is a fraction until it is answered."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import TypeVar

__all__ = ["DAY", "cents", "change", "days_of", "optional", "over", "pct", "peak", "total"]

DAY = timedelta(days=1)

K = TypeVar("K", int, str)


def cents(amount: Fraction | Decimal | None) -> Decimal | None:
    """Round half-even to cents; nothing stays nothing."""
    # Python's own `round` of a fraction to a whole number is half-even.
    return None if amount is None else Decimal(round(Fraction(amount) * 100)).scaleb(-2)


def pct(part: Fraction | int, whole: Fraction | int) -> Fraction:
    """Take 100 part / whole, 0 where whole is 0."""
    return 100 * Fraction(part) / whole if whole else Fraction(0)


def over(part: Fraction | int, whole: Fraction | int) -> Fraction | None:
    """Divide; nothing over 0."""
    return Fraction(part) / whole if whole else None


def change(now: Fraction | int, before: Fraction | int) -> float | None:
    """Tell the change in percent of what was before; nothing where that is 0."""
    return float(pct(Fraction(now) - before, abs(Fraction(before)))) if before else None


def optional(value: Fraction | None) -> float | None:
    """Answer with a number; nothing stays nothing."""
    return None if value is None else float(value)


def total(amounts: Iterable[Decimal]) -> Fraction:
    """Add amounts up."""
    return Fraction(sum(amounts, Decimal(0)))


def peak(counts: Mapping[K, int] | Counter[K]) -> K | None:
    """Find what has the highest count; of equals the earliest; nothing where there is none."""
    most = max(counts.values(), default=0)
    return min((key for key, count in counts.items() if count == most), default=None)


def days_of(start: date, end: date) -> list[date]:
    """List the days [start, end)."""
    return [start + n * DAY for n in range((end - start).days)]
