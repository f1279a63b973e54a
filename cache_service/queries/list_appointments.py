"""Appointments by start time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from google.protobuf.message import Message
from sqlalchemy import BigInteger, Date, DateTime, Select, cast, func, literal, select, tuple_

from booking_service.postgres.tables import appointments, organizations
from cache_service.invalidation import tags
from cache_service.queries import records
from cache_service.queries.declare import LoadContext, Rpc, cache_list_result
from cache_service.queries.pages import load_pages
from cache_service.queries.paging import Row, page_size, position
from chairside.cache.v1 import cache_service_pb2, types_pb2
from service_kit.validation import Violations

__all__ = ["AppointmentPage", "list_appointments"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_STATUSES = frozenset(types_pb2.AppointmentStatus.values()) - {0}
_MOST_MONTHS = 24
"""Longer ranges depend on all appointments: a guard for each month costs every hit."""
_FIRST = int((datetime(1, 1, 2, tzinfo=UTC) - _EPOCH) / _MICROSECOND)
_LAST = int((datetime(9999, 12, 30, tzinfo=UTC) - _EPOCH) / _MICROSECOND)


@dataclass(frozen=True, slots=True)
class AppointmentPage:
    """Which appointments, how many, and after which start (microseconds) and id."""

    organization_id: int
    barber_id: int
    client_id: int
    service_id: int
    statuses: tuple[str, ...]
    start: date | None
    end: date | None
    page_size: int
    after: tuple[int, ...]

    def filters(self) -> tuple[object, ...]:
        """Return what a page token is bound to."""
        who = (self.organization_id, self.barber_id, self.client_id, self.service_id)
        return (*who, self.statuses, str(self.start), str(self.end))


def _arguments(
    request: cache_service_pb2.ListAppointmentsRequest, _today: date | None
) -> list[AppointmentPage]:
    found = Violations()
    statuses = {
        found.enum(f"statuses[{index}]", status, _STATUSES)
        for index, status in enumerate(request.statuses)
    }
    page = AppointmentPage(
        organization_id=found.id("organization_id", request.organization_id),
        barber_id=found.optional_id("barber_id", request.barber_id) or 0,
        client_id=found.optional_id("client_id", request.client_id) or 0,
        service_id=found.optional_id("service_id", request.service_id) or 0,
        statuses=tuple(records.status_text(status) for status in sorted(statuses & _STATUSES)),
        start=found.date("start_date", request.start_date, has=request.HasField("start_date")),
        end=found.date("end_date", request.end_date, has=request.HasField("end_date")),
        page_size=page_size(found, request.page_size),
        after=(),
    )
    if page.start is not None and page.end is not None and page.end <= page.start:
        found.add("end_date", "must be after start_date")
    after = position(found, request.page_token, page.filters(), parts=2) or ()
    if after and not _FIRST <= after[0] <= _LAST:
        found.add("page_token", "is not one of this method's")
    found.raise_if_any()
    return [replace(page, after=after)]


def _tags(page: AppointmentPage) -> tuple[str, ...]:
    """Name the narrowest facts that hold all of the page's rows."""
    barber = (tags.barber(page.barber_id),) if page.barber_id else ()
    if page.client_id:
        return (*barber, tags.client(page.client_id), tags.client_bookings(page.client_id))
    if page.start is not None and page.end is not None:
        days = (page.start, page.end)
        if len(tags.months(*days)) <= _MOST_MONTHS:
            return (*barber, *tags.bookings_within(page.barber_id, *days))
    return (*barber, tags.booking_history(page.barber_id))


def _select(page: AppointmentPage) -> Select[Any]:
    table = appointments.c
    statement = (
        select(appointments)
        .where(table.organization_id == page.organization_id)
        .order_by(table.starts_at, table.id)
        .limit(page.page_size + 1)
    )
    for name in ("barber_id", "client_id", "service_id"):
        if value := getattr(page, name):
            statement = statement.where(table[name] == value)
    if page.statuses:
        statement = statement.where(table.status.in_(page.statuses))
    # The local day decides; the bounds in UTC, a day wider, are for the index.
    local_day = cast(func.timezone(organizations.c.time_zone, table.starts_at), Date)
    if page.start is not None:
        since = datetime.combine(page.start, time(), UTC) - timedelta(days=1)
        statement = statement.where(table.starts_at >= since, local_day >= page.start)
    if page.end is not None:
        until = datetime.combine(page.end, time(), UTC) + timedelta(days=1)
        statement = statement.where(table.starts_at < until, local_day < page.end)
    if page.after:
        micros, after_id = page.after
        after = tuple_(
            literal(_EPOCH + micros * _MICROSECOND, DateTime(timezone=True)),
            literal(after_id, BigInteger),
        )
        statement = statement.where(tuple_(table.starts_at, table.id) > after)
    return statement


def _key(row: Any) -> tuple[int, int]:  # noqa: ANN401 - a row of appointments
    return (row.starts_at - _EPOCH) // _MICROSECOND, row.id


@cache_list_result("appointments", tags=_tags, rpc=Rpc("ListAppointments", _arguments))
async def list_appointments(
    context: LoadContext, arguments: Sequence[AppointmentPage]
) -> list[bytes]:
    """Load pages of appointments; NotFound: the organization."""
    organization_id = arguments[0].organization_id

    def response(rows: list[Row], token: str, currency: str) -> Message:
        return cache_service_pb2.ListAppointmentsResponse(
            appointments=[records.appointment(row, organization_id, currency) for row in rows],
            next_page_token=token,
        )

    return await load_pages(context, arguments, statement=_select, response=response, key=_key)
