"""Bidirectional streams pass the same wrapper as all others, but for the deadline."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from structlog.testing import capture_logs

from service_kit import calls
from tests.support.grpc_server import SERVICE, details_of, serve_here
from tests.support.streams import first_answer
from tests.support.waiting import eventually

SECRET = "postgresql://chairside:hunter2@db/chairside"  # noqa: S105 - bait
PATH = f"/{SERVICE.full_name}/Lookup"


class Servicer:
    """Echo the ids of lookups; fail with a secret at 13."""

    def __init__(self) -> None:
        self.closed = asyncio.Event()

    async def Lookup(
        self, requests: AsyncIterator[Any], context: calls.Context
    ) -> AsyncIterator[bytes]:
        """Answer each at once."""
        count = 0
        try:
            async for request in requests:
                if request.id == 13:
                    raise RuntimeError(SECRET)
                count += 1
                yield request.SerializeToString()
        finally:
            calls.annotate(context, answered=count)
            self.closed.set()


async def test_it_is_counted_and_logged_once() -> None:
    """However many messages it has; what the handler notes is in its line."""
    async with serve_here(Servicer()) as served:
        call = served.channel.stream_stream(PATH)(iter([b"\x08\x01", b"\x08\x02"]))
        assert [message async for message in call] == [b"\x08\x01", b"\x08\x02"]
        text = served.metrics.render().decode()
    assert f'grpc_method="Lookup",grpc_service="{SERVICE.full_name}"}} 1.0' in text
    (line,) = (json.loads(line) for line in served.log.getvalue().splitlines())
    assert (line["code"], line["answered"], line["method"]) == ("OK", 2, PATH)


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (b"\x08\x0d", grpc.StatusCode.INTERNAL),
        (b"\xff\xff\xff", grpc.StatusCode.INVALID_ARGUMENT),
    ],
)
async def test_no_text_of_an_error_crosses(message: bytes, code: grpc.StatusCode) -> None:
    """What was answered before arrives; then comes the error, with its details."""
    async with serve_here(Servicer()) as served:
        call = served.channel.stream_stream(PATH)(iter([b"\x08\x01", message]))
        assert await call.read() == b"\x08\x01"
        with capture_logs(), pytest.raises(grpc.aio.AioRpcError) as caught:
            await call.read()
    assert caught.value.code() is code
    assert "ErrorInfo" in details_of(caught.value)
    assert "hunter2" not in f"{caught.value!r}"


async def test_it_has_no_deadline_but_the_callers_and_a_place_among_the_open_calls() -> None:
    """It outlives ours; while it is open, another is one too many; its end makes room."""
    servicer = Servicer()
    async with serve_here(servicer, default_deadline=0.01, max_deadline=0.01, most=1) as served:
        call = served.channel.stream_stream(PATH)()
        await call.write(b"\x08\x01")
        assert await call.read() == b"\x08\x01"
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await first_answer(served.channel.stream_stream(PATH), b"")
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        servicer.closed.clear()
        await asyncio.sleep(0.02)  # beyond the deadline that other calls have here
        await call.write(b"\x08\x02")
        assert await call.read() == b"\x08\x02"
        call.cancel()
        await asyncio.wait_for(servicer.closed.wait(), 5)

        async def counted() -> bool:  # just after the servicer has closed
            return served.metrics.open_calls == 0

        await eventually(counted)
        # Cancelled, unless the end of its requests is heard before gRPC says why they ended.
        ends = re.findall(
            r'handled_total{grpc_code="(?:CANCELLED|OK)",grpc_method="Lookup".* (\S+)',
            served.metrics.render().decode(),
        )
        assert sum(map(float, ends)) == 1
