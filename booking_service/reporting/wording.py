"""Figures of messages in words: amounts, percentages, hours, days; what is absent stays so."""

from __future__ import annotations

from datetime import date, timedelta

from google.protobuf.message import Message
from google.type.date_pb2 import Date
from google.type.money_pb2 import Money

from booking_service.reporting.blocks import Absent, Value
from service_kit.values import from_date, from_money

__all__ = [
    "amount",
    "change",
    "count",
    "currency_of",
    "hour",
    "money",
    "month",
    "number",
    "percent",
    "plain_money",
    "share",
    "size",
    "span",
    "weekday",
]

_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


def money(message: Message, field: str, absent: str = "unknown") -> Value:
    """Show an amount with its currency, or say why there is none."""
    value: Money = getattr(message, field)
    shown = amount(message, field, absent)
    return shown if isinstance(shown, Absent) else f"{shown} {value.currency_code}".rstrip()


def amount(message: Message, field: str, absent: str = "unknown") -> Value:
    """Show an amount alone, for a column that tells the currency."""
    return f"{size(message, field):,.2f}" if message.HasField(field) else Absent(absent)


def plain_money(value: float, currency: str) -> str:
    """Show an amount that is no Money message."""
    return f"{value:,.2f} {currency}".rstrip()


def size(message: Message, field: str) -> float:
    """Give an amount's size, to be plotted; 0 if it is absent."""
    return float(from_money(getattr(message, field)))


def number(message: Message, field: str, absent: str, digits: int = 1) -> Value:
    """Show an optional number, or say why there is none."""
    return f"{getattr(message, field):,.{digits}f}" if message.HasField(field) else Absent(absent)


def change(message: Message, field: str, absent: str, unit: str = "%") -> Value:
    """Show a change with its sign, or say why there is none."""
    if not message.HasField(field):
        return Absent(absent)
    # Adding 0 turns the -0.0 that a small loss is rounded to into 0.0.
    return f"{round(getattr(message, field), 1) + 0.0:+,.1f}{unit}"


def count(number_of: int) -> str:
    """Show how many."""
    return f"{number_of:,}"


def percent(value: float) -> str:
    """Show a percentage."""
    return f"{value:,.1f}%"


def share(part: int, whole: int) -> str:
    """Show a part of a whole in percent; of nothing it is 0."""
    return percent(100 * part / whole if whole else 0.0)


def hour(of_day: int) -> str:
    """Name a local hour by its beginning."""
    return f"{of_day:02}:00"


def weekday(of_week: int) -> str:
    """Name a weekday; 0 is Monday."""
    return _WEEKDAYS[of_week]


def month(of_year: int) -> str:
    """Name a month of the year; 1 is January."""
    return _MONTHS[of_year - 1]


def span(start: Date, end: Date) -> str:
    """Name the local days [start, end) by the first and the last."""
    first, after = from_date(start), from_date(end)
    days = (after - first).days
    if days <= 0:
        return f"no days before {after}"
    last: date = after - timedelta(days=1)
    return f"{first}, 1 day" if days == 1 else f"{first} to {last}, {days:,} days"


def currency_of(message: Message) -> str:
    """Find the currency of a report: that of the first amount in it; empty if it has none."""
    for descriptor, value in message.ListFields():
        if descriptor.message_type is None:
            continue
        for part in value if descriptor.is_repeated else (value,):
            found = part.currency_code if isinstance(part, Money) else currency_of(part)
            if found:
                return str(found)
    return ""
