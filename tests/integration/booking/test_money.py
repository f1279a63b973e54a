"""Payments and refunds."""

from typing import Any

import pytest
from google.type.money_pb2 import Money

from chairside.booking.v1 import booking_service_pb2 as pb
from chairside.cache.v1 import types_pb2 as types
from tests.integration.booking.house import HOUR, MONDAY, Shop, cad, stamp
from tests.support.failures import failure

TEN = MONDAY + 2 * HOUR


async def refund(shop: Shop, payment_id: int, **more: Any) -> Any:
    """Give money back, and return the answer."""
    return await shop.house.stub.RefundPayment(
        pb.RefundPaymentRequest(organization_id=shop.id, payment_id=payment_id, **more)
    )


async def test_a_payment_takes_barber_and_client_from_its_appointment(shop: Shop) -> None:
    """Barber, client and the appointment's copies follow from the appointment."""
    made = await shop.book(TEN)
    payment = await shop.pay(made.appointment_id, 40)
    assert (payment.barber_id, payment.client_id) == (shop.barbers[0], shop.client)
    assert payment.paid_at == stamp(MONDAY)
    assert payment.refunded == cad(0)
    (row,) = await shop.house.sql("SELECT service_id, appointment_barber_id, status FROM payments")
    assert tuple(row) == (shop.service, shop.barbers[0], "completed")


async def test_a_retail_sale_needs_a_barber_only(shop: Shop) -> None:
    """A payment without appointment stands for itself; without a barber it is refused."""
    request = pb.ConfirmPaymentRequest(
        organization_id=shop.id, barber_id=shop.barbers[1], amount=cad(12, 34), method="cash"
    )
    payment = (await shop.house.stub.ConfirmPayment(request)).payment
    assert (payment.appointment_id, payment.amount, payment.method) == (0, cad(12, 34), "cash")
    request.barber_id = 0
    assert (await failure(shop.house.stub.ConfirmPayment(request))).fields == ["barber_id"]


async def test_a_payment_is_in_the_shops_currency_and_not_of_the_future(shop: Shop) -> None:
    """CURRENCY_MISMATCH for other money, INVALID_ARGUMENT for tomorrow's."""
    made = await shop.book(TEN)
    request = pb.ConfirmPaymentRequest(
        organization_id=shop.id,
        appointment_id=made.appointment_id,
        amount=Money(currency_code="USD", units=1),
    )
    assert (await failure(shop.house.stub.ConfirmPayment(request))).reason == "CURRENCY_MISMATCH"
    request.amount.CopyFrom(cad(1))
    request.paid_at.CopyFrom(stamp(MONDAY + HOUR))
    assert (await failure(shop.house.stub.ConfirmPayment(request))).fields == ["paid_at"]


async def test_a_cancelled_appointment_is_not_paid(shop: Shop) -> None:
    """Money for a cancelled appointment is INVALID_TRANSITION."""
    made = await shop.book(TEN)
    known = {"organization_id": shop.id, "appointment_id": made.appointment_id}
    await shop.house.stub.CancelAppointment(pb.CancelAppointmentRequest(**known))
    request = pb.ConfirmPaymentRequest(**known, amount=cad(1))
    assert (await failure(shop.house.stub.ConfirmPayment(request))).reason == "INVALID_TRANSITION"


async def test_a_full_refund_cancels_a_future_appointment(shop: Shop) -> None:
    """All the money back calls the appointment off, in the same transaction."""
    made = await shop.book(TEN)
    payment = await shop.pay(made.appointment_id, 40)
    shop.house.cache.told.clear()
    response = await refund(shop, payment.payment_id, reason="moved away")
    assert response.refund.amount == cad(40)
    assert response.refund.barber_id == shop.barbers[0]
    assert response.cancelled_appointment.status == types.APPOINTMENT_STATUS_CANCELLED
    assert response.cancelled_appointment.cancellation_reason == "moved away"
    (events,) = shop.house.cache.told
    assert len(events) == 2
    assert await shop.book(TEN)


async def test_a_partial_refund_cancels_nothing_until_it_is_all(shop: Shop) -> None:
    """A part leaves the appointment; the part that completes the whole cancels it."""
    made = await shop.book(TEN)
    payment = await shop.pay(made.appointment_id, 40)
    part = await refund(shop, payment.payment_id, amount=cad(15))
    assert not part.HasField("cancelled_appointment")
    rest = await refund(shop, payment.payment_id)
    assert rest.refund.amount == cad(25)
    assert rest.HasField("cancelled_appointment")
    nothing = await failure(refund(shop, payment.payment_id))
    assert nothing.reason == "REFUND_EXCEEDS_PAYMENT"


async def test_a_full_refund_leaves_a_past_appointment(shop: Shop) -> None:
    """What has begun or is done is not called off by a refund."""
    made = await shop.book(TEN)
    payment = await shop.pay(made.appointment_id, 40)
    shop.house.clock.time = TEN
    response = await refund(shop, payment.payment_id)
    assert not response.HasField("cancelled_appointment")


@pytest.mark.parametrize(
    ("amount", "reason"),
    [
        (cad(40, 1), "REFUND_EXCEEDS_PAYMENT"),
        (Money(currency_code="EUR", units=1), "CURRENCY_MISMATCH"),
        (cad(0), "INVALID_ARGUMENT"),
        (cad(-1), "INVALID_ARGUMENT"),
    ],
)
async def test_a_refund_is_within_its_payment(shop: Shop, amount: Money, reason: str) -> None:
    """Too much, other money, nothing, or less than nothing is refused."""
    made = await shop.book(TEN)
    payment = await shop.pay(made.appointment_id, 40)
    failed = await failure(refund(shop, payment.payment_id, amount=amount))
    assert failed.reason == reason
    assert await shop.house.sql("SELECT 1 FROM refunds") == []


async def test_a_payment_that_never_came_in_is_not_given_back(shop: Shop) -> None:
    """Only a completed payment can be refunded."""
    made = await shop.book(TEN)
    payment = await shop.pay(made.appointment_id, 40)
    await shop.house.sql("UPDATE payments SET status = 'failed'")
    failed = await failure(refund(shop, payment.payment_id))
    assert failed.reason == "PAYMENT_NOT_COMPLETED"
