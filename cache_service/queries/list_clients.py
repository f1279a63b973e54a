"""Clients by id."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from google.protobuf.message import Message
from sqlalchemy import Select, or_, select

from booking_service.postgres.tables import clients
from cache_service.invalidation import tags
from cache_service.queries import records
from cache_service.queries.declare import LoadContext, Rpc, cache_list_result
from cache_service.queries.pages import load_pages
from cache_service.queries.paging import Row, page_size, position
from chairside.cache.v1 import cache_service_pb2
from service_kit.validation import Violations

__all__ = ["ClientPage", "list_clients"]

_MAX_QUERY = 100
_ANY_LETTERS = "pg_c_utf8"
"""Knows the case of every letter, where a database's own locale may know only ASCII's."""


@dataclass(frozen=True, slots=True)
class ClientPage:
    """Which clients, how many, and after which id (0: from the first)."""

    organization_id: int
    query: str
    include_deleted: bool
    page_size: int
    after: int

    def filters(self) -> tuple[object, ...]:
        """Return what a page token is bound to."""
        return (self.organization_id, self.query, self.include_deleted)


def _arguments(
    request: cache_service_pb2.ListClientsRequest, _today: date | None
) -> list[ClientPage]:
    found = Violations()
    page = ClientPage(
        organization_id=found.id("organization_id", request.organization_id),
        query=found.text("query", request.query, maximum=_MAX_QUERY),
        include_deleted=request.include_deleted,
        page_size=page_size(found, request.page_size),
        after=0,
    )
    (after,) = position(found, request.page_token, page.filters(), parts=1) or (0,)
    found.raise_if_any()
    return [replace(page, after=after)]


def _select(page: ClientPage) -> Select[Any]:
    statement = (
        select(clients)
        .where(clients.c.organization_id == page.organization_id, clients.c.id > page.after)
        .order_by(clients.c.id)
        .limit(page.page_size + 1)
    )
    if not page.include_deleted:
        statement = statement.where(~clients.c.deleted)
    if page.query:
        pattern = "%" + re.sub(r"([\\%_])", r"\\\1", page.query) + "%"
        found_in = (clients.c.name, clients.c.email, clients.c.phone)
        statement = statement.where(
            or_(*(column.collate(_ANY_LETTERS).ilike(pattern) for column in found_in))
        )
    return statement


@cache_list_result(
    "clients", tags=lambda _page: (tags.CLIENTS,), rpc=Rpc("ListClients", _arguments)
)
async def list_clients(context: LoadContext, arguments: Sequence[ClientPage]) -> list[bytes]:
    """Load pages of clients; NotFound: the organization."""
    organization_id = arguments[0].organization_id

    def response(rows: list[Row], token: str, _currency: str) -> Message:
        return cache_service_pb2.ListClientsResponse(
            clients=[records.client(row, organization_id) for row in rows],
            next_page_token=token,
        )

    return await load_pages(context, arguments, statement=_select, response=response)
