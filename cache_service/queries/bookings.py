"""Appointments counted, and what was paid for them: figures that several reports have."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from booking_service.domain.money import pct, ratio
from cache_service.queries.reports import cents
from chairside.cache.v1 import analytics_pb2

__all__ = ["Bookings", "Sold", "held", "peak", "read_bookings", "read_sold", "service_stats"]

ByStatus = Counter[str]


def _tables() -> defaultdict[int, ByStatus]:
    return defaultdict(Counter)


@dataclass(frozen=True, slots=True)
class Bookings:
    """Numbers of appointments by status, and minutes of the completed ones.

    Of all; by service id; by local hour; by weekday, 0 is Monday; by month of the year.
    """

    by_status: ByStatus = field(default_factory=Counter)
    by_service: Mapping[int, ByStatus] = field(default_factory=_tables)
    by_hour: Mapping[int, ByStatus] = field(default_factory=_tables)
    by_weekday: Mapping[int, ByStatus] = field(default_factory=_tables)
    by_month: Mapping[int, ByStatus] = field(default_factory=_tables)
    booked_minutes: int = 0

    def rate(self, status: str) -> float:
        """Tell the percent of all that have a status; 0 if there are none."""
        return float(pct(self.by_status[status], self.by_status.total()))


@dataclass(frozen=True, slots=True)
class Sold:
    """What was paid and given back for appointments of a service."""

    paid: Decimal = Decimal(0)
    payments: int = 0
    refunded: Decimal = Decimal(0)

    @property
    def revenue(self) -> Decimal:
        """Completed payments less refunds."""
        return self.paid - self.refunded

    @property
    def mean_payment(self) -> Decimal | None:
        """The mean completed payment; absent if there is none."""
        return ratio(self.paid, self.payments)


def read_bookings(aggregated: str | None) -> Bookings:
    """Read the JSON of `reports_sql.counted`."""
    by_status: ByStatus = Counter()
    tables = (_tables(), _tables(), _tables(), _tables())
    seconds = 0
    for *keys, status, number, length in json.loads(aggregated or "[]"):
        for table, key in zip(tables, keys, strict=True):
            if key is not None:
                table[key][status] += number
        if keys[0] is not None:  # each appointment is once in every table
            by_status[status] += number
            seconds += length if status == "completed" else 0
    return Bookings(by_status, *tables, booked_minutes=seconds // 60)


def read_sold(aggregated: str | None) -> dict[int, Sold]:
    """Read the JSON of `reports_sql.sold`, by service."""
    return {
        service_id: Sold(Decimal(paid), payments, Decimal(refunded))
        for service_id, paid, payments, refunded in json.loads(
            aggregated or "[]", parse_float=Decimal
        )
    }


def held(by_status: ByStatus) -> int:
    """Count appointments without the cancelled ones."""
    return by_status.total() - by_status["cancelled"]


def peak(table: Mapping[int, ByStatus]) -> int | None:
    """Find where most appointments are, the first of equals; None if there are none."""
    most = max(map(held, table.values()), default=0)
    if not most:
        return None
    return min(key for key, by_status in table.items() if held(by_status) == most)


def service_stats(
    bookings: Bookings, sold: Mapping[int, Sold], names: str | None, currency: str
) -> list[analytics_pb2.ServiceStats]:
    """Tell how each service with appointments does, by id; `names` is JSON by id."""
    named = json.loads(names or "{}")
    return [
        _service(service_id, named[str(service_id)], by_status, sold.get(service_id), currency)
        for service_id, by_status in sorted(bookings.by_service.items())
    ]


def _service(
    service_id: int, name: str, by_status: ByStatus, sold: Sold | None, currency: str
) -> analytics_pb2.ServiceStats:
    count = by_status.total()
    return analytics_pb2.ServiceStats(
        service_id=service_id,
        name=name,
        count=count,
        revenue=cents((sold or Sold()).revenue, currency),
        completed=by_status["completed"],
        cancelled=by_status["cancelled"],
        no_shows=by_status["no_show"],
        completion_rate=float(pct(by_status["completed"], count)),
        cancellation_rate=float(pct(by_status["cancelled"], count)),
        no_show_rate=float(pct(by_status["no_show"], count)),
    )
