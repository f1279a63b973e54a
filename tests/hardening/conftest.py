"""One system for all attacks: what one leaves behind, the next must live with."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from tests.conftest import NewSystem
from tests.support.stack import System

ROWS = """
INSERT INTO organizations (name, time_zone, currency, slot_interval_minutes, lead_time_minutes,
    horizon_days) SELECT 'Shop', 'Europe/Berlin', 'EUR', 15, 0, 90 FROM generate_series(1, 3);
INSERT INTO services (organization_id, name, duration_minutes, buffer_before_minutes,
    buffer_after_minutes, price) SELECT id, 'Cut', 30, 0, 5, 20 FROM organizations;
INSERT INTO barbers (organization_id, name, active) SELECT id, 'Bo', true FROM organizations;
INSERT INTO clients (organization_id, name) SELECT id, 'Ann' FROM organizations;
INSERT INTO barber_services (organization_id, barber_id, service_id, offered)
    SELECT b.organization_id, b.id, s.id, true FROM barbers b JOIN services s
    USING (organization_id);
INSERT INTO weekly_hours (organization_id, barber_id, valid_from, weekday, periods)
    SELECT organization_id, id, '2000-01-01', d, '{[540,1080)}'
    FROM barbers, generate_series(0, 6) AS d;
"""


@pytest.fixture(scope="session")
async def attacked(new_system: NewSystem) -> AsyncIterator[System]:
    """Run both services with three small shops, for requests to hit."""
    async with new_system({"CHAIRSIDE_CLOCK_START": "2025-03-05T15:00:00Z"}) as system:
        connection = await asyncpg.connect(system.database.url)
        await connection.execute(ROWS)
        await connection.close()
        yield system
