"""A request id is its shop's, and one id to both versions while one takes the other's place."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from types import ModuleType
from uuid import uuid4

import pytest

from booking_service.postgres.engine import make_engine
from booking_service.postgres.unit_of_work import UnitsOfWork
from booking_service.use_cases import idempotency
from booking_service.use_cases.idempotency import Request, Success
from booking_service.use_cases.ports import Changes, Units
from booking_service.use_cases.transaction import Transaction
from chairside.booking.v1 import booking_service_pb2 as pb
from service_kit.errors import InvalidArgument
from tests.conftest import NewDatabase
from tests.integration.booking.house import (
    HOUR,
    MONDAY,
    House,
    Shop,
    open_house,
    open_shop,
    request_id,
)
from tests.support import request_ids_before
from tests.support.failures import failure
from tests.support.waiting import eventually

TEN = MONDAY + 2 * HOUR
_WAITING = """
SELECT 1 FROM pg_stat_activity WHERE datname = current_database()
    AND application_name = 'versions' AND wait_event_type = 'Lock'
"""
_VERSIONS = (request_ids_before, idempotency)
both = pytest.mark.parametrize(
    ("first", "second"),
    [(one, other) for one in _VERSIONS for other in _VERSIONS],
    ids=["before-before", "before-this", "this-before", "this-this"],
)


@pytest.fixture(scope="module")
async def house(new_database: NewDatabase) -> AsyncIterator[House]:
    """Serve over one database: every id here is a new one."""
    async with new_database() as database, open_house(database) as opened:
        yield opened


@pytest.fixture
async def shop(house: House) -> Shop:
    """Open a shop."""
    return await open_shop(house, 1)


async def test_another_shop_s_id_is_as_good_as_a_new_one(house: House, shop: Shop) -> None:
    """The same id in two shops is two requests, each with its own answer and repeat."""
    shops = [shop, await open_shop(house, 1)]
    key = request_id()
    requests = [shop.request(TEN, request_id=key) for shop in shops]
    made = [await house.stub.CreateAppointment(request) for request in requests]
    assert [one.appointment.organization_id for one in made] == [shop.id for shop in shops]
    assert [await house.stub.CreateAppointment(request) for request in requests] == made
    for one in shops:
        other = house.stub.CreateAppointment(one.request(TEN + HOUR, request_id=key))
        assert (await failure(other)).fields == ["request_id"]
        assert await booked(one) == 1


async def test_shops_at_once_with_one_id_book_once_each(house: House, shop: Shop) -> None:
    """Concurrent repeats of two shops under one id: one appointment for each shop."""
    shops = [shop, await open_shop(house, 1)]
    key = request_id()
    requests = [shop.request(TEN, request_id=key) for shop in shops] * 6
    answers = await asyncio.gather(*map(house.stub.CreateAppointment, requests))
    for start in range(2):
        assert len({one.SerializeToString() for one in answers[start::2]}) == 1
        assert await booked(shops[start]) == 1


async def booked(shop: Shop) -> int:
    """Count the shop's appointments."""
    every = "SELECT 1 FROM appointments WHERE organization_id = :shop"
    return len(await shop.house.sql(every, shop=shop.id))


async def test_the_id_of_a_new_organization_is_no_shop_s(shop: Shop) -> None:
    """CreateOrganization's ids are apart from those of the shop it makes, and of others."""
    key = request_id()
    request = pb.CreateOrganizationRequest(
        name="New", time_zone="Europe/Rome", currency="EUR", request_id=key
    )
    made = await shop.house.stub.CreateOrganization(request)
    assert await shop.house.stub.CreateOrganization(request) == made
    other = pb.CreateOrganizationRequest(name="Other", request_id=key)
    other.time_zone, other.currency = request.time_zone, request.currency
    assert (await failure(shop.house.stub.CreateOrganization(other))).fields == ["request_id"]
    for organization_id in (shop.id, made.organization.organization_id):
        barber = pb.CreateBarberRequest(organization_id=organization_id, name="B", request_id=key)
        assert (await shop.house.stub.CreateBarber(barber)).barber.barber_id


@pytest.fixture
async def units(house: House) -> AsyncIterator[Units]:
    """Open transactions as the booking role does."""
    url = house.database.booking_url
    engine = make_engine(url, application_name="versions", pool_size=4)
    yield UnitsOfWork(engine)
    await engine.dispose()


def asked(organization_id: int = 1, what: bytes = b"this") -> Request:
    """Make a request, which names its shop in its fingerprint as all do."""
    fingerprint = b"%d %s" % (organization_id, what)
    return Request("CreateBarber", uuid4(), fingerprint, organization_id)


def success(request: Request, xid: int = 7) -> Success:
    """Make an answer that tells of the shop that it changed."""
    # In the order that jsonb keeps.
    event = json.dumps({"organization": {}, "organization_id": request.organization_id})
    return Success(b"made", Changes(xid, [event], "database"))


async def decide(
    units: Units, version: ModuleType, request: Request, *, hours: float = 0, commit: bool = True
) -> Success | None:
    """Claim; if it is the first, store an answer. Returns what it repeats, if it does."""
    async with units() as unit:
        tx = Transaction(unit.connection, MONDAY + timedelta(hours=hours))
        repeated: Success | None = await version.claim(tx, request)
        if repeated is None:
            await version.store(tx, request, success(request))
            if commit:
                await unit.commit()
        return repeated


@both
async def test_a_repeat_at_the_other_version_gets_the_first_answer(
    units: Units, first: ModuleType, second: ModuleType
) -> None:
    """Whichever version was first; a failure leaves nothing; a day later the id is free."""
    request = asked()
    assert await decide(units, first, request, commit=False) is None
    assert await decide(units, second, request, commit=False) is None
    assert await decide(units, first, request) is None
    for version in (second, first, second):
        assert await decide(units, version, request, hours=24) == success(request)
    assert await decide(units, second, request, hours=24.1) is None
    assert await decide(units, first, request, hours=24.2) == success(request)


@both
async def test_another_request_of_the_shop_is_refused_by_the_other_version(
    units: Units, first: ModuleType, second: ModuleType
) -> None:
    """The same id with another content is INVALID_ARGUMENT, whichever version was first."""
    request = asked()
    other = Request(request.method, request.request_id, asked(1, b"that").fingerprint, 1)
    assert await decide(units, first, request) is None
    with pytest.raises(InvalidArgument, match="request_id"):
        await decide(units, second, other)


async def test_another_shop_is_told_of_no_id_that_the_version_before_took(units: Units) -> None:
    """Nor does what it makes under that id take the first shop's answer away, at any version."""
    request = asked(1)
    other = Request(request.method, request.request_id, asked(2).fingerprint, 2)
    assert await decide(units, request_ids_before, request) is None
    assert await decide(units, idempotency, other) is None
    for version in _VERSIONS:
        assert await decide(units, version, request) == success(request)
    assert await decide(units, idempotency, other) == success(other)


@both
@pytest.mark.parametrize("committed", [True, False])
async def test_a_repeat_waits_for_the_other_version(
    house: House, units: Units, first: ModuleType, second: ModuleType, *, committed: bool
) -> None:
    """While the first is under way; then it has its answer, or is the first itself."""
    request = asked()
    async with units() as unit:
        tx = Transaction(unit.connection, MONDAY)
        assert await first.claim(tx, request) is None
        repeating = asyncio.create_task(decide(units, second, request))

        async def waits() -> bool:
            return bool(await house.sql(_WAITING))

        await eventually(waits)
        await first.store(tx, request, success(request))
        if committed:
            await unit.commit()
    assert await repeating == (success(request) if committed else None)


async def test_what_is_old_is_forgotten_of_both_versions(house: House, units: Units) -> None:
    """A purge deletes what either version took more than a day ago, and nothing younger."""
    old, young = ([asked(), asked()] for _ in range(2))
    for number, version in enumerate(_VERSIONS):
        await decide(units, version, old[number], hours=-100)
        await decide(units, version, young[number], hours=-98)
    async with units() as unit:
        purged = await idempotency.purge(Transaction(unit.connection, MONDAY - 75 * HOUR))
        await unit.commit()
    assert purged == 1
    for table, kept in (("request_ids", young[1:]), ("idempotent_requests", young)):
        rows = await house.sql(f"SELECT request_id FROM {table} WHERE created_at < now()")  # noqa: S608 - a constant
        assert {row[0] for row in rows} & {one.request_id for one in old} == set()
        assert {row[0] for row in rows} >= {one.request_id for one in kept}
