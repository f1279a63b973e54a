"""Money and ratios: exact in between, rounded half-even and only in answers."""

from decimal import ROUND_HALF_EVEN, Decimal

__all__ = ["change_pct", "pct", "ratio", "to_cents"]

_CENT = Decimal("0.01")

Number = Decimal | int


def to_cents(amount: Number) -> Decimal:
    """Round an amount half-even to whole cents: 2.345 is 2.34, 2.355 is 2.36.

    Postgres's own `round` is half-up, so answers are rounded here and nowhere else.
    """
    return Decimal(amount).quantize(_CENT, rounding=ROUND_HALF_EVEN)


def pct(part: Number, whole: Number) -> Decimal:
    """Take 100 part / whole, unrounded; 0 where the whole is 0."""
    if whole == 0:
        return Decimal(0)
    return 100 * Decimal(part) / Decimal(whole)


def ratio(numerator: Number, denominator: Number) -> Decimal | None:
    """Divide, unrounded; None where the denominator is 0, for nothing is invented."""
    if denominator == 0:
        return None
    return Decimal(numerator) / Decimal(denominator)


def change_pct(now: Number, before: Number) -> Decimal | None:
    """Take the change in percent of |before|, unrounded; None where before is 0."""
    if before == 0:
        return None
    return pct(Decimal(now) - Decimal(before), abs(Decimal(before)))
