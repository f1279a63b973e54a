"""Many callers at once: never an overlap, never a deadlock, never another error."""

import asyncio
import random
from collections import Counter
from datetime import timedelta

import grpc

from chairside.booking.v1 import booking_service_pb2 as pb
from chairside.cache.v1 import types_pb2 as types
from tests.integration.booking.house import HOUR, MONDAY, House, Shop, cad, open_shop, stamp
from tests.support.failures import read_failure

TEN = MONDAY + 2 * HOUR

_OVERLAPS = """
SELECT a.id, b.id FROM appointments a JOIN appointments b
ON a.barber_id = b.barber_id AND a.id < b.id AND a.blocked && b.blocked
WHERE a.status <> 'cancelled' AND b.status <> 'cancelled'
"""


async def outcome(call: grpc.aio.UnaryUnaryCall) -> str:
    """Await a call; OK, or the reason it failed with."""
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return read_failure(error).reason
    return "OK"


async def deadlocks(house: House) -> int:
    """Ask how many deadlocks this database has seen."""
    await house.sql("SELECT pg_stat_force_next_flush()")
    rows = await house.sql(
        "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    )
    return int(rows[0][0])


async def test_of_twenty_callers_on_one_slot_one_wins(shop: Shop) -> None:
    """Exactly one of twenty callers gets the slot, nineteen get SLOT_TAKEN."""
    stub = shop.house.stub
    outcomes = await asyncio.gather(
        *(outcome(stub.CreateAppointment(shop.request(TEN))) for _ in range(20))
    )
    assert Counter(outcomes) == {"OK": 1, "SLOT_TAKEN": 19}
    assert len(await shop.house.sql("SELECT 1 FROM appointments")) == 1


async def test_bookings_and_moves_both_ways_never_meet(house: House) -> None:
    """Hundreds of bookings, moves between barbers both ways and cancels leave no overlap."""
    shop = await open_shop(house, barbers=3)
    chance = random.Random(7)  # noqa: S311 - it chooses times, not secrets
    stub = house.stub

    def at() -> object:
        return stamp(TEN + timedelta(minutes=chance.randrange(0, 300, 5)))

    made = [await shop.book(TEN + n * HOUR, barber_id=shop.barbers[n % 2]) for n in range(6)]
    ids = [appointment.appointment_id for appointment in made]
    calls = []
    for number in range(240):
        kind = number % 3
        barber = shop.barbers[chance.randrange(3)]
        if kind == 0:
            request = shop.request(TEN, barber_id=barber)
            request.start_time.CopyFrom(at())
            calls.append(outcome(stub.CreateAppointment(request)))
        else:
            calls.append(
                outcome(
                    stub.RescheduleAppointment(
                        pb.RescheduleAppointmentRequest(
                            organization_id=shop.id,
                            appointment_id=chance.choice(ids),
                            barber_id=barber,
                            start_time=at(),
                        )
                    )
                )
            )
    outcomes = Counter(await asyncio.gather(*calls))
    assert set(outcomes) == {"OK", "SLOT_TAKEN"}
    assert outcomes["OK"] > 20
    assert await house.sql(_OVERLAPS) == []
    assert await deadlocks(house) == 0


async def test_the_overlap_query_can_fail(shop: Shop) -> None:
    """The query that the race trusts finds an overlap where the constraint is gone."""
    await shop.book(TEN)
    await shop.house.sql("ALTER TABLE appointments DROP CONSTRAINT appointments_no_overlap")
    await shop.house.sql(
        "INSERT INTO appointments (organization_id, barber_id, service_id, status, starts_at,"
        " ends_at, blocked_from, blocked_until, price) SELECT organization_id, barber_id,"
        " service_id, status, starts_at, ends_at, blocked_from, blocked_until, price"
        " FROM appointments"
    )
    assert len(await shop.house.sql(_OVERLAPS)) == 1


async def test_refunds_of_one_payment_never_exceed_it(shop: Shop) -> None:
    """Ten callers who each give back thirty of a hundred succeed three times."""
    appointment = await shop.book(TEN)
    payment = await shop.pay(appointment.appointment_id, 100)
    request = pb.RefundPaymentRequest(
        organization_id=shop.id, payment_id=payment.payment_id, amount=cad(30)
    )
    outcomes = await asyncio.gather(
        *(outcome(shop.house.stub.RefundPayment(request)) for _ in range(10))
    )
    assert Counter(outcomes) == {"OK": 3, "REFUND_EXCEEDS_PAYMENT": 7}


async def test_holds_moves_payments_and_refunds_at_once_do_not_deadlock(shop: Shop) -> None:
    """Everything that locks the same appointments, at once, ends without a deadlock."""
    stub, house = shop.house.stub, shop.house
    made = [await shop.book(TEN + n * HOUR) for n in range(4)]
    paid = [await shop.pay(each.appointment_id, 10) for each in made]
    calls = []
    for n in range(25):
        each, payment = made[n % 4], paid[n % 4]
        known = {"organization_id": shop.id, "appointment_id": each.appointment_id}
        calls += [
            stub.ConfirmPayment(pb.ConfirmPaymentRequest(**known, amount=cad(5))),
            stub.RefundPayment(
                pb.RefundPaymentRequest(
                    organization_id=shop.id, payment_id=payment.payment_id, amount=cad(1)
                )
            ),
            stub.RescheduleAppointment(
                pb.RescheduleAppointmentRequest(
                    **known,
                    barber_id=shop.barbers[n % 2],
                    start_time=stamp(TEN + (n % 4) * HOUR + timedelta(minutes=n % 10)),
                )
            ),
            stub.CreateAppointment(
                shop.request(
                    TEN + 5 * HOUR,
                    status=types.APPOINTMENT_STATUS_PENDING,
                    hold_until=stamp(house.clock.time + timedelta(microseconds=1)),
                )
            ),
        ]
        house.clock.time += timedelta(milliseconds=1)
    outcomes = Counter(await asyncio.gather(*(outcome(call) for call in calls)))
    # A move may be beyond the refund that cancelled its appointment, or the hold's end.
    assert set(outcomes) <= {
        "OK",
        "SLOT_TAKEN",
        "INVALID_TRANSITION",
        "INVALID_ARGUMENT",
        "REFUND_EXCEEDS_PAYMENT",
    }
    assert await house.sql(_OVERLAPS) == []
    assert await deadlocks(house) == 0
