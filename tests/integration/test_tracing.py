"""One trace through both services, Postgres and Redis; and nothing at all unless it is wanted."""

import json
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from chairside.booking.v1 import booking_service_pb2 as booking
from chairside.booking.v1.booking_service_pb2_grpc import BookingServiceStub
from chairside.cache.v1 import cache_service_pb2 as pb
from chairside.cache.v1.cache_service_pb2_grpc import CacheServiceStub
from devstack.services import ServiceProcess
from service_kit import otel
from service_kit.settings import SettingsError
from service_kit.tracing import traces_wanted
from service_kit.values import to_date, to_timestamp
from tests.conftest import NewDatabase, NewSystem
from tests.integration.cache.shops import Shop, open_shop
from tests.support.stack import System
from tests.support.traces import Collector, open_collector
from tests.support.waiting import eventually

ASKED, BOOKED, UNTRACED = "a" * 32, "b" * 32, "c" * 32
SPAN = "1" * 16
BOOKING, CACHE = "chairside.booking.v1.BookingService", "chairside.cache.v1.CacheService"
IMPORTED = ("opentelemetry.context", "opentelemetry.trace", "opentelemetry.sdk.trace")
NEXT_WEEK = datetime.now(UTC).replace(hour=17, minute=0, second=0, microsecond=0) + timedelta(7)


@dataclass(frozen=True, slots=True)
class Traced:
    """Both services, the shop they know, and where their traces go."""

    system: System
    shop: Shop
    collector: Collector

    async def ask(self, trace_id: str) -> pb.GetAvailabilityResponse:
        """Ask the cache for a day of the shop's barber."""
        request = pb.GetAvailabilityRequest(
            organization_id=self.shop.organization_id,
            service_id=self.shop.services[0],
            barber_ids=self.shop.barbers,
            start_date=to_date(NEXT_WEEK.date()),
            end_date=to_date(NEXT_WEEK.date() + timedelta(1)),
        )
        stub: Any = CacheServiceStub(self.system.cache_channel)
        answer: pb.GetAvailabilityResponse = await stub.GetAvailability(
            request, metadata=headers(trace_id), timeout=20
        )
        return answer

    async def book(self, trace_id: str, hours: int = 0) -> booking.CreateAppointmentResponse:
        """Book the barber next week."""
        request = booking.CreateAppointmentRequest(
            organization_id=self.shop.organization_id,
            barber_id=self.shop.barbers[0],
            service_id=self.shop.services[0],
            start_time=to_timestamp(NEXT_WEEK + timedelta(hours=hours)),
        )
        stub: Any = BookingServiceStub(self.system.booking_channel)
        answer: booking.CreateAppointmentResponse = await stub.CreateAppointment(
            request, metadata=headers(trace_id), timeout=20
        )
        return answer


def headers(trace_id: str) -> tuple[tuple[str, str], ...]:
    """Return what a caller sends that traces its calls."""
    return ("traceparent", f"00-{trace_id}-{SPAN}-01"), ("x-request-id", f"request {trace_id[0]}")


async def lines(process: ServiceProcess, request_id: str, count: int = 1) -> list[dict[str, Any]]:
    """Return a process's lines of the calls of a request, once there are so many."""

    async def told() -> list[dict[str, Any]]:
        found = [json.loads(line) for line in process.output().splitlines() if '"call"' in line]
        return [one for one in found if one.get("request_id") == request_id]

    async def all_told() -> bool:
        return len(await told()) >= count

    await eventually(all_told)
    return await told()


@pytest.fixture(scope="module")
async def traced(new_system: NewSystem, new_database: NewDatabase) -> AsyncIterator[Traced]:
    """Start both services with what a collector's address is told by, and nothing else."""
    async with open_collector() as collector, new_database() as database:
        connection = await asyncpg.connect(database.url)
        try:
            variables = {
                "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
                "OTEL_BSP_SCHEDULE_DELAY": "50",
            }
            shop = await open_shop(connection)
            async with new_system(variables, database=database) as system:
                yield Traced(system, shop, collector)
        finally:
            await connection.close()


async def test_a_missed_read_shows_its_load_and_its_round_trips(traced: Traced) -> None:
    """The caller's trace goes on: the call, how it was answered, its load's statements, Redis."""
    call = f"cache: {CACHE}/GetAvailability"
    load = "cache: load availability"
    await traced.ask(ASKED)

    async def arrived() -> bool:
        expected = {
            (call,),
            (call, load),
            (call, load, "cache: SELECT"),
            (call, "cache: redis FETCH"),
            (call, "cache: redis CLAIM"),
            (call, "cache: redis PUT"),
        }
        assert expected <= traced.collector.paths(ASKED)
        return True

    await eventually(arrived)
    (span,) = (one for one in traced.collector.of_trace(ASKED) if one.parent_id == SPAN)
    assert span.attributes["chairside.outcome"] == "miss"
    assert span.attributes["rpc.response.status_code"] == "OK"


async def test_a_mutation_is_one_trace_through_both_services(traced: Traced) -> None:
    """From the booking call over its statements and commit to Redis and the wait for members."""
    answer = await traced.book(BOOKED)
    assert answer.cache_applied
    call = f"booking: {BOOKING}/CreateAppointment"
    telling = call, "booking: tell the cache", f"cache: {CACHE}/Invalidate", "cache: invalidate"

    async def arrived() -> bool:
        expected = {
            (call, "booking: SELECT"),
            (call, "booking: INSERT"),
            (call, "booking: changes"),
            (call, "booking: COMMIT"),
            (*telling, "cache: redis INVALIDATE"),
            (*telling, "cache: look"),
            (*telling, "cache: wait for members"),
        }
        assert expected <= traced.collector.paths(BOOKED)
        return True

    await eventually(arrived)
    for process in (traced.system.booking, traced.system.cache):
        (line,) = await lines(process, "request b")
        assert line["trace_id"] == BOOKED


async def test_a_hit_tells_of_itself(traced: Traced) -> None:
    """The span has the outcome that the answer, the metric and the log have."""
    hits = {"near", "hit"}

    async def told() -> bool:
        await traced.ask(ASKED)
        spans = traced.collector.of_trace(ASKED)
        return bool(hits & {one.attributes.get("chairside.outcome") for one in spans})

    async def logged() -> bool:
        found = await lines(traced.system.cache, "request a")
        return bool(hits & {line.get("outcome") for line in found})

    await eventually(told)
    await eventually(logged)


async def test_only_what_belongs_to_a_call_is_traced(traced: Traced) -> None:
    """Not the lease, which is renewed all the time, nor health checks; but what is relayed."""
    await traced.ask(ASKED)

    async def arrived() -> bool:
        spans = traced.collector.spans
        known = {one.span_id for one in spans}
        first = {one.name for one in spans if one.parent_id not in known}
        assert first <= {f"{CACHE}/GetAvailability", f"{BOOKING}/CreateAppointment", "invalidate"}
        return True

    await eventually(arrived)


async def test_disabled_nothing_is_imported_or_sent_and_the_log_has_the_trace(
    traced: Traced,
) -> None:
    """With the collector's address still there; the request goes through both all the same."""
    assert otel.__name__ in sys.modules
    assert set(IMPORTED) <= sys.modules.keys()
    system = traced.system
    for process in (system.cache, system.booking):
        assert process.environ is not None
        process.environ = {
            **process.environ,
            "OTEL_SDK_DISABLED": "true",
            "PYTHONPROFILEIMPORTTIME": "1",
            # Where the channels look for them.
            f"CHAIRSIDE_{process.name.split('_')[0].upper()}_LISTEN": process.address,
        }
        await process.restart()
    sent = traced.collector.calls
    await traced.ask(UNTRACED)
    assert (await traced.book(UNTRACED, hours=1)).cache_applied
    for process, count in ((system.booking, 1), (system.cache, 2)):
        found = await lines(process, "request c", count)
        assert {one["trace_id"] for one in found} == {UNTRACED}
        imported = process.output()
        assert "import time:" in imported
        assert "sqlalchemy" in imported
        # What redis-py tries in vain is listed, too.
        assert not [name for name in IMPORTED if name in imported]
    assert traced.collector.calls == sent
    assert not traced.collector.of_trace(UNTRACED)


@pytest.mark.parametrize(
    ("variables", "wanted"),
    [
        ({}, False),
        ({"OTEL_SERVICE_NAME": "x"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://h:1"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://h:1"}, True),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://h:1", "OTEL_TRACES_EXPORTER": "none"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://h:1", "OTEL_SDK_DISABLED": "TRUE"}, False),
        ({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, True),
    ],
)
def test_what_turns_traces_on(variables: dict[str, str], wanted: bool) -> None:  # noqa: FBT001 - of a table
    """The variables that OpenTelemetry knows, and no others."""
    assert traces_wanted(variables) is wanted


def test_a_way_to_send_traces_that_is_not_known_is_refused() -> None:
    """Every wrong variable has a line."""
    wrong = {"OTEL_TRACES_EXPORTER": "zipkin", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}
    with pytest.raises(SettingsError) as error:
        traces_wanted(wrong)
    assert [line.partition(":")[0] for line in error.value.problems] == list(wrong)
