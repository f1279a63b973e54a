"""Load pages of lists: one statement for all of them, each page planned for its own filters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

from google.protobuf.message import Message
from sqlalchemy import Integer, Select, literal, select, true, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from booking_service.postgres.tables import organizations
from cache_service.queries.declare import LoadContext
from cache_service.queries.paging import Key, Row, cut
from service_kit.errors import NotFound

__all__ = ["by_id", "load_pages"]


class Page(Protocol):
    """A page of a list: whose, how long, and by which filters."""

    @property
    def organization_id(self) -> int:
        """The organization."""

    @property
    def page_size(self) -> int:
        """How many rows at most."""

    def filters(self) -> tuple[object, ...]:
        """Return what a page token is bound to."""


P = TypeVar("P", bound=Page)


def by_id(row: Row) -> Key:
    """Return what a list by id is sorted by."""
    return (row.id,)


async def load_pages(
    context: LoadContext,
    pages: Sequence[P],
    *,
    statement: Callable[[P], Select[Any]],
    response: Callable[[list[Row], str, str], Message],
    key: Callable[[Row], Key] = by_id,
) -> list[bytes]:
    """Return the serialised response of each page; NotFound: the organization.

    `statement` selects a page's rows, one more than its size, among their columns `id`; it
    may refer to `organizations`. `response` makes the message of the rows shown, in the
    order of `key`, the next page's token, and the organization's currency.
    """
    currency, found = await _rows(
        context.connection, pages[0].organization_id, [statement(page) for page in pages]
    )
    payloads = []
    for page, rows in zip(pages, found, strict=True):
        shown, token = cut(rows, page.page_size, page.filters(), key)
        payloads.append(response(shown, token, currency).SerializeToString())
    return payloads


async def _rows(
    connection: AsyncConnection, organization_id: int, pages: Sequence[Select[Any]]
) -> tuple[str, list[list[Any]]]:
    """Return the currency and the rows of each page, in no order: a union promises none."""
    statements = [
        select(
            literal(number, Integer).label("page_number"),
            organizations.c.currency.label("page_currency"),
            *(page := one.lateral(f"page_{number}")).c,
        )
        .select_from(organizations.outerjoin(page, true()))
        .where(organizations.c.id == organization_id)
        for number, one in enumerate(pages)
    ]
    rows = (await connection.execute(union_all(*statements))).all()
    if not rows:
        raise NotFound("organization", organization_id)
    found: list[list[Any]] = [[] for _ in pages]
    for row in rows:
        if row.id is not None:
            found[row.page_number].append(row)
    return rows[0].page_currency, found
