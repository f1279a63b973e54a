"""Appointments: booked, changed, moved, and carried through their statuses."""

from datetime import timedelta
from typing import Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from chairside.booking.v1 import booking_service_pb2 as pb
from chairside.cache.v1 import types_pb2 as types
from tests.integration.booking.house import HOUR, MONDAY, Shop, cad, stamp
from tests.support.failures import failure

TEN = MONDAY + 2 * HOUR  # 10:00 in Toronto


async def step(shop: Shop, method: str, appointment_id: int, **more: Any) -> Any:
    """Call a method that takes an appointment's id, and return the appointment."""
    request = getattr(pb, f"{method}Request")
    call = getattr(shop.house.stub, method)
    response = await call(request(organization_id=shop.id, appointment_id=appointment_id, **more))
    return response.appointment


async def status_of(shop: Shop, status: str) -> int:
    """Book an appointment and bring it to `status`; returns its id."""
    pending = {"status": types.APPOINTMENT_STATUS_PENDING} if status == "PENDING" else {}
    made = await shop.book(TEN, **pending)
    way = {
        "PENDING": [],
        "SCHEDULED": [],
        "CONFIRMED": ["ConfirmAppointment"],
        "IN_PROGRESS": ["StartAppointment"],
        "COMPLETED": ["CompleteAppointment"],
        "CANCELLED": ["CancelAppointment"],
        "NO_SHOW": ["MarkNoShow"],
    }[status]
    now = shop.house.clock.time
    shop.house.clock.time = TEN + HOUR
    for method in way:
        await step(shop, method, made.appointment_id)
    shop.house.clock.time = now
    return int(made.appointment_id)


async def test_a_booking_has_the_services_terms_and_the_shops_currency(shop: Shop) -> None:
    """A booking lasts as long as its service, costs its price and is scheduled."""
    response = await shop.house.stub.CreateAppointment(shop.request(TEN, notes="window seat"))
    made = response.appointment
    assert made.start_time == stamp(TEN)
    assert made.end_time == stamp(TEN + timedelta(minutes=30))
    assert made.price == cad(40)
    assert made.status == types.APPOINTMENT_STATUS_SCHEDULED
    assert (made.notes, made.client_id, made.etag) == ("window seat", shop.client, "1")
    assert not made.HasField("hold_until")
    assert response.cache_applied
    assert response.token
    got = await shop.house.stub.GetAppointment(
        pb.GetAppointmentRequest(organization_id=shop.id, appointment_id=made.appointment_id)
    )
    assert got.appointment == made
    assert got.token


async def test_a_barbers_own_price_and_duration_count(shop: Shop) -> None:
    """A booking takes the barber's own terms where there are any."""
    await shop.house.stub.SetBarberService(
        pb.SetBarberServiceRequest(
            organization_id=shop.id,
            barber_id=shop.barbers[1],
            service_id=shop.service,
            offered=True,
            price=cad(55, 50),
            duration={"seconds": 2700},
        )
    )
    made = await shop.book(TEN, barber_id=shop.barbers[1], client_id=0)
    assert made.price == cad(55, 50)
    assert made.end_time == stamp(TEN + timedelta(minutes=45))
    assert made.client_id == 0


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"start_time": stamp(MONDAY + HOUR / 2)}, "OUTSIDE_HOURS"),
        ({"start_time": stamp(MONDAY + 8.75 * HOUR)}, "OUTSIDE_HOURS"),
        ({"start_time": stamp(MONDAY + timedelta(minutes=14))}, "LEAD_TIME"),
        ({"start_time": stamp(MONDAY - 24 * HOUR)}, "LEAD_TIME"),
        ({"start_time": stamp(TEN + timedelta(days=91))}, "BEYOND_HORIZON"),
    ],
)
async def test_each_rule_refuses_with_its_own_reason(
    shop: Shop, change: dict[str, Any], reason: str
) -> None:
    """Hours, lead time and horizon are FAILED_PRECONDITION with a reason each."""
    failed = await failure(shop.house.stub.CreateAppointment(shop.request(TEN, **change)))
    assert (failed.code, failed.reason) == ("FAILED_PRECONDITION", reason)
    assert failed.precondition == reason
    assert await shop.house.sql("SELECT 1 FROM appointments") == []


async def test_the_last_day_of_the_horizon_can_be_booked(shop: Shop) -> None:
    """The horizon's last day is in, and a booking need not be on the grid."""
    assert await shop.book(TEN + timedelta(days=90, minutes=7))


async def test_an_inactive_barber_and_a_service_not_offered_are_refused(shop: Shop) -> None:
    """An inactive barber and a service out of the offer have reasons of their own."""
    stub, barber = shop.house.stub, shop.barbers[0]
    await stub.SetBarberService(
        pb.SetBarberServiceRequest(
            organization_id=shop.id, barber_id=barber, service_id=shop.service, offered=False
        )
    )
    assert (await failure(stub.CreateAppointment(shop.request(TEN)))).reason == (
        "SERVICE_NOT_OFFERED"
    )
    await stub.UpdateBarber(
        pb.UpdateBarberRequest(
            organization_id=shop.id,
            barber=types.Barber(barber_id=barber, active=False),
            update_mask=FieldMask(paths=["active"]),
        )
    )
    assert (await failure(stub.CreateAppointment(shop.request(TEN)))).reason == "BARBER_INACTIVE"


async def test_a_taken_time_is_slot_taken_buffers_included(shop: Shop) -> None:
    """Buffers of both count: 39 minutes later is taken, 40 is free."""
    await shop.book(TEN)
    near = shop.request(TEN + timedelta(minutes=39))
    failed = await failure(shop.house.stub.CreateAppointment(near))
    assert (failed.code, failed.reason) == ("FAILED_PRECONDITION", "SLOT_TAKEN")
    assert failed.metadata["token"]
    assert await shop.book(TEN + timedelta(minutes=40))


async def test_the_constraint_has_the_last_word(shop: Shop) -> None:
    """An overlap that only the constraint sees is SLOT_TAKEN, too."""
    await shop.book(TEN)
    # Without the row's lock a writer of another kind would meet the constraint: here
    # the check before it is blinded.
    await shop.house.sql(
        "CREATE FUNCTION blind() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " NEW.blocked_from = NEW.blocked_from - INTERVAL '1 hour'; RETURN NEW; END $$"
    )
    await shop.house.sql("ALTER TABLE appointments DROP CONSTRAINT appointments_times_in_order")
    await shop.house.sql(
        "CREATE TRIGGER blind BEFORE INSERT ON appointments FOR EACH ROW EXECUTE FUNCTION blind()"
    )
    failed = await failure(
        shop.house.stub.CreateAppointment(shop.request(TEN + timedelta(minutes=60)))
    )
    assert (failed.code, failed.reason) == ("FAILED_PRECONDITION", "SLOT_TAKEN")


@pytest.mark.parametrize(
    ("method", "allowed"),
    [
        ("ConfirmAppointment", {"PENDING", "SCHEDULED"}),
        ("StartAppointment", {"SCHEDULED", "CONFIRMED"}),
        ("CompleteAppointment", {"SCHEDULED", "CONFIRMED", "IN_PROGRESS"}),
        ("CancelAppointment", {"PENDING", "SCHEDULED", "CONFIRMED"}),
        ("MarkNoShow", {"SCHEDULED", "CONFIRMED"}),
    ],
)
async def test_statuses_move_only_where_it_makes_sense(
    shop: Shop, method: str, allowed: set[str]
) -> None:
    """Each method works from its statuses, and is INVALID_TRANSITION from all others."""
    for status in types.AppointmentStatus.keys()[1:]:
        name = status.removeprefix("APPOINTMENT_STATUS_")
        appointment_id = await status_of(shop, name)
        shop.house.clock.time = TEN + HOUR
        if name in allowed:
            moved = await step(shop, method, appointment_id)
            assert int(moved.etag) >= 2
        else:
            failed = await failure(step(shop, method, appointment_id))
            assert failed.reason == "INVALID_TRANSITION"
            assert failed.metadata["status"] == name.lower()
        await shop.house.sql("DELETE FROM appointments")
        shop.house.clock.time = MONDAY


async def test_a_client_is_not_missed_before_the_start(shop: Shop) -> None:
    """MarkNoShow before the start is TOO_EARLY."""
    made = await shop.book(TEN)
    failed = await failure(step(shop, "MarkNoShow", made.appointment_id))
    assert failed.reason == "TOO_EARLY"


async def test_a_cancelled_time_is_free_and_says_why(shop: Shop) -> None:
    """A cancelled appointment keeps its reason and gives its time back."""
    made = await shop.book(TEN)
    cancelled = await step(shop, "CancelAppointment", made.appointment_id, reason="flu")
    assert cancelled.cancellation_reason == "flu"
    assert (await shop.book(TEN)).appointment_id != made.appointment_id


async def test_a_move_may_overlap_its_own_old_time(shop: Shop) -> None:
    """A move by ten minutes meets only itself, and keeps price and duration."""
    made = await shop.book(TEN)
    moved = await step(
        shop,
        "RescheduleAppointment",
        made.appointment_id,
        start_time=stamp(TEN + timedelta(minutes=10)),
        etag="1",
    )
    assert moved.start_time == stamp(TEN + timedelta(minutes=10))
    assert moved.etag == "2"
    assert await shop.book(TEN - timedelta(minutes=30))


async def test_a_move_to_another_barber_takes_that_barbers_terms(shop: Shop) -> None:
    """A new barber's price and duration count; the old time is free at once."""
    await shop.house.stub.SetBarberService(
        pb.SetBarberServiceRequest(
            organization_id=shop.id,
            barber_id=shop.barbers[1],
            service_id=shop.service,
            offered=True,
            price=cad(60),
        )
    )
    made = await shop.book(TEN)
    moved = await step(
        shop, "RescheduleAppointment", made.appointment_id, barber_id=shop.barbers[1]
    )
    assert moved.barber_id == shop.barbers[1]
    assert moved.price == cad(60)
    assert await shop.book(TEN)
    failed = await failure(
        step(shop, "RescheduleAppointment", made.appointment_id, barber_id=shop.barbers[0])
    )
    assert failed.reason == "SLOT_TAKEN"


async def test_a_move_obeys_the_rules_and_the_status(shop: Shop) -> None:
    """A move outside hours is refused; a completed appointment does not move."""
    made = await shop.book(TEN)
    late = stamp(MONDAY + 13 * HOUR)
    failed = await failure(
        step(shop, "RescheduleAppointment", made.appointment_id, start_time=late)
    )
    assert failed.reason == "OUTSIDE_HOURS"
    await step(shop, "CompleteAppointment", made.appointment_id)
    failed = await failure(
        step(shop, "RescheduleAppointment", made.appointment_id, start_time=stamp(TEN + HOUR))
    )
    assert failed.reason == "INVALID_TRANSITION"
