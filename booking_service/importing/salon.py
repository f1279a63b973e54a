"""What a salon's books mean: who came, who did not, and whose money is whose."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from booking_service.domain import Interval, Status
from booking_service.importing.books import Booking, Books, read_books
from booking_service.importing.problems import BadBooks, Problem
from booking_service.importing.records import (
    Appointment,
    Batch,
    Client,
    Offer,
    Payment,
    Refund,
    Shop,
    Week,
)

__all__ = ["CURRENCY", "TIME_ZONE", "read_salon"]

TIME_ZONE = "America/Toronto"
CURRENCY = "CAD"

_NOON = 12 * 60


def read_salon(folder: Path, name: str) -> tuple[Shop, Batch]:
    """Read the books of `folder` as a shop called `name`, with all its appointments and money.

    Raises:
        BadBooks: anything at all is wrong; it names every row that is.

    """
    problems: list[Problem] = []
    books = read_books(folder, problems)
    if not problems and not books.bookings:
        problems.append(Problem("bookings.csv", 0, "has no bookings"))
    if problems:
        raise BadBooks(problems)
    reading = _Reading(books, name)
    reading.check_overlaps(problems)
    if problems:
        raise BadBooks(problems)
    return reading.shop, reading.batch


class _Reading:
    """One reading of sound books: positions of barbers, services and clients, and the rules."""

    def __init__(self, books: Books, name: str) -> None:
        self._books = books
        self._zone = ZoneInfo(TIME_ZONE)
        self._barbers = _positions(
            {
                *books.hours,
                *books.no_show_staff,
                *(each.staff for each in books.bookings),
                *(each.staff for each in books.cancellations),
                *(each.staff for each in books.receipts),
            }
        )
        self._clients = _positions(
            {
                *(each.client for each in books.bookings),
                *(each.client for each in books.cancellations),
                *(each.client for each in books.receipts),
                *(client for client, _ in books.no_shows),
            }
            - {""}
        )
        self._services = {code: position for position, code in enumerate(books.services)}
        self._lines: list[int] = []
        self.batch = Batch()
        self.shop = self._shop(name)
        self._book()
        self._call_off()
        self._settle()

    def check_overlaps(self, problems: list[Problem]) -> None:
        """Note bookings of one barber that overlap: the database would refuse them."""
        by_barber: dict[int, list[tuple[Interval, int]]] = defaultdict(list)
        for line, each in zip(self._lines, self.batch.appointments, strict=True):
            if each.status != Status.CANCELLED:
                by_barber[each.barber].append(((each.starts_at, each.ends_at), line))
        for taken in by_barber.values():
            taken.sort()
            latest, latest_line = taken[0]
            for span, line in taken[1:]:
                if span[0] < latest[1]:
                    reason = f"overlaps the booking of line {latest_line} with the same Staff"
                    problems.append(Problem("bookings.csv", line, reason))
                if span[1] > latest[1]:
                    latest, latest_line = span, line

    def _shop(self, name: str) -> Shop:
        books = self._books
        services = list(books.services.values())
        first_day = min(each.day for each in books.bookings)
        return Shop(
            name=name,
            time_zone=TIME_ZONE,
            currency=CURRENCY,
            barbers=list(self._barbers),
            services=services,
            # The books do not say who offers what, so everyone offers everything in use.
            offers=[
                Offer(barber, service)
                for barber in range(len(self._barbers))
                for service, each in enumerate(services)
                if not each.deleted
            ],
            clients=[Client(name=code, external_code=code) for code in self._clients],
            weeks=[
                Week(
                    barber,
                    first_day,
                    tuple(
                        tuple(sorted(books.hours.get(staff, {}).get(weekday, ())))
                        for weekday in range(7)
                    ),
                )
                for staff, barber in self._barbers.items()
            ],
        )

    def _instant(self, day: date, minute: int) -> datetime:
        # A wall clock's time: of an hour that exists twice the first one, and a time in a
        # missing hour goes as far past the gap as it is into it.
        local = datetime(day.year, day.month, day.day, minute // 60, minute % 60, tzinfo=self._zone)
        return local.astimezone(UTC)

    def _book(self) -> None:
        """Make every booking row an appointment; its status is what the other files tell."""
        books = self._books
        paid = {(each.client, each.day) for each in books.receipts if each.client}
        called_off = {(each.client, each.day): each for each in reversed(books.cancellations)}
        last_receipt = max((each.day for each in books.receipts), default=date.min)
        for each in books.bookings:
            key, reason = (each.client, each.day), ""
            if each.day > last_receipt:
                status = Status.SCHEDULED
            elif key in paid:
                status = Status.COMPLETED
            elif key in books.no_shows:
                status = Status.NO_SHOW
            elif key in called_off:
                status = Status.CANCELLED
                reason = _reason(called_off[key].cancelled_by)
            else:
                # Nobody was paid, missed or called off: it cannot be told, so it stays booked.
                status = Status.SCHEDULED
            self._add(each, status, reason)

    def _call_off(self) -> None:
        """Make cancellations of what no booking row has cancelled appointments at local noon."""
        known = {(each.client, each.day, each.service) for each in self._books.bookings}
        for each in self._books.cancellations:
            key = (each.client, each.day, each.service)
            if key not in known:
                known.add(key)
                row = Booking(each.line, each.client, each.staff, each.service, each.day, _NOON)
                self._add(row, Status.CANCELLED, _reason(each.cancelled_by))

    def _add(self, row: Booking, status: Status, reason: str) -> None:
        service = self._books.services[row.service]
        start = self._instant(row.day, row.minute)
        end = start + timedelta(minutes=service.duration)
        self._lines.append(row.line)
        self.batch.appointments.append(
            Appointment(
                barber=self._barbers[row.staff],
                service=self._services[row.service],
                client=self._clients.get(row.client),
                status=status.value,
                starts_at=start,
                ends_at=end,
                blocked_from=start,
                blocked_until=end,
                price=service.price,
                cancellation_reason=reason,
            )
        )

    def _settle(self) -> None:
        """Make every receipt line a payment or a refund of the booking it belongs to."""
        of_day: dict[tuple[str, date], list[tuple[int, int, str]]] = defaultdict(list)
        for position, row in enumerate(self._books.bookings):
            if row.client:
                of_day[row.client, row.day].append((row.minute, position, row.staff))
        for visits in of_day.values():
            visits.sort()
        for line in self._books.receipts:
            if not line.amount:
                continue
            appointment = _belongs(of_day.get((line.client, line.day), ()), line.staff)
            barber, client = self._barbers[line.staff], self._clients.get(line.client)
            noon = self._instant(line.day, _NOON)
            if line.amount > 0:
                payment = Payment(appointment, barber, client, line.amount, noon)
                self.batch.payments.append(payment)
            else:
                refund = Refund(appointment, None, barber, client, -line.amount, noon)
                self.batch.refunds.append(refund)


def _belongs(visits: Sequence[tuple[int, int, str]], staff: str) -> int | None:
    """Pick the earliest visit with that staff, else the earliest, else none (retail)."""
    with_staff = [position for _, position, who in visits if who == staff]
    if with_staff:
        return with_staff[0]
    return visits[0][1] if visits else None


def _reason(who: str) -> str:
    return f"cancelled by {who}" if who else ""


def _positions(names: set[str]) -> dict[str, int]:
    return {name: position for position, name in enumerate(sorted(names))}
