"""Careless and malicious callers: proper answers, no harm to others, nothing in the log."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import grpc
import pytest
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.type.date_pb2 import Date

from chairside.booking.v1 import booking_service_pb2
from chairside.booking.v1.booking_service_pb2_grpc import BookingServiceStub
from chairside.cache.v1 import cache_service_pb2
from chairside.cache.v1.cache_service_pb2_grpc import CacheServiceStub
from service_kit.values import to_date
from tests.conftest import NewSystem
from tests.support.contract import METHODS
from tests.support.failures import read_failure
from tests.support.stack import System

PROPER = {"OK", "INVALID_ARGUMENT", "NOT_FOUND", "FAILED_PRECONDITION", "UNIMPLEMENTED"}
EXTREMES = [
    (2**63 - 1, "\x00"),
    (-(2**63), "😀" * 9),
    (1, "\u202e\u2028 %_\\"),
    (0, "'; --"),
    (1, ""),
]
ZONES = ["Etc/GMT+12", "Pacific/Kiritimati", "localtime", "posixrules", "Factory", "UTC", "utc"]
BAD_ZONES = {"localtime", "posixrules", "utc"}
# Organization 1 is for nonsense to hit. Organization 2 is as large as a shop may be:
# 50 barbers, day and night, a slot each minute.
ROWS = """
INSERT INTO organizations (name, time_zone, currency, slot_interval_minutes, lead_time_minutes,
    horizon_days) VALUES ('Hit', 'UTC', 'EUR', 15, 0, 90), ('Big', 'UTC', 'EUR', 1, 0, 730);
INSERT INTO services (organization_id, name, duration_minutes, buffer_before_minutes,
    buffer_after_minutes, price) VALUES (1, 'Cut', 30, 0, 0, 1), (2, 'Short', 1, 0, 0, 1),
    (2, 'Long', 1440, 120, 120, 9999999999.99);
INSERT INTO barbers (organization_id, name, active) VALUES (1, 'Bo', true);
INSERT INTO barbers (organization_id, name, active)
    SELECT 2, 'Barber ' || n, true FROM generate_series(1, 50) AS n;
INSERT INTO clients (organization_id, name) VALUES (1, 'Ann');
INSERT INTO barber_services (organization_id, barber_id, service_id, offered)
    SELECT b.organization_id, b.id, s.id, true FROM barbers b JOIN services s
    USING (organization_id);
INSERT INTO weekly_hours (organization_id, barber_id, valid_from, weekday, periods)
    SELECT organization_id, id, '2000-01-01', d, '{[0,1440)}'
    FROM barbers, generate_series(0, 6) AS d;
"""
BIG, SHORT, LONG, SOMEBODY = 2, 2, 3, 2


@pytest.fixture(scope="module")
async def busy(new_system: NewSystem) -> AsyncIterator[System]:
    """Run both services with the two shops."""
    async with new_system() as system:
        connection = await asyncpg.connect(system.database.url)
        await connection.execute(ROWS)
        await connection.close()
        yield system


async def answer(system: System, method: MethodDescriptor, raw: bytes) -> str:
    """Call a method with bytes and return the code; an error must have its details."""
    service = method.containing_service.full_name
    booking = "booking" in service
    channel = system.booking_channel if booking else system.cache_channel
    path = f"/{service}/{method.name}"
    try:
        if method.client_streaming:
            await channel.stream_stream(path)(iter([raw]), timeout=20).read()
        elif method.server_streaming:
            await channel.unary_stream(path)(raw, timeout=20).read()
        else:
            await channel.unary_unary(path)(raw, timeout=20)
    except grpc.aio.AioRpcError as error:
        return read_failure(error).code
    return "OK"


def filled(message: Message, number: int, text: str, depth: int = 0) -> Message:
    """Set every field to an extreme; the last of each oneof wins."""
    plain: dict[int, Any] = {
        FieldDescriptor.TYPE_INT64: number,
        FieldDescriptor.TYPE_INT32: max(-(2**31), min(number, 2**31 - 1)),
        FieldDescriptor.TYPE_STRING: text,
        FieldDescriptor.TYPE_BYTES: b"\xff\x00",
        FieldDescriptor.TYPE_BOOL: True,
        FieldDescriptor.TYPE_DOUBLE: float("nan"),
        FieldDescriptor.TYPE_ENUM: 1,
    }
    for field in message.DESCRIPTOR.fields:
        if field.message_type is None:
            value = plain[field.type]
            if field.is_repeated:
                getattr(message, field.name).append(value)
            else:
                setattr(message, field.name, value)
        elif depth < 4:
            inner = getattr(message, field.name)
            if field.is_repeated:
                inner = inner.add()
            else:
                inner.SetInParent()
            filled(inner, number, text, depth + 1)
    return message


def requests(method: MethodDescriptor) -> Iterator[bytes]:
    """Make requests that nobody in their senses sends."""
    make = GetMessageClass(method.input_type)
    yield b""
    yield b"\xff\xff\xff\x07"
    for number, text in EXTREMES:
        yield filled(make(), number, text).SerializeToString()
    # A text as long as a request may be, or as many bytes of a field that nobody knows.
    texts = [f for f in make.DESCRIPTOR.fields if f.type == FieldDescriptor.TYPE_STRING]
    tag = (texts[0].number if texts else 1000) << 3 | 2
    head = bytes((tag & 127 | 128, tag >> 7)) if tag > 127 else bytes((tag,))
    yield head + b"\xf0\xe6\x17" + b"x" * 390_000


def assert_nothing_in_the_logs(system: System) -> None:
    """Both processes live, and neither has logged an error or a traceback."""
    for process in (system.cache, system.booking):
        assert process.running
        output = process.output()
        assert '"event"' in output
        assert '"level": "error"' not in output
        assert "Traceback" not in output


@pytest.mark.parametrize("method", METHODS, ids=lambda one: one.name)
async def test_nonsense_gets_a_proper_answer(busy: System, method: MethodDescriptor) -> None:
    """Empty, damaged, extreme and huge requests: never INTERNAL, never a dead process."""
    codes = [await answer(busy, method, raw) for raw in requests(method)]
    # A busy machine may let the lease run out, without which there is no Watch.
    watched = {"UNAVAILABLE"} if method.name == "Watch" else set()
    assert set(codes) <= PROPER | watched
    assert codes[1] in {"INVALID_ARGUMENT", "UNIMPLEMENTED"}  # the control: it was not readable
    assert_nothing_in_the_logs(busy)


@pytest.mark.parametrize("zone", ZONES)
async def test_a_zone_is_one_that_the_database_knows_or_refused(busy: System, zone: str) -> None:
    """What is taken from a viewer can also be a shop's zone; what is not names the field."""
    request = cache_service_pb2.GetAvailabilityRequest(
        organization_id=BIG, barber_ids=[SOMEBODY], service_id=LONG, time_zone=zone
    )
    made = booking_service_pb2.CreateOrganizationRequest(name="x", time_zone=zone, currency="EUR")
    for call in (
        CacheServiceStub(busy.cache_channel).GetAvailability(request),
        BookingServiceStub(busy.booking_channel).CreateOrganization(made),
    ):
        try:
            await call
        except grpc.aio.AioRpcError as error:
            failed = read_failure(error)
            assert (failed.code, failed.fields) == ("INVALID_ARGUMENT", ["time_zone"])
            assert zone in BAD_ZONES
        else:
            assert zone not in BAD_ZONES


@pytest.mark.parametrize("year", [1900, 1970, 2199])
@pytest.mark.parametrize("zone", ["", "Etc/GMT+12", "Pacific/Kiritimati"])
async def test_far_days_have_no_slots(busy: System, year: int, zone: str) -> None:
    """Days at the edges of the calendar are empty, whoever looks; the control are tomorrow's."""
    stub = CacheServiceStub(busy.cache_channel)
    request = cache_service_pb2.GetAvailabilityRequest(
        organization_id=BIG, barber_ids=[SOMEBODY], service_id=LONG, time_zone=zone
    )
    request.start_date.CopyFrom(Date(year=year, month=12, day=31))
    assert not (await stub.GetAvailability(request)).barbers[0].slots
    request.start_date.CopyFrom(to_date(datetime.now(UTC).date() + timedelta(days=2)))
    assert (await stub.GetAvailability(request)).barbers[0].slots


async def test_a_request_for_too_much_is_refused_and_holds_nobody_up(busy: System) -> None:
    """50 barbers, 62 days, a slot each minute: ANSWER_TOO_LARGE, and others are answered."""
    stub = CacheServiceStub(busy.cache_channel)
    today = datetime.now(UTC).date()
    request = cache_service_pb2.GetAvailabilityRequest(
        organization_id=BIG,
        service_id=SHORT,
        start_date=to_date(today + timedelta(days=1)),
        end_date=to_date(today + timedelta(days=63)),
    )
    large = asyncio.ensure_future(_failure(stub.GetAvailability(request, timeout=30)))
    others = 0
    while not large.done():
        await stub.ListServices(cache_service_pb2.ListServicesRequest(organization_id=BIG))
        others += 1
        await asyncio.sleep(0.01)
    assert large.result() == ("FAILED_PRECONDITION", "ANSWER_TOO_LARGE")
    assert others > 8  # four, when the computing did not give way
    search = booking_service_pb2.SearchAvailabilityRequest(
        organization_id=BIG,
        service_id=SHORT,
        start_date=request.start_date,
        end_date=request.end_date,
    )
    stub = BookingServiceStub(busy.booking_channel)
    passed_on = await _failure(stub.SearchAvailability(search, timeout=30))
    assert passed_on == ("FAILED_PRECONDITION", "ANSWER_TOO_LARGE")
    assert_nothing_in_the_logs(busy)


async def test_what_is_searched_but_not_answered_may_be_large(busy: System) -> None:
    """A day without slots has a next free one, however many there are behind it."""
    request = cache_service_pb2.GetAvailabilityRequest(
        organization_id=BIG,
        barber_ids=range(SOMEBODY, SOMEBODY + 13),
        service_id=SHORT,
        start_date=to_date(datetime.now(UTC).date() - timedelta(days=2)),
    )
    answer = await CacheServiceStub(busy.cache_channel).GetAvailability(request, timeout=30)
    assert answer.next_available.barber_id == SOMEBODY
    assert not any(barber.slots for barber in answer.barbers)
    request.end_date.CopyFrom(to_date(datetime.now(UTC).date() + timedelta(days=16)))
    call = CacheServiceStub(busy.cache_channel).GetAvailability(request, timeout=30)
    assert await _failure(call) == ("FAILED_PRECONDITION", "ANSWER_TOO_LARGE")  # the control


async def _failure(call: Any) -> tuple[str, str]:
    try:
        await call
    except grpc.aio.AioRpcError as error:
        failed = read_failure(error)
        return failed.code, failed.reason
    return "OK", ""
