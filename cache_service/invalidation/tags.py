"""The names of the facts that entries depend on, within one organization.

`SHOP` stands for the whole shop where a tag names a subject, else a barber's id does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
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
    "busy",
    "client",
    "client_bookings",
    "client_money",
    "day",
    "earned",
    "hours",
    "money",
    "months",
    "openings",
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


def openings(barber_id: int, month: str) -> str:
    """Time off and special hours that meet a month (YYYY-MM)."""
    return f"openings:{_subject(barber_id)}:{month}"


def barber(barber_id: int) -> str:
    """A barber's row and offers."""
    return f"barber:{barber_id}"


def service(service_id: int) -> str:
    """A service's row."""
    return f"service:{service_id}"


def client(client_id: int) -> str:
    """A client's row."""
    return f"client:{client_id}"


def bookings(barber_id: int, month: str) -> str:
    """Appointments that start in a month (YYYY-MM)."""
    return f"bookings:{_subject(barber_id)}:{month}"


def client_bookings(client_id: int) -> str:
    """All appointments of a client."""
    return f"bookings:client:{client_id}"


def booking_history(barber_id: int) -> str:
    """All appointments of a barber, or of the whole shop."""
    return f"bookings:barber:{barber_id}" if barber_id else BOOKINGS


def visits(barber_id: int, local_day: date) -> tuple[str, ...]:
    """Completed appointments of a day: bookings made and called off leave them alone."""
    return _blocks(f"visits:{_subject(barber_id)}", _around(local_day))


def visits_before(barber_id: int, local_day: date) -> tuple[str, ...]:
    """Completed appointments of all days before."""
    return _blocks(f"visits:{_subject(barber_id)}", _before(local_day))


def spent(barber_id: int, local_day: date) -> tuple[str, ...]:
    """Payments and refunds of a day that name a client, by their own barber."""
    return _blocks(f"spent:{_subject(barber_id)}", _around(local_day))


def spent_before(barber_id: int, local_day: date) -> tuple[str, ...]:
    """Payments and refunds of all days before that name a client."""
    return _blocks(f"spent:{_subject(barber_id)}", _before(local_day))


def money(barber_id: int, month: str) -> str:
    """Payments and refunds by their own day's month and their own barber."""
    return f"money:{_subject(barber_id)}:{month}"


def earned(barber_id: int, month: str) -> str:
    """Payments and refunds by their appointment's month and barber."""
    return f"earned:{_subject(barber_id)}:{month}"


def client_money(client_id: int) -> str:
    """Payments and refunds of a client."""
    return f"money:client:{client_id}"


def months(start: date, end: date) -> tuple[str, ...]:
    """Return the months (YYYY-MM) that the local days [start, end) meet, in order."""
    found = []
    first = start.replace(day=1)
    while first < end:
        found.append(f"{first.year:04d}-{first.month:02d}")
        first = (first + timedelta(days=31)).replace(day=1)
    return tuple(found)


def _number(day: date) -> int:
    """Number days from the first, which is 1; 0 are those before it."""
    return max(0, (day - _FIRST_DAY).days + 1)


def _around(day: date) -> Iterator[tuple[int, int]]:
    """List the number and length of the blocks that hold a day."""
    for length in _LENGTHS:
        yield _number(day) // length, length


def _before(day: date) -> Iterator[tuple[int, int]]:
    """List the number and length of the fewest blocks that make all days before one."""
    filled, end = 0, _number(day)
    for length in _LENGTHS:
        while filled + length <= end:
            yield filled // length, length
            filled += length


def _blocks(name: str, blocks: Iterable[tuple[int, int]]) -> tuple[str, ...]:
    return tuple(f"{name}:{length}x{number}" for number, length in blocks)
