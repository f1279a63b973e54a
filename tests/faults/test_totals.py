"""The totals of a round's shop are compared with its rows: what is off is a violation."""

from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from tests.faults.settle import check_totals
from tests.faults.shop import Shop, open_shop
from tests.support.stack import Database

_VISIT = """
INSERT INTO appointments (organization_id, barber_id, service_id, client_id, status, starts_at,
    ends_at, blocked_from, blocked_until, price)
VALUES ($1, $2, $3, $4, 'completed', $5::timestamptz, $5::timestamptz + interval '30 minutes',
    $5::timestamptz, $5::timestamptz + interval '30 minutes', 40)
"""


async def _shop_with_a_visit(connection: asyncpg.Connection) -> Shop:
    shop = await open_shop(connection)
    who = shop.barbers[0], next(iter(shop.services)), shop.clients[0]
    start = datetime.now(UTC) - timedelta(days=1)
    await connection.execute(_VISIT, shop.organization_id, *who, start)
    return shop


@pytest.mark.parametrize(
    ("tamper", "table"),
    [
        ("UPDATE client_days SET visits = visits + 1 WHERE barber_id = 0", "client_days"),
        ("UPDATE client_days SET paid = 0.01 WHERE barber_id <> 0", "client_days"),
        ("DELETE FROM client_days WHERE barber_id = 0", "client_days"),
        ("UPDATE client_totals SET visit_days = visit_days + 1", "client_totals"),
        ("UPDATE client_totals SET refunded = 0.01 WHERE barber_id = 0", "client_totals"),
        ("DELETE FROM client_totals", "client_totals"),
    ],
)
async def test_a_total_that_is_off_is_reported(database: Database, tamper: str, table: str) -> None:
    """As the triggers leave them there is nothing to say; one that was changed is named."""
    connection = await asyncpg.connect(database.url)
    try:
        shop = await _shop_with_a_visit(connection)
        assert await check_totals(database.url, shop.organization_id) == []
        assert (await connection.execute(tamper)).split()[-1] in {"1", "2"}
        found = await check_totals(database.url, shop.organization_id)
    finally:
        await connection.close()
    assert {violation.kind for violation in found} == {"totals"}
    assert table in found[0].detail
    assert f"client {shop.clients[0]}" in found[0].detail


_BLIND = """
CREATE OR REPLACE FUNCTION count_client_days(shop bigint) RETURNS SETOF client_days
LANGUAGE sql AS 'SELECT * FROM client_days WHERE organization_id = $1'
"""
_CARELESS = """
CREATE OR REPLACE FUNCTION rebuild_client_totals(shop bigint) RETURNS void
LANGUAGE sql AS 'DELETE FROM client_days WHERE organization_id = $1 AND barber_id = 0'
"""


@pytest.mark.parametrize(
    ("statements", "how"),
    [
        ((_BLIND, "UPDATE client_days SET visits = visits + 1"), "counted in Python"),
        ((_CARELESS,), "rebuilt None"),
    ],
)
async def test_neither_a_blind_check_nor_a_careless_rebuild_is_believed(
    database: Database, statements: tuple[str, ...], how: str
) -> None:
    """What the check does not see Python does; what a rebuild leaves is compared as well."""
    connection = await asyncpg.connect(database.url)
    try:
        shop = await _shop_with_a_visit(connection)
        for statement in statements:
            await connection.execute(statement)
        found = await check_totals(database.url, shop.organization_id)
    finally:
        await connection.close()
    assert found
    assert all(how in violation.detail for violation in found[:2])


async def test_a_lost_trigger_is_reported(database: Database) -> None:
    """A visit that no trigger has counted is missing from the totals."""
    connection = await asyncpg.connect(database.url)
    try:
        await connection.execute("ALTER TABLE appointments DISABLE TRIGGER total_insert")
        shop = await _shop_with_a_visit(connection)
        found = await check_totals(database.url, shop.organization_id)
    finally:
        await connection.close()
    assert len(found) == len(("the barber", "the shop"))
