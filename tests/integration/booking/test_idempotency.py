"""A repeat gets the first success; a failure leaves nothing behind."""

import asyncio
import json
from datetime import timedelta

import pytest

from booking_service.postgres.engine import make_engine
from booking_service.postgres.unit_of_work import UnitsOfWork
from booking_service.use_cases import idempotency
from booking_service.use_cases.transaction import Transaction
from chairside.booking.v1 import booking_service_pb2 as pb
from tests.integration.booking.house import HOUR, MONDAY, Shop, request_id, stamp
from tests.support.failures import failure

TEN = MONDAY + 2 * HOUR


async def test_a_repeat_gets_the_first_answer_and_is_told_to_the_cache_again(shop: Shop) -> None:
    """The same request twice books once, answers byte by byte the same, and invalidates twice."""
    request = shop.request(TEN, request_id=request_id())
    first = await shop.house.stub.CreateAppointment(request)
    second = await shop.house.stub.CreateAppointment(request)
    assert second == first
    assert len(await shop.house.sql("SELECT 1 FROM appointments")) == 1
    first_told, second_told = shop.house.cache.told
    assert list(map(json.loads, first_told)) == list(map(json.loads, second_told))
    assert first_told


async def test_without_a_request_id_a_repeat_is_a_second_request(shop: Shop) -> None:
    """The same request without an id is decided anew."""
    await shop.house.stub.CreateAppointment(shop.request(TEN))
    failed = await failure(shop.house.stub.CreateAppointment(shop.request(TEN)))
    assert failed.reason == "SLOT_TAKEN"


async def test_concurrent_repeats_book_once(shop: Shop) -> None:
    """Ten concurrent repeats all get one and the same appointment."""
    request = shop.request(TEN, request_id=request_id())
    answers = await asyncio.gather(*(shop.house.stub.CreateAppointment(request) for _ in range(10)))
    assert len({answer.SerializeToString() for answer in answers}) == 1


async def test_a_different_request_under_the_same_id_is_refused(shop: Shop) -> None:
    """Another time, or another method, under a used id is INVALID_ARGUMENT."""
    key = request_id()
    made = await shop.house.stub.CreateAppointment(shop.request(TEN, request_id=key))
    other = await failure(
        shop.house.stub.CreateAppointment(shop.request(TEN + HOUR, request_id=key))
    )
    assert (other.code, other.fields) == ("INVALID_ARGUMENT", ["request_id"])
    fields = {
        "organization_id": shop.id,
        "appointment_id": made.appointment.appointment_id,
        "request_id": key,
    }
    cancel = shop.house.stub.CancelAppointment(pb.CancelAppointmentRequest(**fields))
    assert (await failure(cancel)).fields == ["request_id"]


async def test_methods_of_the_same_shape_are_told_apart(shop: Shop) -> None:
    """Confirm and Start have the same fields, and are different requests all the same."""
    made = await shop.book(TEN)
    fields = {
        "organization_id": shop.id,
        "appointment_id": made.appointment_id,
        "request_id": request_id(),
    }
    await shop.house.stub.ConfirmAppointment(pb.ConfirmAppointmentRequest(**fields))
    started = shop.house.stub.StartAppointment(pb.StartAppointmentRequest(**fields))
    assert (await failure(started)).fields == ["request_id"]


async def test_a_failure_is_not_repeated(shop: Shop) -> None:
    """A request that failed is decided anew under the same id."""
    taken = await shop.book(TEN)
    request = shop.request(TEN, request_id=request_id())
    assert (await failure(shop.house.stub.CreateAppointment(request))).reason == "SLOT_TAKEN"
    await shop.house.stub.CancelAppointment(
        pb.CancelAppointmentRequest(organization_id=shop.id, appointment_id=taken.appointment_id)
    )
    assert (await shop.house.stub.CreateAppointment(request)).appointment.appointment_id


async def test_a_repeat_is_answered_though_its_times_have_passed(shop: Shop) -> None:
    """The first success is repeated when its hold and its lead time are long over."""
    request = shop.request(TEN, request_id=request_id(), status=1, hold_until=stamp(MONDAY + HOUR))
    first = await shop.house.stub.CreateAppointment(request)
    shop.house.clock.time = TEN + 5 * HOUR
    assert await shop.house.stub.CreateAppointment(request) == first


@pytest.mark.parametrize(("hours", "again"), [(24, False), (24.1, True)])
async def test_an_id_is_kept_for_24_hours(shop: Shop, hours: float, *, again: bool) -> None:
    """Within 24 hours a repeat is answered, later the id is free for another request."""
    key = request_id()
    await shop.house.stub.CreateAppointment(shop.request(TEN, request_id=key))
    shop.house.clock.time += timedelta(hours=hours)
    other = shop.house.stub.CreateAppointment(shop.request(TEN + 48 * HOUR, request_id=key))
    if again:
        assert (await other).appointment.appointment_id
    else:
        assert (await failure(other)).fields == ["request_id"]


async def test_old_requests_are_forgotten_and_young_ones_kept(shop: Shop) -> None:
    """A purge deletes what is older than 24 hours, and nothing else."""
    await shop.house.stub.CreateAppointment(shop.request(TEN, request_id=request_id()))
    shop.house.clock.time += 25 * HOUR
    await shop.house.stub.CreateAppointment(shop.request(TEN + 48 * HOUR, request_id=request_id()))
    engine = make_engine(shop.house.database.booking_url, application_name="purge")
    async with UnitsOfWork(engine)() as unit:
        purged = await idempotency.purge(Transaction(unit.connection, shop.house.clock.time))
        await unit.commit()
    await engine.dispose()
    assert purged == 1
    assert len(await shop.house.sql("SELECT 1 FROM request_ids")) == 1
