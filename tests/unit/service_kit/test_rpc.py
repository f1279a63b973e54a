"""The wrapper around every method, over a real connection."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable
from math import inf
from typing import Any

import grpc
import pytest
from structlog.testing import capture_logs

from service_kit import calls
from service_kit.errors import LARGEST_ANSWER, NotFound
from tests.support.grpc_server import SERVICE, details_of, serve_here

SECRET = "postgresql://chairside:hunter2@db/chairside"  # noqa: S105 - bait


class Servicer:
    """Behave in as many ways as there are to check."""

    def __init__(self) -> None:
        self.entered = asyncio.Event()
        self.go_on = asyncio.Event()
        self.cancelled = asyncio.Event()
        self.cleaned = asyncio.Event()
        self.remaining = 0.0
        self.until = 0.0

    async def GetAvailability(self, request: Any, _context: calls.Context) -> Any:
        """Raise what nobody expects."""
        raise RuntimeError(SECRET)

    def near_GetSchedule(
        self, raw: bytes, _caller: object
    ) -> tuple[bytes, dict[str, object]] | None:
        """Answer shop 5 from its bytes, fail for shop 6, leave the rest to the others."""
        if raw == b"\x08\x06":
            raise RuntimeError(SECRET)
        return (b"near", {"outcome": "near"}) if raw == b"\x08\x05" else None

    async def fast_GetSchedule(
        self, raw: bytes, _caller: object
    ) -> tuple[bytes, dict[str, object]] | None:
        """Answer for shop 1, fail for shop 2, leave the rest to the slow path."""
        if raw == b"\x08\x01":
            return b"fast", {"outcome": "hit"}
        if raw == b"\x08\x02":
            raise RuntimeError(SECRET)
        return None

    async def GetSchedule(self, _request: Any, context: calls.Context) -> bytes:
        """Answer slowly."""
        calls.annotate(context, outcome="load")
        self.remaining = calls.remaining(context)
        self.until = calls.deadline() - asyncio.get_running_loop().time()
        return b"slow"

    async def GetUserData(self, _request: Any, _context: calls.Context) -> bytes:
        """Wait for a word; clean up for as long as it takes."""
        self.entered.set()
        try:
            await self.go_on.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            await self.go_on.wait()
            self.cleaned.set()
            raise
        return b"waited"

    async def ListBarbers(self, _request: Any, _context: calls.Context) -> bytes:
        """Know nobody."""
        kind = "barber"
        raise NotFound(kind, 7)

    async def Watch(self, request: Any, _context: calls.Context) -> AsyncIterator[bytes]:
        """Send two messages, then fail."""
        yield b"one"
        yield b"two"
        if request.organization_id:
            raise RuntimeError(SECRET)


async def _failure(awaitable: Awaitable[object]) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await awaitable
    return caught.value


@pytest.mark.parametrize(
    ("method", "request_bytes"), [("GetAvailability", b""), ("GetSchedule", b"\x08\x02")]
)
async def test_a_secret_in_an_exception_does_not_cross_the_wire(
    method: str, request_bytes: bytes
) -> None:
    """The caller gets an incident number, the log has the text under it; fast path or not."""
    async with serve_here(Servicer()) as served:
        with capture_logs() as logs:
            error = await _failure(served.call(method, request_bytes))
    assert error.code() is grpc.StatusCode.INTERNAL
    assert "hunter2" not in f"{error.details()} {error.trailing_metadata()} {error!r}"
    incident = details_of(error)["ErrorInfo"].metadata["incident"]  # type: ignore[attr-defined]
    assert logs[0]["incident"] == incident
    assert SECRET in str(logs[0]["exc_info"])  # the control: it was there to leak


async def test_a_service_error_arrives_with_its_details() -> None:
    """NOT_FOUND carries ErrorInfo of our domain and the resource."""
    async with serve_here(Servicer()) as served:
        error = await _failure(served.call("ListBarbers"))
    info, resource = details_of(error)["ErrorInfo"], details_of(error)["ResourceInfo"]
    assert error.code() is grpc.StatusCode.NOT_FOUND
    assert (info.domain, info.reason) == ("chairside", "BARBER_NOT_FOUND")  # type: ignore[attr-defined]
    assert (resource.resource_type, resource.resource_name) == ("barber", "7")  # type: ignore[attr-defined]


async def test_the_default_deadline_answers_while_the_handler_still_cleans_up() -> None:
    """A caller without a deadline is answered at ours, however long the clean-up takes."""
    servicer = Servicer()
    async with serve_here(servicer, default_deadline=0.05) as served:
        error = await _failure(served.call("GetUserData"))
        assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert "ErrorInfo" in details_of(error)
        assert not servicer.cleaned.is_set()
        servicer.go_on.set()
        await served.calls.leftovers.settle(5)
        assert servicer.cleaned.is_set()


async def test_a_call_within_the_default_deadline_is_answered() -> None:
    """The control: the same handler, told to go on, answers."""
    servicer = Servicer()
    servicer.go_on.set()
    async with serve_here(servicer) as served:
        assert await served.call("GetUserData") == b"waited"


async def test_a_longer_deadline_is_capped() -> None:
    """A caller who would wait an hour is answered at the cap, and the handler knows."""
    servicer = Servicer()
    async with serve_here(servicer, max_deadline=0.05) as served:
        error = await _failure(served.call("GetUserData", timeout=3600))
        assert details_of(error)["ErrorInfo"].metadata["seconds"] == "0.05"  # type: ignore[attr-defined]
        servicer.go_on.set()
        await served.call("GetSchedule", timeout=3600)
    assert 0 < servicer.remaining <= 0.05


async def test_the_callers_own_deadline_is_passed_on() -> None:
    """What is left for outgoing calls is less than what the caller set."""
    servicer = Servicer()
    async with serve_here(servicer) as served:
        await served.call("GetSchedule", timeout=7)
    assert 5 < servicer.remaining < 7.1  # gRPC rounds up, by some milliseconds
    assert servicer.until == pytest.approx(servicer.remaining, abs=0.1)
    assert calls.deadline() == inf  # outside of any call


async def test_methods_that_are_not_there_are_refused_with_a_reason() -> None:
    """A method of the contract that is missing, and one that never was."""
    async with serve_here(Servicer()) as served:
        for method, reason in [("Explain", "METHOD_NOT_IMPLEMENTED"), ("Nope", "UNKNOWN_METHOD")]:
            error = await _failure(served.call(method))
            assert error.code() is grpc.StatusCode.UNIMPLEMENTED
            assert details_of(error)["ErrorInfo"].reason == reason  # type: ignore[attr-defined]


async def test_a_request_that_cannot_be_parsed_is_an_invalid_argument() -> None:
    """It names no innards, and the next call is answered."""
    async with serve_here(Servicer()) as served:
        error = await _failure(served.call("GetSchedule", b"\xff\xff\xff"))
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert "BadRequest" in details_of(error)
        assert await served.call("GetSchedule", b"\x08\x01") == b"fast"


async def test_an_answer_that_nobody_would_take_is_refused_with_a_reason() -> None:
    """Above 4 MiB FAILED_PRECONDITION with its details; 4 MiB themselves are answered."""

    class Large(Servicer):
        async def ListBarbers(self, request: Any, _context: calls.Context) -> bytes:
            """Answer with as many bytes as the number of the shop, and 4 MiB."""
            return bytes(LARGEST_ANSWER + request.organization_id)

    async with serve_here(Large()) as served:
        assert len(await served.call("ListBarbers")) == LARGEST_ANSWER
        error = await _failure(served.call("ListBarbers", b"\x08\x01"))
        assert error.code() is grpc.StatusCode.FAILED_PRECONDITION
        details = details_of(error)
        assert details["ErrorInfo"].reason == "ANSWER_TOO_LARGE"  # type: ignore[attr-defined]
        assert "PreconditionFailure" in details


async def test_the_fast_path_may_leave_a_call_to_the_slow_one() -> None:
    """None from fast_Method has Method called; both are counted and logged once."""
    async with serve_here(Servicer()) as served:
        assert await served.call("GetSchedule", b"\x08\x01") == b"fast"
        assert await served.call("GetSchedule", b"\x08\x03") == b"slow"
        await _failure(served.call("ListBarbers"))
        text = served.metrics.render().decode()
    labels = f'grpc_method="GetSchedule",grpc_service="{SERVICE.full_name}"'
    assert f'grpc_server_handled_total{{grpc_code="OK",{labels}}} 2.0' in text
    assert f"grpc_server_handling_seconds_count{{{labels}}} 2.0" in text
    assert 'grpc_code="NOT_FOUND",grpc_method="ListBarbers"' in text
    lines = [json.loads(line) for line in served.log.getvalue().splitlines()]
    assert [line.get("outcome") for line in lines] == ["hit", "load", None]
    assert lines[2]["reason"] == "BARBER_NOT_FOUND"
    assert lines[0]["code"] == "OK"


async def test_what_is_near_is_answered_first() -> None:
    """near_Method is tried before the others, and is counted, logged and bounded like them."""
    async with serve_here(Servicer()) as served:
        assert await served.call("GetSchedule", b"\x08\x05") == b"near"
        failure = await _failure(served.call("GetSchedule", b"\x08\x06"))
        assert failure.code() == grpc.StatusCode.INTERNAL
        assert SECRET not in str(failure)
    # A caller may know of its failure before that is counted.
    text = served.metrics.render().decode()
    labels = f'grpc_method="GetSchedule",grpc_service="{SERVICE.full_name}"'
    assert f'grpc_server_handled_total{{grpc_code="OK",{labels}}} 1.0' in text
    assert f'grpc_server_handled_total{{grpc_code="INTERNAL",{labels}}} 1.0' in text
    lines = [json.loads(line) for line in served.log.getvalue().splitlines()]
    assert [line.get("outcome") for line in lines] == ["near", None]


async def test_the_log_has_the_callers_request_id_as_text_only() -> None:
    """A request id cannot forge a line; a stream has its own as well as a unary call."""
    async with serve_here(Servicer()) as served:
        call = served.channel.unary_unary(f"/{SERVICE.full_name}/GetSchedule")
        await call(b"\x08\x01", metadata=(("x-request-id", 'a", "code": "FORGED'),))
        watch = served.channel.unary_stream(f"/{SERVICE.full_name}/Watch")
        assert len([one async for one in watch(b"", metadata=(("x-request-id", "w"),))]) == 2
        await call(b"\x08\x01")
    lines = [json.loads(line) for line in served.log.getvalue().splitlines()]
    assert [line.get("request_id") for line in lines] == ['a", "code": "FORGED', "w", None]
    assert [line["code"] for line in lines] == ["OK"] * 3


async def test_the_log_has_the_trace_of_the_call_if_it_is_one() -> None:
    """The trace id of a W3C traceparent; nothing of what is none."""
    trace, span = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
    sent = [
        f"00-{trace}-{span}-01",
        f"cc-{trace}-{span}-01-what.a.later.version.adds",
        f"00-{trace}-{span}-01x",
        f"ff-{trace}-{span}-01",
        f"00-{'0' * 32}-{span}-01",
        f"00-{trace.upper()}-{span}-01",
        'nonsense", "code": "FORGED',
    ]
    async with serve_here(Servicer()) as served:
        call = served.channel.unary_unary(f"/{SERVICE.full_name}/GetSchedule")
        for traceparent in sent:
            await call(b"\x08\x01", metadata=(("traceparent", traceparent),))
    lines = [json.loads(line) for line in served.log.getvalue().splitlines()]
    assert [line.get("trace_id") for line in lines] == [trace, trace, *[None] * 5]
    assert [line["code"] for line in lines] == ["OK"] * len(sent)


async def test_streams_pass_the_same_boundary() -> None:
    """Messages before an error arrive; its text does not."""
    async with serve_here(Servicer()) as served:
        watch = served.channel.unary_stream(f"/{SERVICE.full_name}/Watch")
        assert [message async for message in watch(b"")] == [b"one", b"two"]
        failing = watch(b"\x08\x01")
        assert [await failing.read(), await failing.read()] == [b"one", b"two"]
        with capture_logs():
            error = await _failure(failing.read())
    assert error.code() is grpc.StatusCode.INTERNAL
    assert "hunter2" not in f"{error!r}"


async def test_calls_above_the_limit_are_told_to_come_again() -> None:
    """RESOURCE_EXHAUSTED with RetryInfo; once there is room, calls are answered."""
    servicer = Servicer()
    async with serve_here(servicer, most=1) as served:
        first = asyncio.ensure_future(served.call("GetUserData"))
        await servicer.entered.wait()
        error = await _failure(served.call("GetSchedule", b"\x08\x01"))
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert details_of(error)["RetryInfo"].retry_delay.nanos == 500_000_000  # type: ignore[attr-defined]
        servicer.go_on.set()
        await first
        assert await served.call("GetSchedule", b"\x08\x01") == b"fast"


async def test_a_cancelled_call_is_counted_as_cancelled() -> None:
    """The handler is cancelled with its caller, and nothing stays open."""
    servicer = Servicer()
    async with serve_here(servicer) as served:
        call = served.channel.unary_unary(f"/{SERVICE.full_name}/GetUserData")(b"")
        await servicer.entered.wait()
        call.cancel()
        await asyncio.wait_for(servicer.cancelled.wait(), 5)
        servicer.go_on.set()
        await asyncio.wait_for(servicer.cleaned.wait(), 5)
        assert served.metrics.open_calls == 0
        assert 'grpc_code="CANCELLED",grpc_method="GetUserData"' in served.metrics.render().decode()
