"""The names of the facts that entries depend on, within one organization.

`SHOP` stands for the whole shop where a tag names a subject, else a barber's id does.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta

__all__ = [
    "BARBERS",
    "BOOKINGS",
    "CLIENTS",
    "SCOPE",
    "SERVICES",
    "SHOP",
    "barber",
    "booking_history",
    "bookings",
    "bookings_within",
    "busy",
    "client",
    "client_bookings",
    "client_money",
    "day",
    "earned",
    "earned_within",
    "hours",
    "money",
    "money_within",
    "months",
    "openings_within",
    "schedule",
    "service",
    "spent",
    "spent_before",
    "visits",
    "visits_before",
]

SCOPE = "organization"
"""Every entry of the organization depends on it: its settings, and "too much changed"."""
BARBERS = "barbers"
"""Any barber's row or offer."""
SERVICES = "services"
"""Any service's row."""
CLIENTS = "clients"
"""Any client's row."""
BOOKINGS = "bookings"
"""Any appointment."""
SHOP = 0

# All days before one are told by blocks of 1, 4, 16 ... days: a change touches the eight that
# its day lies in, an answer has those that fill its time up to its day (13 or so, 26 at most).
# So what happens today leaves alone what is told as of today, for all that it looks at all
# history.
_LENGTHS = tuple(4**power for power in range(7, -1, -1))
_FIRST_DAY = date(1900, 1, 1)
# Ranges are told by their whole months, and of a month that they cut by blocks of 1, 4 and 16
# of its days (7 at most behind the first or before the last): a change touches its month and
# the three blocks in it that its day lies in.
_LENGTHS_IN_MONTH = _LENGTHS[-3:]
_MONTH_IN_BLOCKS = 2 * _LENGTHS_IN_MONTH[0]


def _subject(barber_id: int) -> str:
    return f"barber:{barber_id}" if barber_id else "shop"


def day(barber_id: int, local_day: date) -> str:
    """What opens or blocks a barber's local day: appointments, time off, special hours."""
    return f"day:{barber_id}:{local_day.isoformat()}"


def busy(barber_id: int, local_day: date) -> str:
    """The appointments that block a barber's local day, down to their status."""
    return f"busy:{barber_id}:{local_day.isoformat()}"


def hours(barber_id: int) -> str:
    """A barber's weekly hours; for SHOP, any barber's, and which barbers are active."""
    return f"hours:{_subject(barber_id)}"


def schedule(barber_id: int) -> str:
    """Everything of a barber's schedule: weekly hours, time off, special hours."""
    return f"schedule:{barber_id}"


def openings_within(barber_id: int, start: date, end: date) -> tuple[str, ...]:
    """Time off and special hours that meet the months of the days [start, end)."""
    name = f"openings:{_subject(barber_id)}"
    return tuple(f"{name}:{month}" for month in months(start, end))


def barber(barber_id: int) -> str:
    """A barber's row and offers."""
    return f"barber:{barber_id}"


def service(service_id: int) -> str:
    """A service's row."""
    return f"service:{service_id}"


def client(client_id: int) -> str:
    """A client's row."""
    return f"client:{client_id}"


def bookings(barber_id: int, local_day: date) -> tuple[str, ...]:
    """Appointments that start on a day."""
    return _on(f"bookings:{_subject(barber_id)}", local_day)


def bookings_within(barber_id: int, start: date, end: date) -> tuple[str, ...]:
    """Appointments that start on the days [start, end)."""
    return _within(f"bookings:{_subject(barber_id)}", start, end)


def client_bookings(client_id: int) -> str:
    """All appointments of a client."""
    return f"bookings:client:{client_id}"


def booking_history(barber_id: int) -> str:
    """All appointments of a barber, or of the whole shop."""
    return f"bookings:barber:{barber_id}" if barber_id else BOOKINGS


def visits(barber_id: int, local_day: date) -> tuple[str, ...]:
    """Completed appointments of a day: bookings made and called off leave them alone."""
    return _blocks(f"visits:{_subject(barber_id)}", _around(_number(local_day), _LENGTHS))


def visits_before(barber_id: int, local_day: date) -> tuple[str, ...]:
    """Completed appointments of all days before."""
    return _blocks(f"visits:{_subject(barber_id)}", _between(0, _number(local_day), _LENGTHS))


def spent(barber_id: int, local_day: date) -> tuple[str, ...]:
    """Payments and refunds of a day that name a client, by their own barber."""
    return _blocks(f"spent:{_subject(barber_id)}", _around(_number(local_day), _LENGTHS))


def spent_before(barber_id: int, local_day: date) -> tuple[str, ...]:
    """Payments and refunds of all days before that name a client."""
    return _blocks(f"spent:{_subject(barber_id)}", _between(0, _number(local_day), _LENGTHS))


def money(barber_id: int, local_day: date) -> tuple[str, ...]:
    """Payments and refunds by their own day and their own barber."""
    return _on(f"money:{_subject(barber_id)}", local_day)


def money_within(barber_id: int, start: date, end: date) -> tuple[str, ...]:
    """Payments and refunds of the days [start, end)."""
    return _within(f"money:{_subject(barber_id)}", start, end)


def earned(barber_id: int, local_day: date) -> tuple[str, ...]:
    """Payments and refunds by their appointment's day and barber."""
    return _on(f"earned:{_subject(barber_id)}", local_day)


def earned_within(barber_id: int, start: date, end: date) -> tuple[str, ...]:
    """Payments and refunds of the appointments of the days [start, end)."""
    return _within(f"earned:{_subject(barber_id)}", start, end)


def client_money(client_id: int) -> str:
    """Payments and refunds of a client."""
    return f"money:client:{client_id}"


def months(start: date, end: date) -> tuple[str, ...]:
    """Return the months (YYYY-MM) that the local days [start, end) meet, in order."""
    return tuple(_month(first) for first in _firsts(start, end))


def _firsts(start: date, end: date) -> Iterator[date]:
    """List the first days of the months that the days [start, end) meet."""
    first = start.replace(day=1)
    while first < end:
        yield first
        first = (first + timedelta(days=31)).replace(day=1)


def _month(day: date) -> str:
    return f"{day.year:04d}-{day.month:02d}"


def _on(name: str, day: date) -> tuple[str, ...]:
    """Name a day's month, and the blocks in it that hold the day."""
    month = f"{name}:{_month(day)}"
    return (month, *_blocks(month, _around(day.day - 1, _LENGTHS_IN_MONTH)))


def _within(name: str, start: date, end: date) -> tuple[str, ...]:
    """Name the whole months among the days [start, end), and the blocks of those cut."""
    found = list[str]()
    for first in _firsts(start, end):
        month = f"{name}:{_month(first)}"
        begin, stop = max(0, (start - first).days), (end - first).days
        if stop >= monthrange(first.year, first.month)[1]:
            stop = _MONTH_IN_BLOCKS
        if begin or stop < _MONTH_IN_BLOCKS:
            found += _blocks(month, _between(begin, stop, _LENGTHS_IN_MONTH))
        else:
            found.append(month)
    return tuple(found)


def _number(day: date) -> int:
    """Number days from the first, which is 1; 0 are those before it."""
    return max(0, (day - _FIRST_DAY).days + 1)


def _around(number: int, lengths: Sequence[int]) -> Iterator[tuple[int, int]]:
    """List the number and length of the blocks that hold a day."""
    for length in lengths:
        yield number // length, length


def _between(begin: int, stop: int, lengths: Sequence[int]) -> Iterator[tuple[int, int]]:
    """List the number and length of the fewest blocks that make the days [begin, stop)."""
    while begin < stop:
        length = next(n for n in lengths if begin % n == 0 and begin + n <= stop)
        yield begin // length, length
        begin += length


def _blocks(name: str, blocks: Iterable[tuple[int, int]]) -> tuple[str, ...]:
    return tuple(f"{name}:{length}x{number}" for number, length in blocks)
