"""Services by id."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from google.protobuf.message import Message
from sqlalchemy import Select, exists, select

from booking_service.postgres.tables import barber_services, services
from cache_service.invalidation import tags
from cache_service.queries import records
from cache_service.queries.declare import LoadContext, Rpc, cache_list_result
from cache_service.queries.pages import load_pages
from cache_service.queries.paging import Row, page_size, position
from chairside.cache.v1 import cache_service_pb2
from service_kit.validation import Violations

__all__ = ["ServicePage", "list_services"]

_MAX_CATEGORY = 200


@dataclass(frozen=True, slots=True)
class ServicePage:
    """Which services, how many, and after which id (0: from the first)."""

    organization_id: int
    category: str
    barber_id: int
    include_deleted: bool
    page_size: int
    after: int

    def filters(self) -> tuple[object, ...]:
        """Return what a page token is bound to."""
        return (self.organization_id, self.category, self.barber_id, self.include_deleted)


def _arguments(
    request: cache_service_pb2.ListServicesRequest, _today: date | None
) -> list[ServicePage]:
    found = Violations()
    page = ServicePage(
        organization_id=found.id("organization_id", request.organization_id),
        category=found.text("category", request.category, maximum=_MAX_CATEGORY),
        barber_id=found.optional_id("barber_id", request.barber_id) or 0,
        include_deleted=request.include_deleted,
        page_size=page_size(found, request.page_size),
        after=0,
    )
    (after,) = position(found, request.page_token, page.filters(), parts=1) or (0,)
    found.raise_if_any()
    return [replace(page, after=after)]


def _select(page: ServicePage) -> Select[Any]:
    statement = (
        select(services)
        .where(services.c.organization_id == page.organization_id, services.c.id > page.after)
        .order_by(services.c.id)
        .limit(page.page_size + 1)
    )
    if not page.include_deleted:
        statement = statement.where(~services.c.deleted)
    if page.category:
        statement = statement.where(services.c.category == page.category)
    if page.barber_id:
        statement = statement.where(
            exists().where(
                barber_services.c.organization_id == page.organization_id,
                barber_services.c.barber_id == page.barber_id,
                barber_services.c.service_id == services.c.id,
                barber_services.c.offered,
            )
        )
    return statement


def _tags(page: ServicePage) -> tuple[str, ...]:
    return (tags.SERVICES, tags.barber(page.barber_id)) if page.barber_id else (tags.SERVICES,)


@cache_list_result("services", tags=_tags, rpc=Rpc("ListServices", _arguments))
async def list_services(context: LoadContext, arguments: Sequence[ServicePage]) -> list[bytes]:
    """Load pages of services; NotFound: the organization."""
    organization_id = arguments[0].organization_id

    def response(rows: list[Row], token: str, currency: str) -> Message:
        return cache_service_pb2.ListServicesResponse(
            services=[records.service(row, organization_id, currency) for row in rows],
            next_page_token=token,
        )

    return await load_pages(context, arguments, statement=_select, response=response)
