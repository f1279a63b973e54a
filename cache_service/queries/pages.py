"""Load pages of lists: one statement for all of them, each page planned for its own filters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Integer, Select, literal, select, true, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from booking_service.postgres.tables import organizations
from service_kit.errors import NotFound

__all__ = ["load_pages"]


async def load_pages(
    connection: AsyncConnection, organization_id: int, pages: Sequence[Select[Any]]
) -> tuple[str, list[list[Any]]]:
    """Return the currency and the rows of each page; NotFound: the organization.

    A page selects rows, and among their columns `id`; it may refer to `organizations`. The
    order within a page is the caller's to restore: a union promises none.
    """
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
