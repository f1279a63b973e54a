"""Open-loop load: calls begin when their time has come, whatever became of those before.

Each acknowledgement wakes readers of what it touched, so that many reads begin within
milliseconds of one: that is where a cache lies, if it does.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from itertools import accumulate
from random import Random
from typing import Self

import grpc

from tests.faults.answers import Answered, Call, touched_by
from tests.faults.history import History, Write
from tests.faults.mutating import UNKNOWN, Mutator

__all__ = ["Load", "Rates"]

_OPTIONS = (
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 200),
    ("grpc.enable_retries", 0),
    ("grpc.use_local_subchannel_pool", 1),  # Else channels to one address share a connection.
)
_READ_SECONDS = 1.0
_WRITE_SECONDS = 4.0
_MOST_OPEN = 16
"""Reads open at once at one process; above it a read is not begun, and counted as shed."""
_REPEATED = 0.6
"""How many of the mutations with an unknown outcome are repeated by their request id."""
_ATTEMPTS = 4
_TOKENS_APPLIED, _TOKENS_NOT_APPLIED = 0.1, 0.5
"""How many of the woken readers carry the mutation's token."""
_ALLOWING, _ALLOWANCE = 0.1, 0.9
"""How many of the other reads allow staleness, and how many seconds of it."""
_CONNECTIONS = 4
"""To each cache service: the kernel spreads connections, and not calls, over its workers."""
_IMPATIENT = 0.02
"""Seconds within which a client that cancels does so."""


class Rates:
    """Calls a second. Each acknowledgement wakes `woken` readers besides."""

    def __init__(self, reads: float, writes: float, woken: int) -> None:
        self.reads = reads
        self.writes = writes
        self.woken = woken


class Load:
    """Reads at both cache processes and writes at both booking processes; records all.

    Writes go into the history, answers of reads into `answered`. `cancelling` makes
    clients give up half their calls. `counts` tells calls begun, `shed`, `failed`,
    `cancelled`, and mutations by outcome. An async context manager.
    """

    def __init__(
        self,
        history: History,
        calls: Sequence[Call],
        mutator: Mutator,
        random: Random,
        *,
        caches: Sequence[str],
        bookings: Sequence[str],
        patience: float = _READ_SECONDS,
    ) -> None:
        self._patience = patience
        self.cancelling = False
        self.answered: list[Answered] = []
        self.counts: Counter[str] = Counter()
        self.history = history
        self._calls = calls
        self._weights = list(accumulate(call.weight for call in calls))
        self._mutator = mutator
        self._random = random
        self._targets = caches, bookings
        self._stack = AsyncExitStack()
        self._caches: list[list[grpc.aio.Channel]] = []
        self._bookings: list[grpc.aio.Channel] = []
        self._open = [0] * len(caches)
        self._tasks: set[asyncio.Task[None]] = set()
        self._errors: list[BaseException] = []
        self._time = asyncio.get_running_loop().time

    async def __aenter__(self) -> Self:
        caches, bookings = self._targets
        for target in caches:
            self._caches.append([await self._channel(target) for _ in range(_CONNECTIONS)])
        for target in bookings:
            self._bookings.append(await self._channel(target))
        return self

    async def _channel(self, target: str) -> grpc.aio.Channel:
        channel = grpc.aio.insecure_channel(target, options=_OPTIONS)
        return await self._stack.enter_async_context(channel)

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._stack.aclose()

    async def run(self, rates: Rates, over: Callable[[], bool]) -> None:
        """Begin calls at these rates until it is over, and wait until all have ended."""
        await asyncio.gather(
            self._arrivals(rates.reads, over, self._any_read),
            self._arrivals(rates.writes, over, lambda: self.write(rates.woken)),
        )
        while self._tasks:
            await asyncio.wait(self._tasks)
        for error in self._errors:
            raise error

    async def _arrivals(
        self, rate: float, over: Callable[[], bool], begin: Callable[[], Awaitable[None]]
    ) -> None:
        at = self._time()
        while not over():
            at += self._random.expovariate(rate)
            await asyncio.sleep(max(0.0, at - self._time()))
            self._start(begin())

    def _start(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._errors.append(error)

    def _any_read(self) -> Awaitable[None]:
        (call,) = self._random.choices(self._calls, cum_weights=self._weights)
        allowance = _ALLOWANCE if self._random.random() < _ALLOWING else 0.0
        return self.read(call, self._random.randrange(2), allowance=allowance)

    async def read(
        self, call: Call, process: int, after: Write | None = None, allowance: float = 0.0
    ) -> None:
        """Read once, with a mutation's token or an allowance if given, and record the answer."""
        if self._open[process] >= _MOST_OPEN:
            self.counts["shed"] += 1
            return
        self._open[process] += 1
        self.counts["reads"] += 1
        started = self._time()
        try:
            channel = self._random.choice(self._caches[process])
            path = f"/chairside.cache.v1.CacheService/{call.method}"
            request = call.request
            if after is not None:
                request = call.after(after.token)
            elif allowance:
                request = call.within(allowance)
            raw = await self._patient(channel.unary_unary(path)(request, timeout=self._patience))
        except grpc.aio.AioRpcError as error:
            self.counts["failed"] += 1
            self.counts[f"read {error.code().name}"] += 1
            return
        except asyncio.CancelledError:
            _reraise_own()
            return
        finally:
            self._open[process] -= 1
        self.counts["reads answered"] += 1
        answered = Answered(call, process, started, self._time(), raw, after, allowance)
        self.answered.append(answered)

    async def write(self, woken: int) -> None:
        """Mutate once, perhaps with repeats, record it, and wake readers if it succeeded."""
        plan = self._mutator.plan()
        if plan is None:
            return
        write = Write(plan.method, plan.request_id, self._time())
        self.history.writes.append(write)
        self.counts["writes"] += 1
        path = f"/chairside.booking.v1.BookingService/{plan.method}"
        process = self._random.randrange(2)
        for attempt in range(_ATTEMPTS):
            channel = self._bookings[process]
            outcome = await self._attempt(channel.unary_unary(path), plan.request)
            write.ended = self._time()
            write.attempts += 1
            if isinstance(outcome, bytes):
                applied = self._mutator.learn(write, outcome)
                write.acknowledged = write.committed = True
                if applied:
                    write.applied_at = write.ended
                self.counts["applied" if applied else "not applied"] += 1
                self._wake(write, woken)
                return
            write.error = outcome
            self.counts[f"write {outcome}"] += 1
            if outcome not in UNKNOWN:
                if write.committed is None:
                    self._mutator.refused(plan)
                return
            if attempt == _ATTEMPTS - 1 or self._random.random() > _REPEATED:
                return
            process = 1 - process
            self.counts["repeated"] += 1
            await asyncio.sleep(self._random.uniform(0.0, 0.3))

    async def _attempt(
        self, method: grpc.aio.UnaryUnaryMultiCallable, request: bytes
    ) -> bytes | str:
        """Return the answer, or the name of the status."""
        try:
            return await self._patient(method(request, timeout=max(_WRITE_SECONDS, self._patience)))
        except grpc.aio.AioRpcError as error:
            return error.code().name
        except asyncio.CancelledError:
            _reraise_own()
            return "CANCELLED"

    async def _patient(self, call: grpc.aio.UnaryUnaryCall) -> bytes:
        """Await a call, or cancel it after a while if it is a time of impatience."""
        if self.cancelling and self._random.random() < 0.5:
            loop = asyncio.get_running_loop()
            loop.call_later(self._random.uniform(0.0, _IMPATIENT), self._give_up, call)
        answer: bytes = await call
        return answer

    def _give_up(self, call: grpc.aio.UnaryUnaryCall) -> None:
        if call.cancel():
            self.counts["cancelled"] += 1

    def _wake(self, write: Write, woken: int) -> None:
        touched = touched_by([*write.visits.values(), *write.left], write.money)
        tokens = _TOKENS_APPLIED if write.applied_at else _TOKENS_NOT_APPLIED
        calls = [call for call in self._calls if call.touches & touched]
        for call in self._random.sample(calls, min(woken, len(calls))):
            for process in range(len(self._caches)):
                chance = self._random.random()
                after = write if chance < tokens else None
                allowance = _ALLOWANCE if after is None and chance > 1 - _ALLOWING else 0.0
                self._start(self.read(call, process, after, allowance))


def _reraise_own() -> None:
    """Go on if it was the call that was cancelled; raise if it was this task."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
