"""Pending appointments hold their time until their hold ends."""

from datetime import timedelta
from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask

from chairside.booking.v1 import booking_service_pb2 as pb
from chairside.cache.v1 import types_pb2 as types
from tests.integration.booking.house import HOUR, MONDAY, Shop, stamp
from tests.support.failures import failure

TEN = MONDAY + 2 * HOUR
MINUTE = timedelta(minutes=1)
PENDING = types.APPOINTMENT_STATUS_PENDING


async def confirm(shop: Shop, appointment_id: int) -> Any:
    """Confirm, and return the appointment."""
    response = await shop.house.stub.ConfirmAppointment(
        pb.ConfirmAppointmentRequest(organization_id=shop.id, appointment_id=appointment_id)
    )
    return response.appointment


async def test_a_hold_lasts_ten_minutes_unless_given(shop: Shop) -> None:
    """The default hold is ten minutes; a given one is kept, and must lie ahead."""
    held = await shop.book(TEN, status=PENDING)
    assert held.hold_until == stamp(MONDAY + 10 * MINUTE)
    given = await shop.book(TEN + HOUR, status=PENDING, hold_until=stamp(MONDAY + MINUTE))
    assert given.hold_until == stamp(MONDAY + MINUTE)
    past = shop.request(TEN + 2 * HOUR, status=PENDING, hold_until=stamp(MONDAY))
    assert (await failure(shop.house.stub.CreateAppointment(past))).fields == ["hold_until"]


async def test_a_hold_keeps_its_time_until_it_ends(shop: Shop) -> None:
    """A moment before its end the time is taken, at its end it is free."""
    held = await shop.book(TEN, status=PENDING)
    shop.house.clock.time = MONDAY + 10 * MINUTE - timedelta(microseconds=1)
    taken = await failure(shop.house.stub.CreateAppointment(shop.request(TEN)))
    assert taken.reason == "SLOT_TAKEN"
    shop.house.clock.time = MONDAY + 10 * MINUTE
    shop.house.cache.told.clear()
    won = await shop.book(TEN)
    assert len(shop.house.cache.told[0]) == 2  # the cancel of the hold, and the booking
    got = await shop.house.stub.GetAppointment(
        pb.GetAppointmentRequest(organization_id=shop.id, appointment_id=held.appointment_id)
    )
    assert got.appointment.status == types.APPOINTMENT_STATUS_CANCELLED
    assert got.appointment.cancellation_reason == "hold expired"
    lost = await failure(confirm(shop, held.appointment_id))
    assert lost.reason == "SLOT_TAKEN"
    assert (await confirm(shop, won.appointment_id)).etag == "2"


async def test_an_ended_hold_that_nobody_took_is_confirmed(shop: Shop) -> None:
    """Confirming late is fine while the time is still there, and it then holds for good."""
    held = await shop.book(TEN, status=PENDING)
    shop.house.clock.time = MONDAY + HOUR
    confirmed = await confirm(shop, held.appointment_id)
    assert confirmed.status == types.APPOINTMENT_STATUS_CONFIRMED
    assert not confirmed.HasField("hold_until")
    taken = await failure(shop.house.stub.CreateAppointment(shop.request(TEN)))
    assert taken.reason == "SLOT_TAKEN"


async def test_a_cancelled_hold_is_an_invalid_transition_to_confirm(shop: Shop) -> None:
    """A hold that was called off, not lost, is INVALID_TRANSITION."""
    held = await shop.book(TEN, status=PENDING)
    await shop.house.stub.CancelAppointment(
        pb.CancelAppointmentRequest(organization_id=shop.id, appointment_id=held.appointment_id)
    )
    failed = await failure(confirm(shop, held.appointment_id))
    assert failed.reason == "INVALID_TRANSITION"


async def test_one_firm_booking_among_ended_holds_keeps_the_time(shop: Shop) -> None:
    """Ended holds are only cancelled by a booking that gets their time."""
    short = shop.request(TEN, status=PENDING)
    held = (await shop.house.stub.CreateAppointment(short)).appointment
    await shop.book(TEN + 40 * MINUTE)
    shop.house.clock.time = MONDAY + HOUR
    both = shop.request(TEN + 20 * MINUTE)
    assert (await failure(shop.house.stub.CreateAppointment(both))).reason == "SLOT_TAKEN"
    (row,) = await shop.house.sql(
        "SELECT status FROM appointments WHERE id = :id", id=held.appointment_id
    )
    assert row.status == "pending"


async def test_a_move_takes_the_time_of_an_ended_hold(shop: Shop) -> None:
    """A reschedule cancels ended holds in its way as a booking does."""
    await shop.book(TEN, status=PENDING)
    made = await shop.book(TEN + HOUR)
    shop.house.clock.time = MONDAY + HOUR
    moved = await shop.house.stub.RescheduleAppointment(
        pb.RescheduleAppointmentRequest(
            organization_id=shop.id,
            appointment_id=made.appointment_id,
            start_time=stamp(TEN),
        )
    )
    assert moved.appointment.start_time == stamp(TEN)


async def test_a_hold_can_be_extended(shop: Shop) -> None:
    """UpdateAppointment moves a hold's end, but not into the past."""
    held = await shop.book(TEN, status=PENDING)
    request = pb.UpdateAppointmentRequest(
        organization_id=shop.id,
        appointment=types.Appointment(
            appointment_id=held.appointment_id, hold_until=stamp(MONDAY + HOUR)
        ),
        update_mask=FieldMask(paths=["hold_until"]),
    )
    response = await shop.house.stub.UpdateAppointment(request)
    assert response.appointment.hold_until == stamp(MONDAY + HOUR)
    shop.house.clock.time = MONDAY + 2 * HOUR
    failed = await failure(shop.house.stub.UpdateAppointment(request))
    assert failed.fields == ["appointment.hold_until"]
