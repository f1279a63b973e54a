"""The seven files of a salon's books, read and checked row by row."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

from booking_service.domain import Period
from booking_service.importing.problems import Problem
from booking_service.importing.records import Service
from booking_service.importing.sheets import Sheet

__all__ = ["Booking", "Books", "Cancellation", "Receipt", "read_books"]


class Booking(NamedTuple):
    """A row of bookings.csv; an empty client is a walk-in, `minute` is after local midnight."""

    line: int
    client: str
    staff: str
    service: str
    day: date
    minute: int


class Cancellation(NamedTuple):
    """A row of cancellations.csv: who called off what was booked for `day`."""

    line: int
    client: str
    staff: str
    service: str
    day: date
    cancelled_by: str


class Receipt(NamedTuple):
    """A row of receipts.csv: the whole line's amount before tax, below 0 money given back."""

    day: date
    client: str
    staff: str
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Books:
    """All that the files say; services with their durations by code."""

    services: dict[str, Service]
    hours: dict[str, dict[int, list[Period]]]
    bookings: list[Booking]
    cancellations: list[Cancellation]
    no_shows: frozenset[tuple[str, date]]
    no_show_staff: frozenset[str]
    receipts: list[Receipt]


def read_books(folder: Path, problems: list[Problem]) -> Books:
    """Read the seven files of `folder`; what is wrong goes to `problems`, all of it.

    Where there are problems the result is incomplete and must not be used.
    """
    minutes = _durations(Sheet(folder, "durations.csv", problems))
    services = _services(Sheet(folder, "services.csv", problems), minutes)
    no_shows = _no_shows(Sheet(folder, "no_shows.csv", problems), services)
    return Books(
        services=services,
        hours=_hours(Sheet(folder, "hours.csv", problems)),
        bookings=_bookings(Sheet(folder, "bookings.csv", problems), services),
        cancellations=_cancellations(Sheet(folder, "cancellations.csv", problems), services),
        no_shows=frozenset((client, day) for client, day, _ in no_shows),
        no_show_staff=frozenset(staff for _, _, staff in no_shows),
        receipts=_receipts(Sheet(folder, "receipts.csv", problems)),
    )


def _durations(sheet: Sheet) -> dict[str, int]:
    minutes: dict[str, int] = {}
    for row in sheet.rows("Code", "Minutes"):
        code, length = row.text("Code"), row.whole("Minutes", 1, 1440)
        if code in minutes:
            row.wrong(f"service {code!r} comes twice")
        minutes[code] = length
    return minutes


def _services(sheet: Sheet, minutes: dict[str, int]) -> dict[str, Service]:
    services: dict[str, Service] = {}
    for row in sheet.rows("IsActive", "Code", "Desc", "Cate", "Price", "Cost"):
        code = row.text("Code")
        service = Service(
            # One service of real books has no description: its code is what the staff say.
            name=row.text("Desc", required=False) or code,
            category=row.text("Cate", required=False),
            duration=minutes.get(code, 0),
            price=row.money("Price"),
            deleted=not row.boolean("IsActive"),
            external_code=code,
        )
        row.money("Cost")
        if code in services:
            row.wrong(f"service {code!r} comes twice")
        elif code and code not in minutes:
            row.wrong(f"service {code!r} has no row in durations.csv")
        services[code] = service
    return services


def _hours(sheet: Sheet) -> dict[str, dict[int, list[Period]]]:
    hours: dict[str, dict[int, list[Period]]] = {}
    for row in sheet.rows("Staff", "Weekday", "Open", "Close"):
        staff, weekday = row.text("Staff"), row.whole("Weekday", 0, 6)
        opening, closing = row.clock("Open", "%H:%M", "HH:MM"), row.clock("Close", "%H:%M", "HH:MM")
        if not row.sound:
            continue
        # A day's end is written 00:00 where a shop closes at midnight.
        closing = closing or 1440
        periods = hours.setdefault(staff, {}).setdefault(weekday, [])
        if opening >= closing:
            row.wrong("Open is not before Close")
        elif any(opening < until and since < closing for since, until in periods):
            row.wrong(f"overlaps other hours of {staff} on weekday {weekday}")
        else:
            periods.append((opening, closing))
    return hours


def _bookings(sheet: Sheet, services: dict[str, Service]) -> list[Booking]:
    bookings: list[Booking] = []
    for row in sheet.rows("Code", "Staff", "Service", "Date", "Time", "TimeInt"):
        service = row.text("Service")
        minute = row.whole("TimeInt", 0, 1439)
        shown = row.clock("Time", "%I:%M:%S %p", "H:MM:SS AM")
        booking = Booking(
            row.line,
            row.text("Code", required=False),
            row.text("Staff"),
            service,
            row.day("Date"),
            minute,
        )
        if service and service not in services:
            row.wrong(f"service {service!r} is not in services.csv")
        if row.sound and minute != shown:
            row.wrong(f"TimeInt {minute} is not the Time, which is {shown} minutes after midnight")
        if row.sound:
            bookings.append(booking)
    return bookings


def _cancellations(sheet: Sheet, services: dict[str, Service]) -> list[Cancellation]:
    found: list[Cancellation] = []
    for row in sheet.rows("Code", "Service", "Staff", "Booking Date", "Canceled By"):
        service = row.text("Service")
        cancellation = Cancellation(
            row.line,
            row.text("Code", required=False),
            row.text("Staff"),
            service,
            row.day("Booking Date"),
            row.text("Canceled By", required=False),
        )
        if service and service not in services:
            row.wrong(f"service {service!r} is not in services.csv")
        if row.sound:
            found.append(cancellation)
    return found


def _no_shows(sheet: Sheet, services: dict[str, Service]) -> list[tuple[str, date, str]]:
    found: list[tuple[str, date, str]] = []
    for row in sheet.rows("Date", "Code", "Service", "Staff"):
        service = row.text("Service")
        if service and service not in services:
            row.wrong(f"service {service!r} is not in services.csv")
        found.append((row.text("Code", required=False), row.day("Date"), row.text("Staff")))
    return found


def _receipts(sheet: Sheet) -> list[Receipt]:
    found: list[Receipt] = []
    for row in sheet.rows("Receipt", "Date", "Client", "Staff", "Quantity", "Amount"):
        receipt = Receipt(
            row.day("Date"),
            row.text("Client", required=False),
            row.text("Staff"),
            row.money("Amount", negative=True),
        )
        row.whole("Quantity", -100_000, 100_000)
        if row.sound:
            found.append(receipt)
    return found
