"""Values between Python and protobuf: `to_x` makes the message, `from_x` reads it.

Messages read here have passed `service_kit.validation` or come from our own
processes; nothing is checked a second time. Absence is the caller's affair
(`HasField`).
"""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from google.type.date_pb2 import Date
from google.type.money_pb2 import Money as MoneyMessage
from google.type.timeofday_pb2 import TimeOfDay

from chairside.cache.v1.types_pb2 import LocalPeriod

__all__ = [
    "Money",
    "from_date",
    "from_duration_minutes",
    "from_money",
    "from_periods",
    "from_time_of_day",
    "from_timestamp",
    "to_date",
    "to_duration",
    "to_duration_minutes",
    "to_money",
    "to_period",
    "to_periods",
    "to_time_of_day",
    "to_timestamp",
]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NANO = Decimal("0.000000001")
_NANOS = 1_000_000_000


class Money(NamedTuple):
    """An amount and its ISO 4217 currency; an empty currency is the shop's own."""

    amount: Decimal
    currency: str


def to_date(day: date) -> Date:
    """Make a `google.type.Date` of a calendar day."""
    return Date(year=day.year, month=day.month, day=day.day)


def from_date(message: Date) -> date:
    """Read a full calendar day; ValueError if it is none."""
    return date(message.year, message.month, message.day)


def to_timestamp(instant: datetime) -> Timestamp:
    """Make a Timestamp of an aware instant, to the microsecond."""
    # Not FromDatetime: it costs three times as much, and a page holds hundreds.
    since = instant - _EPOCH
    return Timestamp(seconds=since.days * 86400 + since.seconds, nanos=since.microseconds * 1000)


def from_timestamp(message: Timestamp) -> datetime:
    """Read an instant, aware and in UTC, cut to the microsecond."""
    return _EPOCH + timedelta(seconds=message.seconds, microseconds=message.nanos // 1000)


def to_duration(span: timedelta) -> Duration:
    """Make a Duration of a span, to the microsecond."""
    micros = span // timedelta(microseconds=1)
    sign = -1 if micros < 0 else 1
    seconds, rest = divmod(abs(micros), 1_000_000)
    return Duration(seconds=sign * seconds, nanos=sign * rest * 1000)


def to_duration_minutes(minutes: int) -> Duration:
    """Make a Duration of whole minutes."""
    return Duration(seconds=minutes * 60)


def from_duration_minutes(message: Duration) -> int:
    """Read whole minutes; the rest of a minute is cut off."""
    return message.seconds // 60


def to_money(amount: Decimal, currency: str) -> MoneyMessage:
    """Make a Money of an amount of at most nine decimals; units and nanos share its sign."""
    nanos = int((amount / _NANO).to_integral_value())
    sign = -1 if nanos < 0 else 1
    units, rest = divmod(abs(nanos), _NANOS)
    return MoneyMessage(currency_code=currency, units=sign * units, nanos=sign * rest)


def from_money(message: MoneyMessage) -> Decimal:
    """Read the amount, exact, with at least two decimals."""
    amount = Decimal(message.units) + message.nanos * _NANO
    cents = amount.quantize(Decimal("0.01"))
    return cents if cents == amount else amount


def to_time_of_day(minutes: int) -> TimeOfDay:
    """Make a local time of minutes after midnight, 0 to 1440 (24:00)."""
    hours, rest = divmod(minutes, 60)
    return TimeOfDay(hours=hours, minutes=rest)


def from_time_of_day(message: TimeOfDay) -> int:
    """Read minutes after local midnight; seconds are cut off."""
    return message.hours * 60 + message.minutes


def to_period(opens: int, closes: int) -> LocalPeriod:
    """Make a period of a local day, [opens, closes) in minutes after midnight."""
    return LocalPeriod(opens=to_time_of_day(opens), closes=to_time_of_day(closes))


def to_periods(periods: Iterable[tuple[int, int]]) -> list[LocalPeriod]:
    """Make the periods of a local day from minutes after midnight, in the order given."""
    return [to_period(opens, closes) for opens, closes in periods]


def from_periods(messages: Iterable[LocalPeriod]) -> list[tuple[int, int]]:
    """Read the periods of a local day as minutes after midnight, in the order given."""
    return [(from_time_of_day(m.opens), from_time_of_day(m.closes)) for m in messages]
