"""What a process takes of one client and of all, over the wire."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from structlog.testing import capture_logs

from benchmarks import attackers
from benchmarks.attacks import ATTACKS, Attack
from benchmarks.peer import Peer
from cache_service.client import CacheClient
from service_kit import process
from service_kit.limits import Limits, server_options
from service_kit.metrics import Metrics
from service_kit.process import Application, Runtime
from service_kit.settings import ProcessSettings
from tests.support.grpc_server import SERVICE, details_of
from tests.support.waiting import eventually

_METHOD = f"/{SERVICE.full_name}/GetSchedule"
_WATCH = f"/{SERVICE.full_name}/Watch"


class Settings(ProcessSettings):
    """A process on free ports."""

    prefix: ClassVar[str] = "CHAIRSIDE_CACHE_"
    listen: str = "127.0.0.1:0"
    metrics_listen: str = "127.0.0.1:0"
    access_log: bool = False


class Servicer:
    """Answers once there are so many to answer; tells watchers more than they read."""

    def __init__(self, draining: asyncio.Event, together: int = 1) -> None:
        self.most = self._open = 0
        self.peers = set[str]()
        self._draining = draining
        self._together = together
        self._all = asyncio.Event()

    async def GetSchedule(self, _request: object, context: Any) -> bytes:
        """Answer."""
        self.peers.add(context.peer())
        self._open += 1
        self.most = max(self.most, self._open)
        if self._open == self._together:
            self._all.set()
        await self._all.wait()
        self._open -= 1
        return b""

    async def Watch(self, _request: object, _context: object) -> AsyncIterator[bytes]:
        """Tell, as fast as it is read, until the drain."""
        while not self._draining.is_set():
            yield b"\x0a" + b"\x7f" + b"x" * 127
            await asyncio.sleep(0)


@dataclass(frozen=True, slots=True)
class Running:
    """A process that serves, in this one."""

    address: str
    channel: grpc.aio.Channel
    servicer: Servicer
    metrics: Metrics
    life: asyncio.Task[None]
    told: asyncio.Event

    async def stop(self) -> float:
        """Have it drain, and return the seconds that took."""
        began = time.monotonic()
        self.told.set()
        await self.life
        return time.monotonic() - began


@asynccontextmanager
async def running(*, together: int = 1, **settings: Any) -> AsyncIterator[Running]:
    """Serve with these settings."""
    made = asyncio.get_running_loop().create_future()
    told = asyncio.Event()

    async def build(_stack: AsyncExitStack, runtime: Runtime) -> Application:
        made.set_result((Servicer(runtime.draining, together), runtime.metrics))
        return Application([(SERVICE, made.result()[0])])

    with capture_logs() as logs, pytest.MonkeyPatch.context() as patch:
        patch.setattr(process, "stop_signal", lambda _stack: told)
        life = asyncio.create_task(process.serve("cache", Settings(**settings), build))
        servicer, metrics = await made

        async def address() -> str:
            return "".join(str(line["listen"]) for line in logs if line["event"] == "serving")

        try:
            listen = await eventually(address, seconds=20)
            async with grpc.aio.insecure_channel(listen) as channel:
                yield Running(listen, channel, servicer, metrics, life, told)
        finally:
            told.set()
            await life


async def _attack(at: Running, kind: str, *, rate: float, connections: int, seconds: float) -> Any:
    job = Attack(kind, at.address, _METHOD, "", rate, connections, seconds)
    return await asyncio.to_thread(attackers.run, job)


def _place(at: Running) -> tuple[str, int]:
    host, _, port = at.address.rpartition(":")
    return host, int(port)


async def _codes(channel: grpc.aio.Channel, number: int) -> dict[str, int]:
    call = channel.unary_unary(_METHOD)
    found: dict[str, int] = {}
    for one in await asyncio.gather(
        *(call(b"", timeout=20) for _ in range(number)), return_exceptions=True
    ):
        code = one.code().name if isinstance(one, grpc.aio.AioRpcError) else "OK"
        found[code] = found.get(code, 0) + 1
    return found


async def test_of_one_connection_fifty_calls_are_handled_at_once_and_the_others_wait() -> None:
    """A thousand calls on one new channel are all answered, fifty at a time."""
    async with running(together=50) as at:
        assert await _codes(at.channel, 1000) == {"OK": 1000}
        assert at.servicer.most == 50


async def test_our_own_client_takes_another_connection_for_more() -> None:
    """150 calls that are answered only when all of them are there are answered."""
    async with running(together=150) as at, CacheClient(at.address) as client:
        calls = (client._calls.call("GetSchedule", b"", 20) for _ in range(150))
        assert await asyncio.gather(*calls) == [b""] * 150
        assert len(at.servicer.peers) > 1


async def test_more_connections_than_are_allowed_are_closed_at_once() -> None:
    """Those that there are stay and are served; there is room again when one has gone."""
    async with running(max_connections=2) as at:
        await at.channel.channel_ready()
        with socket.create_connection(_place(at)) as second:
            with socket.create_connection(_place(at)) as third:
                third.settimeout(5)
                assert await asyncio.to_thread(third.recv, 100) == b""
            second.settimeout(5)
            assert await asyncio.to_thread(second.recv, 9)  # the control: it was greeted
            assert await _codes(at.channel, 1) == {"OK": 1}

        async def room() -> bool:
            with socket.create_connection(_place(at)) as fourth:
                fourth.settimeout(5)
                return bool(await asyncio.to_thread(fourth.recv, 9))

        await eventually(room)


@pytest.mark.parametrize(
    ("size", "metadata", "code"),
    [
        (390_000, 100, "OK"),
        (400_000, 100, "RESOURCE_EXHAUSTED"),
        (10, 20_000, "RESOURCE_EXHAUSTED"),
    ],
)
async def test_requests_and_metadata_have_a_size(size: int, metadata: int, code: str) -> None:
    """384 KiB are taken, more are not; nor are 20 KB of metadata."""
    async with running() as at:
        call = at.channel.unary_unary(_METHOD)
        request = b"\xfa\x7f" + _bytes(size)  # a field that nobody knows
        try:
            await call(request, metadata=[("x-filler", "x" * metadata)], timeout=10)
            found = "OK"
        except grpc.aio.AioRpcError as error:
            found = error.code().name
        assert found == code


def _bytes(size: int) -> bytes:
    """Write a length and so many bytes."""
    out, left = bytearray(), size
    while left > 127:
        out.append(left & 127 | 128)
        left >>= 7
    out.append(left)
    return bytes(out) + b"x" * size


async def test_calls_that_never_say_what_they_ask_keep_nobody_from_being_answered() -> None:
    """1,500 of them, above the limit for calls: others are answered, and health is."""
    async with running(max_open_calls=50) as at:
        attack = asyncio.ensure_future(
            _attack(at, "halves", rate=3000, connections=15, seconds=2.5)
        )
        health = health_pb2_grpc.HealthStub(at.channel)
        answered = 0
        while not attack.done():
            assert await _codes(at.channel, 1) == {"OK": 1}
            answer = await health.Check(health_pb2.HealthCheckRequest(), timeout=20)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
            answered += 1
            await asyncio.sleep(0.05)
        assert attack.result().done > 1500  # the control: there were as many
        assert answered > 1


async def test_watches_have_a_limit_of_their_own_and_take_no_calls_place() -> None:
    """With as many watches as there may be a further one is told when to return; calls go on."""
    async with running(max_open_calls=1, max_watches=3) as at:
        watches = [at.channel.unary_stream(_WATCH)(b"") for _ in range(3)]
        for watch in watches:
            assert await watch.read()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await at.channel.unary_stream(_WATCH)(b"").read()
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        details = details_of(caught.value)
        assert details["ErrorInfo"].reason == "TOO_MANY_WATCHES"  # type: ignore[attr-defined]
        assert "RetryInfo" in details
        assert await _codes(at.channel, 1) == {"OK": 1}
        for watch in watches:
            watch.cancel()

        async def gone() -> bool:
            return bool(at.metrics.open_watches == 0 and at.metrics.open_calls == 0)

        await eventually(gone)


@pytest.mark.parametrize(("kind", "method"), [("unread", _WATCH), ("halves", _METHOD)])
async def test_the_drain_waits_neither_for_who_reads_nothing_nor_for_who_says_nothing(
    kind: str, method: str
) -> None:
    """Calls may go on for the whole grace, but those that only their callers hold up may not."""
    async with running(drain=30.0) as at:
        make, greeting = ATTACKS[kind]
        strike = make(Attack(kind, at.address, method, "", 0, 1, 0))
        peer = Peer(at.address, greeting)
        for _ in range(20):
            peer.send(strike(peer))

        async def under_way() -> bool:
            peer.hear()
            return at.metrics.open_watches == (20 if kind == "unread" else 0)

        await eventually(under_way)
        assert await at.stop() < 15
        peer.socket.close()


async def test_connections_that_end_of_age_cost_no_call() -> None:
    """A client calls all the while its connection is replaced, and none of its calls fails."""
    async with running(max_connection_age=1) as at:

        async def replaced() -> bool:
            assert await _codes(at.channel, 3) == {"OK": 3}
            return len(at.servicer.peers) > 1

        await eventually(replaced)


def test_every_limit_of_the_settings_reaches_grpc() -> None:
    """What is set is what the server is told."""
    limits = Limits(streams=7, connections=8, message=9, age=10.0, idle=11.0)
    options = dict(server_options(limits))
    assert {7, 8, 9, 10_000, 11_000} <= set(options.values())
    assert len(options) == len(server_options(limits))
