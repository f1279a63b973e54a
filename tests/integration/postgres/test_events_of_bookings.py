# ruff: noqa: S608 - statements are put together from this file's own literals
"""What the outbox says about appointments, payments and refunds."""

import pytest
from google.type.date_pb2 import Date

from chairside.cache.v1.events_pb2 import AppointmentFacts, Event, PaymentFacts
from chairside.cache.v1.types_pb2 import AppointmentStatus
from tests.integration.postgres.conftest import Shop


def day(text: str) -> Date:
    """Read a date from ISO."""
    year, month, number = map(int, text.split("-"))
    return Date(year=year, month=month, day=number)


async def test_a_new_appointment_tells_its_facts(shop: Shop) -> None:
    """An insert is an event with the new facts alone, days local to the shop."""
    booked = await shop.book("2026-03-02 15:00Z", "2026-03-02 15:30Z")
    (event,) = await shop.take()
    facts = AppointmentFacts(
        appointment_id=booked,
        barber_id=1,
        service_id=1,
        client_id=1,
        status=AppointmentStatus.APPOINTMENT_STATUS_SCHEDULED,
        date=day("2026-03-02"),
        blocked_from=day("2026-03-02"),
        blocked_to=day("2026-03-02"),
    )
    expected = Event(organization_id=1)
    expected.appointment.new.CopyFrom(facts)
    assert event == expected


async def test_a_deleted_appointment_tells_its_old_facts(shop: Shop) -> None:
    """A delete is an event with the old facts alone."""
    booked = await shop.book("2026-03-02 15:00Z", "2026-03-02 15:30Z", client_id=None)
    (made,) = await shop.take()
    (gone,) = await shop.events(f"DELETE FROM appointments WHERE id = {booked}")
    assert gone.appointment.old == made.appointment.new
    assert not gone.appointment.HasField("new")
    assert gone.appointment.old.client_id == 0


@pytest.mark.parametrize(
    ("start", "end", "expected", "columns"),
    [
        # 23:30 in Toronto is the next day in UTC.
        ("2026-03-03 04:30Z", "2026-03-03 05:00Z", ("2026-03-02", "2026-03-02", "2026-03-03"), {}),
        # From 02:00 the two hours before end just at midnight: that day is not met.
        ("2026-03-02 07:00Z", "2026-03-02 08:00Z", ("2026-03-02", "2026-03-02", "2026-03-02"), {}),
        ("2026-03-02 06:59Z", "2026-03-02 08:00Z", ("2026-03-02", "2026-03-01", "2026-03-02"), {}),
        # Up to 22:00 the two hours after end just at midnight; a minute later they do not.
        ("2026-03-03 02:00Z", "2026-03-03 03:00Z", ("2026-03-02", "2026-03-02", "2026-03-02"), {}),
        ("2026-03-03 02:00Z", "2026-03-03 03:01Z", ("2026-03-02", "2026-03-02", "2026-03-03"), {}),
        # The buffers count, not the appointment alone: blocked from 01:30 local.
        (
            "2026-03-02 08:00Z",
            "2026-03-02 09:00Z",
            ("2026-03-02", "2026-03-01", "2026-03-02"),
            {"blocked_from": "2026-03-02 06:30Z"},
        ),
        # Clocks go forward at 02:00 on March 8th: 03:30 EDT is 2.5 elapsed hours after
        # midnight, so it stays within its day; 03:00 EDT less two hours is midnight.
        ("2026-03-08 07:30Z", "2026-03-08 08:00Z", ("2026-03-08", "2026-03-08", "2026-03-08"), {}),
        ("2026-03-08 06:59Z", "2026-03-08 08:00Z", ("2026-03-08", "2026-03-07", "2026-03-08"), {}),
        # Clocks go back on November 1st: 22:30 EST is already 03:30 in UTC.
        ("2026-11-02 03:00Z", "2026-11-02 03:30Z", ("2026-11-01", "2026-11-01", "2026-11-02"), {}),
        # Half an hour off: midnight in Delhi is 18:30 in UTC.
        (
            "2026-03-02 18:30Z",
            "2026-03-02 19:00Z",
            ("2026-03-03", "2026-03-02", "2026-03-03"),
            {"organization_id": 2, "barber_id": 3, "service_id": 3, "client_id": 2},
        ),
        (
            "2026-03-02 18:29Z",
            "2026-03-02 18:59Z",
            ("2026-03-02", "2026-03-02", "2026-03-03"),
            {"organization_id": 2, "barber_id": 3, "service_id": 3, "client_id": 2},
        ),
    ],
)
async def test_days_are_the_shops(
    shop: Shop, start: str, end: str, expected: tuple[str, str, str], columns: dict[str, object]
) -> None:
    """Days are cut at the shop's midnight, and blocked time is widened by two elapsed hours."""
    await shop.book(start, end, **columns)
    (event,) = await shop.take()
    new = event.appointment.new
    assert (new.date, new.blocked_from, new.blocked_to) == tuple(map(day, expected))


@pytest.mark.parametrize(
    ("change", "unchanged"),
    [
        ("status = 'confirmed'", True),
        ("status = 'no_show'", True),
        ("notes = 'left handed', version = version + 1", True),
        ("price = 31, client_id = NULL", True),
        ("status = 'cancelled'", False),
        ("status = 'pending', hold_until = '2026-03-01'", False),
        ("barber_id = 2", False),
        ("service_id = 2", False),
        ("blocked_until = '2026-03-02 15:40Z'", False),
        ("ends_at = '2026-03-02 15:20Z'", False),
    ],
)
async def test_an_update_says_whether_free_slots_stay(
    shop: Shop, change: str, *, unchanged: bool
) -> None:
    """`availability_unchanged` is set only if time, barber, service and hold stay."""
    await shop.book("2026-03-02 15:00Z", "2026-03-02 15:30Z")
    (made,) = await shop.take()
    (event,) = await shop.events(f"UPDATE appointments SET {change}")
    assert event.appointment.availability_unchanged is unchanged
    assert event.appointment.old == made.appointment.new
    assert event.appointment.HasField("new")


async def test_a_hold_that_is_extended_changes_free_slots(shop: Shop) -> None:
    """A pending appointment holds its time until hold_until, so that is a change."""
    await shop.book(
        "2026-03-02 15:00Z", "2026-03-02 15:30Z", status="pending", hold_until="2026-03-01 10:00Z"
    )
    await shop.take()
    (event,) = await shop.events("UPDATE appointments SET hold_until = '2026-03-01 11:00Z'")
    assert not event.appointment.availability_unchanged


async def test_an_update_that_changes_nothing_is_no_event(shop: Shop) -> None:
    """Writing the same values again tells nobody."""
    await shop.book("2026-03-02 15:00Z", "2026-03-02 15:30Z")
    await shop.take()
    assert await shop.events("UPDATE appointments SET status = status") == []
    assert len(await shop.events("UPDATE appointments SET version = 2")) == 1


async def test_a_row_that_changes_shop_is_an_event_for_both(shop: Shop) -> None:
    """Old facts go to the old organization in its zone, new facts to the new in its own."""
    await shop.book("2026-03-02 04:00Z", "2026-03-02 04:30Z")
    await shop.take()
    events = await shop.events(
        "UPDATE appointments SET organization_id = 2, barber_id = 3, service_id = 3, client_id = 2"
    )
    by_shop = {event.organization_id: event.appointment for event in events}
    assert by_shop[1].old.date == day("2026-03-01")
    assert not by_shop[1].HasField("new")
    assert by_shop[2].new.date == day("2026-03-02")
    assert not by_shop[2].HasField("old")


async def test_a_row_that_changes_its_key_is_an_event_for_both(shop: Shop) -> None:
    """Another id is a removal and an addition."""
    booked = await shop.book("2026-03-02 15:00Z", "2026-03-02 15:30Z")
    await shop.take()
    events = await shop.events(f"UPDATE appointments SET id = {booked + 1000}")
    facts = [
        (event.appointment.old.appointment_id, event.appointment.new.appointment_id)
        for event in events
    ]
    assert sorted(facts) == [(0, booked + 1000), (booked, 0)]


async def test_a_payment_carries_its_appointments_facts(shop: Shop) -> None:
    """Barber, service, client and day of the appointment are copied into the payment's event."""
    booked = await shop.book("2026-03-03 04:30Z", "2026-03-03 05:00Z", service_id=2)
    await shop.take()
    (paid,) = await shop.events(
        "INSERT INTO payments (organization_id, appointment_id, barber_id, amount, paid_at)"
        f" VALUES (1, {booked}, 2, 90, '2026-03-05 04:59Z')"
    )
    facts = PaymentFacts(
        barber_id=2,
        client_id=1,
        date=day("2026-03-04"),
        appointment_id=booked,
        appointment_barber_id=1,
        appointment_date=day("2026-03-02"),
        service_id=2,
    )
    assert paid.payment.new == facts
    (refund,) = await shop.events(
        "INSERT INTO refunds (organization_id, payment_id, appointment_id, amount, refunded_at)"
        f" SELECT 1, id, {booked}, 10, '2026-03-06 12:00Z' FROM payments"
    )
    # Without a barber of its own it is the appointment's who gives the money back.
    facts.barber_id = 1
    facts.date.CopyFrom(day("2026-03-06"))
    assert refund.payment.new == facts


async def test_a_retail_sale_names_no_appointment(shop: Shop) -> None:
    """Without an appointment its fields are unset, whatever the writer put there."""
    (event,) = await shop.events(
        "INSERT INTO payments (organization_id, barber_id, service_id, amount, paid_at)"
        " VALUES (1, 1, 1, 5, '2026-03-02 12:00Z')"
    )
    assert event.payment.new == PaymentFacts(barber_id=1, date=day("2026-03-02"))


async def test_money_follows_its_appointment(shop: Shop) -> None:
    """A reschedule moves the copies of payments and refunds, with events of their own."""
    booked = await shop.book("2026-03-02 15:00Z", "2026-03-02 15:30Z")
    other = await shop.book("2026-03-02 17:00Z", "2026-03-02 17:30Z")
    for table, moment in (("payments", "paid_at"), ("refunds", "refunded_at")):
        await shop.connection.execute(
            f"INSERT INTO {table} (organization_id, appointment_id, amount, {moment})"
            f" VALUES (1, {booked}, 5, '2026-03-02 12:00Z'), (1, {other}, 5, '2026-03-02 12:00Z')"
        )
    await shop.take()
    events = await shop.events(
        "UPDATE appointments SET barber_id = 2, starts_at = '2026-03-04 15:00Z',"
        " ends_at = '2026-03-04 15:30Z', blocked_from = '2026-03-04 15:00Z',"
        f" blocked_until = '2026-03-04 15:30Z' WHERE id = {booked}"
    )
    money = [event.payment for event in events if event.HasField("payment")]
    assert len(money) == 2
    for change in money:
        assert (change.old.appointment_date, change.old.appointment_barber_id) == (
            day("2026-03-02"),
            1,
        )
        assert (change.new.appointment_date, change.new.appointment_barber_id) == (
            day("2026-03-04"),
            2,
        )
    assert len(events) == 3
    # A status is no move.
    assert len(await shop.events("UPDATE appointments SET status = 'completed'")) == 2


async def test_money_of_another_shops_appointment_is_refused(shop: Shop) -> None:
    """A payment cannot name an appointment of another organization."""
    booked = await shop.book("2026-03-02 15:00Z", "2026-03-02 15:30Z")
    await shop.take()
    with pytest.raises(Exception, match="has no appointment"):
        await shop.events(
            "INSERT INTO payments (organization_id, appointment_id, barber_id, amount, paid_at)"
            f" VALUES (2, {booked}, 3, 90, '2026-03-05')"
        )
    assert await shop.take() == []
