# ruff: noqa: S608 - statements are put together from this file's own literals
"""What the outbox says about everything but bookings and money, and about much at once."""

import pytest
from google.type.date_pb2 import Date

from chairside.cache.v1.events_pb2 import Event, ScheduleFacts, SchedulePart
from tests.integration.postgres.conftest import Shop

_BOOKINGS = """
INSERT INTO appointments (organization_id, barber_id, service_id, status, starts_at, ends_at,
    blocked_from, blocked_until, price)
SELECT {shop}, {barber}, {service}, 'scheduled', s, s + INTERVAL '30 minutes', s,
    s + INTERVAL '30 minutes', 30
FROM generate_series(1, {count}) n,
    LATERAL (SELECT TIMESTAMPTZ '2026-01-01 00:00Z' + n * INTERVAL '30 minutes' AS s) AS starts
"""


def everything(organization_id: int) -> Event:
    """Return the event that drops all of a shop's answers."""
    event = Event(organization_id=organization_id)
    event.organization.SetInParent()
    return event


@pytest.mark.parametrize("kind", ["barber", "service", "client"])
async def test_an_entity_is_named_by_each_change(shop: Shop, kind: str) -> None:
    """Insert, update and delete of a barber, service or client name its id and no more."""
    more = {"service": ", duration_minutes, price", "barber": "", "client": ""}[kind]
    values = ", 10, 10" if more else ""
    for statement in (
        f"INSERT INTO {kind}s (organization_id, name{more}) VALUES (1, 'Secret'{values})",
        f"UPDATE {kind}s SET name = 'Secret 2' WHERE id = 4 OR id = 3",
        f"DELETE FROM {kind}s WHERE name LIKE 'Secret%' AND organization_id = 1",
    ):
        events = [e for e in await shop.events(statement) if e.organization_id == 1]
        (event,) = events
        assert event.WhichOneof("change") == kind
        assert getattr(getattr(event, kind), f"{kind}_id") in (3, 4)


async def test_an_organizations_change_drops_all_of_it(shop: Shop) -> None:
    """Insert, update and delete of an organization are its scope event."""
    assert await shop.events("UPDATE organizations SET horizon_days = 30 WHERE id = 1") == [
        everything(1)
    ]
    assert await shop.events("UPDATE organizations SET horizon_days = 30 WHERE id = 1") == []
    made = await shop.events(
        "INSERT INTO organizations (name, time_zone, currency) VALUES ('x', 'UTC', 'EUR')"
    )
    assert made == [everything(3)]
    assert await shop.events("DELETE FROM organizations WHERE id = 3") == [everything(3)]


async def test_an_offer_names_barber_and_service(shop: Shop) -> None:
    """What a barber offers is the barber's event with the service."""
    for statement in (
        "INSERT INTO barber_services (organization_id, barber_id, service_id) VALUES (1, 2, 1)",
        "UPDATE barber_services SET price = 40",
        "DELETE FROM barber_services",
    ):
        (event,) = await shop.events(statement)
        assert (event.barber.barber_id, event.barber.service_id) == (2, 1)


async def test_a_week_is_one_event_a_barber(shop: Shop) -> None:
    """Seven rows of weekly hours are one event, from the first day on which they hold."""
    part = SchedulePart.SCHEDULE_PART_WEEKLY_HOURS
    week = (
        "INSERT INTO weekly_hours SELECT 1, barber, DATE '2026-02-01', weekday, '{[540,1020)}'"
        " FROM generate_series(1, 2) barber, generate_series(0, 6) weekday"
    )
    events = await shop.events(week)
    first = Date(year=2026, month=2, day=1)
    expected = [ScheduleFacts(barber_id=barber, **{"from": first}) for barber in (1, 2)]
    assert sorted((e.schedule.new for e in events), key=lambda new: new.barber_id) == expected
    assert not any(e.schedule.HasField("old") for e in events)
    (event,) = await shop.events(
        "UPDATE weekly_hours SET periods = '{}' WHERE weekday > 4 AND barber_id = 2"
    )
    assert (event.schedule.part, event.schedule.old, event.schedule.new) == (
        part,
        expected[1],
        expected[1],
    )
    (event,) = await shop.events("DELETE FROM weekly_hours WHERE barber_id = 1")
    assert event.schedule.old == expected[0]
    assert not event.schedule.HasField("new")
    assert await shop.events("UPDATE weekly_hours SET weekday = weekday") == []


async def test_special_hours_name_their_day(shop: Shop) -> None:
    """A special day is its own first and last day; a moved one names both days."""
    (made,) = await shop.events("INSERT INTO special_hours VALUES (1, 1, '2026-02-03', '{}')")
    new = made.schedule.new
    assert made.schedule.part == SchedulePart.SCHEDULE_PART_SPECIAL_HOURS
    assert getattr(new, "from") == new.to == Date(year=2026, month=2, day=3)
    moved = await shop.events("UPDATE special_hours SET day = '2026-02-05'")
    days = {(e.schedule.old.to.day, e.schedule.new.to.day) for e in moved}
    assert days == {(3, 0), (0, 5)}
    (changed,) = await shop.events("UPDATE special_hours SET periods = '{[60,120)}'")
    assert changed.schedule.old == changed.schedule.new
    (gone,) = await shop.events("DELETE FROM special_hours")
    assert gone.schedule.old.to.day == 5


async def test_time_off_names_its_local_days(shop: Shop) -> None:
    """Time off up to midnight ends on the day before, in the shop's zone."""
    (made,) = await shop.events(
        "INSERT INTO time_off (organization_id, barber_id, starts_at, ends_at)"
        " VALUES (1, 1, '2026-02-03 04:59Z', '2026-02-05 05:00Z')"
    )
    new = made.schedule.new
    assert made.schedule.part == SchedulePart.SCHEDULE_PART_TIME_OFF
    assert getattr(new, "from") == Date(year=2026, month=2, day=2)
    assert new.to == Date(year=2026, month=2, day=4)
    (moved,) = await shop.events("UPDATE time_off SET ends_at = '2026-02-05 05:01Z'")
    assert moved.schedule.old == new
    assert moved.schedule.new.to == Date(year=2026, month=2, day=5)
    (gone,) = await shop.events("DELETE FROM time_off")
    assert gone.schedule.old == moved.schedule.new


async def test_above_a_thousand_rows_the_shop_is_the_event(shop: Shop) -> None:
    """1,000 rows are 1,000 events; 1,001 are one for each organization concerned."""
    events = await shop.events(_BOOKINGS.format(shop=1, barber=1, service=1, count=1000))
    assert len(events) == 1000
    assert all(event.HasField("appointment") for event in events)
    events = await shop.events(_BOOKINGS.format(shop=2, barber=3, service=3, count=1001))
    assert events == [everything(2)]
    events = await shop.events("UPDATE appointments SET status = 'completed'")
    assert sorted(events, key=lambda event: event.organization_id) == [everything(1), everything(2)]
    assert len(await shop.events("DELETE FROM appointments WHERE organization_id = 1")) == 1000
    assert await shop.events("DELETE FROM appointments") == [everything(2)]


async def test_a_truncate_drops_every_shop(shop: Shop) -> None:
    """TRUNCATE says of each organization that all its answers go, its own table included."""
    assert await shop.events("TRUNCATE time_off") == [everything(1), everything(2)]
    events = await shop.events("TRUNCATE organizations CASCADE")
    assert {event.organization_id for event in events} == {1, 2}
    assert all(event.HasField("organization") for event in events)


async def test_a_rollback_leaves_no_event(shop: Shop) -> None:
    """What is undone was never told; the same statement committed is."""
    change = "UPDATE barbers SET active = false WHERE id = 1"
    assert await shop.events(f"BEGIN; {change}; ROLLBACK") == []
    assert len(await shop.events(f"BEGIN; {change}; COMMIT")) == 1
