"""Read the fields of a request, and collect everything that is wrong with it.

Each method returns the field's value in the form the program uses, or a harmless
default after it recorded a `Violation`; `raise_if_any` comes before any use.
Bounds are those of the database and the calendar: whatever passes here can be
stored and computed with.
"""

import datetime as dt
import re
from collections.abc import Collection, Iterable, Sequence
from decimal import Decimal
from functools import cache
from uuid import UUID
from zoneinfo import available_timezones

from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp
from google.type.date_pb2 import Date
from google.type.money_pb2 import Money as MoneyMessage
from google.type.timeofday_pb2 import TimeOfDay

from chairside.cache.v1.types_pb2 import LocalPeriod
from service_kit.errors import InvalidArgument, Violation
from service_kit.values import Money, from_date, from_money, from_timestamp

__all__ = ["FIRST_YEAR", "LAST_YEAR", "MAX_MONEY", "Violations"]

FIRST_YEAR = 1900
LAST_YEAR = 2200
MAX_MONEY = Decimal("9999999999.99")
MAX_PERIODS = 48
_DAY_MINUTES = 24 * 60
_HOUR_MINUTES = 60

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_CONTROL_BUT_LINES = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_CURRENCY = re.compile(r"[A-Z]{3}")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_CENT_NANOS = 10_000_000
_NANOS = 1_000_000_000
_FIRST_SECOND = int(dt.datetime(FIRST_YEAR, 1, 1, tzinfo=dt.UTC).timestamp())
_END_SECOND = int(dt.datetime(LAST_YEAR + 1, 1, 1, tzinfo=dt.UTC).timestamp())


class Violations:
    """Collect the wrong fields of one request."""

    def __init__(self) -> None:
        self._found: list[Violation] = []

    def __bool__(self) -> bool:
        return bool(self._found)

    def add(self, field: str, description: str) -> None:
        """Record that `field` (a path such as `barber_ids[2]`) is wrong."""
        self._found.append(Violation(field, description))

    def raise_if_any(self) -> None:
        """Raise InvalidArgument with all that was found, in the order found."""
        if self._found:
            raise InvalidArgument(self._found)

    def id(self, field: str, value: int) -> int:
        """Read a required id: positive."""
        if value <= 0:
            self.add(field, "is required" if value == 0 else "must be positive")
        return value

    def optional_id(self, field: str, value: int) -> int | None:
        """Read an id of which 0 means none."""
        if value < 0:
            self.add(field, "must not be negative")
        return value if value > 0 else None

    def ids(self, field: str, values: Sequence[int], *, maximum: int) -> list[int]:
        """Read distinct positive ids in their order, at most `maximum` of them."""
        if len(values) > maximum:
            self.add(field, f"must have at most {maximum} elements, has {len(values)}")
            return []
        for index, value in enumerate(values):
            if value <= 0:
                self.add(f"{field}[{index}]", "must be positive")
        return list(dict.fromkeys(values))

    def text(
        self,
        field: str,
        value: str,
        *,
        maximum: int,
        required: bool = False,
        multiline: bool = False,
    ) -> str:
        """Read a stripped text of at most `maximum` characters; tabs and lines if `multiline`."""
        text = value.strip()
        if required and not text:
            self.add(field, "is required")
        if len(text) > maximum:
            self.add(field, f"must have at most {maximum} characters, has {len(text)}")
            return ""
        if (_CONTROL_BUT_LINES if multiline else _CONTROL).search(text):
            self.add(field, "must not contain control characters")
            return ""
        return text

    def date(
        self, field: str, message: Date, *, has: bool, required: bool = False
    ) -> dt.date | None:
        """Read a calendar day of the years 1900 to 2200; None if unset."""
        if not has:
            if required:
                self.add(field, "is required")
            return None
        try:
            day = from_date(message)
        except (ValueError, OverflowError):
            self.add(field, "must be a day of the calendar, with year, month and day")
            return None
        if not FIRST_YEAR <= day.year <= LAST_YEAR:
            self.add(field, f"must be in the years {FIRST_YEAR} to {LAST_YEAR}")
            return None
        return day

    def timestamp(
        self,
        field: str,
        message: Timestamp,
        *,
        has: bool,
        required: bool = False,
        whole_minutes: bool = False,
    ) -> dt.datetime | None:
        """Read an instant (UTC) of the years 1900 to 2200; None if unset."""
        if not has:
            if required:
                self.add(field, "is required")
            return None
        if not 0 <= message.nanos < _NANOS:
            self.add(field, "must have nanos from 0 to 999,999,999")
            return None
        if not _FIRST_SECOND <= message.seconds < _END_SECOND:
            self.add(field, f"must be in the years {FIRST_YEAR} to {LAST_YEAR}")
            return None
        if whole_minutes and (message.seconds % 60 or message.nanos):
            self.add(field, "must be a whole minute")
            return None
        return from_timestamp(message)

    def minutes(
        self,
        field: str,
        message: Duration,
        *,
        has: bool,
        minimum: int,
        maximum: int,
        required: bool = False,
        default: int = 0,
    ) -> int:
        """Read a span of whole minutes from `minimum` to `maximum`; `default` if unset."""
        if not has:
            if required:
                self.add(field, "is required")
            return default
        if message.nanos or message.seconds % 60:
            self.add(field, "must be whole minutes")
            return default
        minutes = message.seconds // 60
        if not minimum <= minutes <= maximum:
            self.add(field, f"must be from {minimum} to {maximum} minutes, is {minutes}")
            return default
        return minutes

    def money(
        self,
        field: str,
        message: MoneyMessage,
        *,
        has: bool,
        minimum: Decimal | int,
        required: bool = False,
        currency: str | None = None,
    ) -> Money | None:
        """Read whole cents from `minimum` to 9,999,999,999.99; None if unset.

        The currency is empty (the shop's own) or three capitals: those of `currency`, if given.
        """
        if not has:
            if required:
                self.add(field, "is required")
            return None
        code = message.currency_code
        if code and not _CURRENCY.fullmatch(code):
            self.add(f"{field}.currency_code", "must be three capital letters")
        elif code and currency is not None and code != currency:
            self.add(f"{field}.currency_code", f"must be {currency}, is {code}")
        units, nanos = message.units, message.nanos
        if abs(nanos) >= _NANOS or units * nanos < 0:
            self.add(f"{field}.nanos", "must be below 1,000,000,000 and share the sign of units")
            return None
        if nanos % _CENT_NANOS:
            self.add(f"{field}.nanos", "must be whole cents")
            return None
        amount = from_money(message)
        if amount < minimum:
            self.add(field, f"must be at least {minimum}")
            return None
        if abs(amount) > MAX_MONEY:
            self.add(field, f"must be at most {MAX_MONEY:,}")
            return None
        return Money(amount, code)

    def currency(self, field: str, value: str, *, required: bool = False) -> str | None:
        """Read an ISO 4217 code, three capitals; None if empty."""
        if not value:
            if required:
                self.add(field, "is required")
            return None
        if not _CURRENCY.fullmatch(value):
            self.add(field, "must be three capital letters")
            return None
        return value

    def time_zone(self, field: str, value: str, *, required: bool = False) -> str | None:
        """Read the name of an IANA zone; None if empty."""
        if not value:
            if required:
                self.add(field, "is required")
            return None
        if value not in _zones():
            self.add(field, "must be the name of an IANA time zone")
            return None
        return value

    def uuid(self, field: str, value: str) -> UUID | None:
        """Read a UUID in its usual form with hyphens; None if empty."""
        if not value:
            return None
        if not _UUID.fullmatch(value):
            self.add(field, "must be a UUID")
            return None
        return UUID(value)

    def enum(self, field: str, value: int, allowed: Collection[int]) -> int:
        """Read one of the `allowed` values of an enum."""
        if value not in allowed:
            self.add(field, "is required" if value == 0 else "has an unknown or unusable value")
        return value

    def mask(self, field: str, mask: FieldMask, allowed: Collection[str]) -> frozenset[str]:
        """Read a field mask: at least one path, each of `allowed`."""
        paths = frozenset(mask.paths)
        if not paths:
            self.add(field, "must name at least one field")
        for path in sorted(paths.difference(allowed)):
            self.add(field, f"cannot change {path!r}; can change {', '.join(sorted(allowed))}")
        return paths

    def periods(self, field: str, messages: Sequence[LocalPeriod]) -> list[tuple[int, int]]:
        """Read a day's periods as minutes after midnight, sorted, those that touch merged."""
        if len(messages) > MAX_PERIODS:
            self.add(field, f"must have at most {MAX_PERIODS} periods, has {len(messages)}")
            return []
        periods: list[tuple[int, int]] = []
        for index, message in enumerate(messages):
            path = f"{field}[{index}]"
            opens = self._minute(f"{path}.opens", message.opens)
            closes = self._minute(f"{path}.closes", message.closes)
            if opens is None or closes is None:
                continue
            if opens >= closes:
                self.add(f"{path}.closes", "must be after opens")
                continue
            periods.append((opens, closes))
        return _merged(periods)

    def _minute(self, field: str, message: TimeOfDay) -> int | None:
        minute = message.hours * _HOUR_MINUTES + message.minutes
        in_range = message.hours >= 0 and 0 <= message.minutes < _HOUR_MINUTES
        if not in_range or minute > _DAY_MINUTES or message.seconds or message.nanos:
            self.add(field, "must be a whole minute from 00:00 to 24:00")
            return None
        return minute


def _merged(periods: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for opens, closes in sorted(periods):
        if merged and opens <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], closes))
        else:
            merged.append((opens, closes))
    return merged


@cache
def _zones() -> frozenset[str]:
    # Once: looking for them on disk takes 20 ms. `localtime` is a file there, but no zone.
    return frozenset(available_timezones() - {"localtime"})
