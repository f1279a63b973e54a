"""Make a barber's days up: who comes, who does not, what they pay."""

from bisect import bisect_right
from collections import defaultdict
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import accumulate
from random import Random
from typing import NamedTuple
from zoneinfo import ZoneInfo

from booking_service.domain import Interval, Period, open_time
from booking_service.importing.records import Appointment, Batch, Payment, Refund, Shop, Week

__all__ = ["Diary"]

_METHODS = ("card", "card", "card", "cash", "transfer")
_RETAIL = tuple(Decimal(price) for price in ("12.00", "18.50", "24.00", "29.90"))
_REFUND_REASONS = ("Not satisfied", "Wrong amount", "Product returned")
_CANCEL_REASONS = ("client is ill", "client found another time", "booked by mistake", "")
# Of the list of services the first are what most people come for.
_POPULARITY = (30, 18, 12, 9, 6, 8, 3, 6, 2, 5, 3, 2)
_QUARTER = timedelta(minutes=15)
_GAPS = tuple(timedelta(minutes=minutes) for minutes in (0, 0, 0, 0, 15, 15, 30, 60))
_CENT = Decimal("0.01")
# Running shares of what becomes of a visit, behind and ahead.
_PAST = ((0.87, "completed"), (0.91, "no_show"), (1.0, "cancelled"))
_AHEAD = ((0.70, "scheduled"), (0.92, "confirmed"), (0.96, "pending"), (1.0, "cancelled"))
_LEFT_FREE = 0.5
_LEFT_CANCELLED = 0.5
_WALK_INS = 0.05
_RETAIL_SALES = 0.4
_FAILURES = 0.01
_REFUNDS = 0.015


class _Terms(NamedTuple):
    service: int
    before: timedelta
    duration: timedelta
    after: timedelta
    price: Decimal


class _Times(NamedTuple):
    starts_at: datetime
    ends_at: datetime
    blocked_from: datetime
    blocked_until: datetime


class Diary:
    """The days of one barber, to be filled in order.

    `present` parts what has happened from what is ahead. Blocked intervals never overlap, not
    even over midnight; only cancelled appointments lie where others do.
    """

    def __init__(
        self, random: Random, shop: Shop, barber: int, zone: ZoneInfo, present: datetime
    ) -> None:
        self._random = random
        self._barber, self._zone, self._present = barber, zone, present
        self._clients = len(shop.clients)
        self._weeks: list[Week] = [week for week in shop.weeks if week.barber == barber]
        self._special = {
            each.day: each.periods for each in shop.special_days if each.barber == barber
        }
        self._away: dict[date, list[Interval]] = defaultdict(list)
        for each in shop.time_off:
            if each.barber == barber:
                day = each.starts_at.astimezone(zone).date()
                last = each.ends_at.astimezone(zone).date()
                while day <= last:
                    self._away[day].append((each.starts_at, each.ends_at))
                    day += timedelta(days=1)
        self._offers: list[_Terms] = []
        for offer in shop.offers:
            if offer.barber == barber:
                service = shop.services[offer.service]
                minutes = offer.duration or service.duration
                self._offers.append(
                    _Terms(
                        offer.service,
                        timedelta(minutes=service.buffer_before),
                        timedelta(minutes=minutes),
                        timedelta(minutes=service.buffer_after),
                        service.price if offer.price is None else offer.price,
                    )
                )
        self._weights = list(accumulate(_POPULARITY[each.service] for each in self._offers))
        self._last: Appointment | None = None
        self._busy_until = datetime.min.replace(tzinfo=present.tzinfo)

    def fill(self, day: date, progress: float, batch: Batch) -> None:
        """Put a day's appointments and money into `batch`.

        `progress` is how far the day lies in the whole span, 0 to 1: clients come, stay for a
        part of the span and leave.
        """
        weekly: tuple[Period, ...] = ()
        for week in self._weeks:
            if week.valid_from <= day:
                weekly = week.days[day.weekday()]
        special, away = self._special.get(day), self._away.get(day, [])
        random = self._random
        # Far ahead the book is still nearly empty.
        ahead = day > self._present.astimezone(self._zone).date()
        for opening, closing in open_time(day, self._zone, weekly, special, away):
            at = opening
            while at < closing:
                terms = self._offers[
                    bisect_right(self._weights, random.random() * self._weights[-1])
                ]
                start = at
                earliest = self._busy_until + terms.before
                if start < earliest:
                    start += -((start - earliest) // _QUARTER) * _QUARTER
                end = start + terms.duration
                if end > closing:
                    break
                if ahead and random.random() < _LEFT_FREE:
                    at = end
                    continue
                times = _Times(start, end, start - terms.before, end + terms.after)
                holds = self._visit(terms, times, progress, batch)
                # What was called off in time is given to another, but not always.
                at = (
                    end + random.choice(_GAPS)
                    if holds or random.random() < _LEFT_CANCELLED
                    else start
                )
        if random.random() < _RETAIL_SALES and self._last is not None:
            self._sell(self._last, batch)
        self._last = None

    def _visit(self, terms: _Terms, times: _Times, progress: float, batch: Batch) -> bool:
        """Book a visit, with its money where it is over; tells whether it holds its time."""
        random, position = self._random, len(batch.appointments)
        over = times.starts_at < self._present
        status = _pick(_PAST if over else _AHEAD, random.random())
        client = None if random.random() < _WALK_INS else self._client(progress)
        booked = min(times.starts_at, self._present) - timedelta(
            minutes=random.randrange(60, 40 * 1440)
        )
        hold_until, reason = None, ""
        if status == "pending":
            hold_until = self._present + timedelta(hours=random.randrange(30, 120))
        elif status == "cancelled":
            reason = random.choice(_CANCEL_REASONS)
        visit = Appointment(
            self._barber,
            terms.service,
            client,
            status,
            *times,
            terms.price,
            hold_until,
            reason,
            booked,
        )
        self._last = visit
        batch.appointments.append(visit)
        if status != "cancelled":
            self._busy_until = times.blocked_until
        if status == "completed" and terms.price:
            self._pay(position, batch)
        return status != "cancelled"

    def _client(self, progress: float) -> int:
        """Pick a client of this part of the span, the more often the more of a regular they are."""
        known = self._clients * 3 // 10 + 1
        first = int(progress * (self._clients - known))
        return min(first + int(known * self._random.random() ** 2), self._clients - 1)

    def _pay(self, position: int, batch: Batch) -> None:
        random, visit = self._random, batch.appointments[position]
        paid_at = visit.ends_at + timedelta(minutes=random.randrange(10))
        method = random.choice(_METHODS)
        payment = Payment(
            position, self._barber, visit.client, visit.price, paid_at, "completed", method
        )
        if random.random() < _FAILURES:
            # A card is refused, then another way of paying is found.
            batch.payments.append(payment._replace(status="failed", method="card"))
        batch.payments.append(payment)
        if random.random() < _REFUNDS:
            part = random.choice((Decimal("0.25"), Decimal("0.5"), Decimal(1)))
            later = paid_at + timedelta(hours=random.randrange(1, 72))
            if later < self._present:
                amount = (visit.price * part).quantize(_CENT)
                batch.refunds.append(
                    Refund(
                        position,
                        len(batch.payments) - 1,
                        self._barber,
                        visit.client,
                        amount,
                        later,
                        random.choice(_REFUND_REASONS),
                    )
                )

    def _sell(self, last: Appointment, batch: Batch) -> None:
        """Sell something over the counter after the day's last visit, of no appointment."""
        price, method = self._random.choice(_RETAIL), self._random.choice(_METHODS)
        if last.starts_at < self._present:
            batch.payments.append(
                Payment(None, self._barber, last.client, price, last.ends_at, "completed", method)
            )


def _pick(shares: tuple[tuple[float, str], ...], at: float) -> str:
    for share, status in shares:
        if at < share:
            return status
    return shares[-1][1]
