"""Barbers by id, with what they offer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Any

from google.protobuf.message import Message
from sqlalchemy import Select, Text, exists, func, select
from sqlalchemy.dialects.postgresql import aggregate_order_by

from booking_service.postgres.tables import barber_services, barbers
from cache_service.invalidation import tags
from cache_service.queries import records
from cache_service.queries.declare import LoadContext, Rpc, cache_list_result
from cache_service.queries.pages import load_pages
from cache_service.queries.paging import Row, page_size, position
from chairside.cache.v1 import cache_service_pb2
from service_kit.validation import Violations

__all__ = ["BarberPage", "list_barbers"]


@dataclass(frozen=True, slots=True)
class BarberPage:
    """Which barbers, how many, and after which id (0: from the first)."""

    organization_id: int
    service_id: int
    include_inactive: bool
    page_size: int
    after: int

    def filters(self) -> tuple[object, ...]:
        """Return what a page token is bound to."""
        return (self.organization_id, self.service_id, self.include_inactive)


def _arguments(
    request: cache_service_pb2.ListBarbersRequest, _today: date | None
) -> list[BarberPage]:
    found = Violations()
    page = BarberPage(
        organization_id=found.id("organization_id", request.organization_id),
        service_id=found.optional_id("service_id", request.service_id) or 0,
        include_inactive=request.include_inactive,
        page_size=page_size(found, request.page_size),
        after=0,
    )
    (after,) = position(found, request.page_token, page.filters(), parts=1) or (0,)
    found.raise_if_any()
    return [replace(page, after=after)]


def _select(page: BarberPage) -> Select[Any]:
    of_barber = (
        barber_services.c.organization_id == page.organization_id,
        barber_services.c.barber_id == barbers.c.id,
        barber_services.c.offered,
    )
    offer = func.json_build_array(
        barber_services.c.service_id, barber_services.c.price, barber_services.c.duration_minutes
    )
    offers = (
        select(func.json_agg(aggregate_order_by(offer, barber_services.c.service_id)).cast(Text))
        .where(*of_barber)
        .correlate(barbers)
        .scalar_subquery()
    )
    statement = (
        select(barbers, offers.label("offers"))
        .where(barbers.c.organization_id == page.organization_id, barbers.c.id > page.after)
        .order_by(barbers.c.id)
        .limit(page.page_size + 1)
    )
    if not page.include_inactive:
        statement = statement.where(barbers.c.active)
    if page.service_id:
        statement = statement.where(
            exists().where(*of_barber, barber_services.c.service_id == page.service_id)
        )
    return statement


@cache_list_result(
    "barbers", tags=lambda _page: (tags.BARBERS,), rpc=Rpc("ListBarbers", _arguments)
)
async def list_barbers(context: LoadContext, arguments: Sequence[BarberPage]) -> list[bytes]:
    """Load pages of barbers; NotFound: the organization."""
    organization_id = arguments[0].organization_id

    def response(rows: list[Row], token: str, currency: str) -> Message:
        return cache_service_pb2.ListBarbersResponse(
            barbers=[
                records.barber(row, _offers(row.offers), organization_id, currency) for row in rows
            ],
            next_page_token=token,
        )

    return await load_pages(context, arguments, statement=_select, response=response)


def _offers(aggregated: str | None) -> list[tuple[int, Decimal | None, int | None]]:
    return [
        (service_id, None if price is None else Decimal(price), minutes)
        for service_id, price, minutes in json.loads(aggregated or "[]", parse_float=Decimal)
    ]
