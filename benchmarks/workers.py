"""Throughput by the number of workers on one port: what the second one adds.

Hits in memory, driven over so many connections that the kernel spreads them about evenly, for
as long as all workers are busy. A worker needs a core, and so does the driver. Where there are
no more cores than workers, each worker is given less than one by the kernel, so that what they
leave is free.
"""

import statistics
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import grpc
import psutil

from benchmarks import h2load
from benchmarks.errors import BenchmarkError
from benchmarks.hits import METHOD, find_request
from benchmarks.quota import bounded
from benchmarks.report import Bound, Section
from benchmarks.servers import MeasuredService, serve_cache, stand, usable_cores

__all__ = ["WorkersError", "measure"]

_MOST = 2
_CONNECTIONS, _STREAMS = 128, 2
_ADDS = 0.8
_SHARE = 0.4
"""Of a core, for each worker, where there are no cores for all."""
_CPU = 1.15
_HITS = 0.999
"""The share of calls that must be hits in memory."""


class WorkersError(BenchmarkError):
    """Say which calls were not the hits that they should have been."""


@dataclass(slots=True)
class _Side:
    workers: int
    cores: list[int]
    service: MeasuredService
    rates: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    """Microseconds of the workers, a call."""

    @property
    def rate(self) -> float:
        return statistics.median(self.rates)

    @property
    def cpu_of_a_call(self) -> float:
        return statistics.median(self.cpu)

    async def run(self, message: bytes, calls: int) -> None:
        """Make so many calls: hits in memory, each of them."""
        near, spent = self._near(), self._spent()
        made = await h2load.drive(
            self.service.address,
            METHOD,
            message,
            calls=calls,
            connections=_CONNECTIONS,
            streams=_STREAMS,
        )
        spent = self._spent() - spent
        # A lease that a busy machine let run out for a moment is no fault of the measurement.
        if (hits := self._near() - near) < calls * _HITS:
            what = f"{self.workers} workers: of {calls:,} calls {hits:,} were hits in memory"
            raise WorkersError(what)
        self.rates.append(made.steady)
        self.cpu.append(spent / calls * 1e6)

    async def warm(self, message: bytes, calls: int) -> None:
        """Let each worker have the answer in its memory."""
        for _ in range(2):  # the first fills, also what every connection costs at first
            await h2load.drive(
                self.service.address, METHOD, message, calls=calls, connections=_CONNECTIONS
            )

    def _near(self) -> int:
        return sum(
            int(sample.value)
            for sample in self.service.counts()
            if sample.name == "chairside_cache_reads_total" and sample.labels["outcome"] == "near"
        )

    def processes(self) -> list[psutil.Process]:
        """Return the workers."""
        process = psutil.Process(self.service.pid)
        return process.children() or [process]  # a single one has no supervisor

    def _spent(self) -> float:
        times = [worker.cpu_times() for worker in self.processes()]
        return sum(time.user + time.system for time in times)


async def measure(rounds: int, calls: int) -> list[Section]:
    """Run so many rounds of so many calls with one worker and with two, in turn.

    Raises DriverError, WorkersError if a call was no hit in memory, or QuotaError.
    """
    h2load.program()
    cores = usable_cores()
    numbers = range(1, max(1, min(_MOST, len(cores) or 1)) + 1)
    async with AsyncExitStack() as stack:
        at = await stack.enter_async_context(stand())
        sides = []
        for workers in numbers:
            own = cores[-workers:]
            service = serve_cache(at, workers=workers, cores=own)
            await stack.enter_async_context(service)
            side = _Side(workers, own, service)
            sides.append(side)
            if len(cores) <= numbers[-1]:
                pids = [process.pid for process in side.processes()]
                stack.enter_context(bounded(pids, _SHARE))
        async with grpc.aio.insecure_channel(sides[0].service.address) as channel:
            message = (await find_request(at, channel)).SerializeToString()
        for side in sides:
            await side.warm(message, calls)
        for _ in range(rounds):
            for side in sides:
                await side.run(message, calls)
    return [_section(sides, cores, rounds, calls)]


def _section(sides: Sequence[_Side], cores: list[int], rounds: int, calls: int) -> Section:
    first, last = sides[0], sides[-1]
    bound = len(cores) <= last.workers
    gains = [many / one for many, one in zip(last.rates, first.rates, strict=True)]
    costs = [many / one for many, one in zip(last.cpu, first.cpu, strict=True)]
    bounds = []
    if last is not first:
        bounds.append(
            Bound.at_most("CPU time of a call, of one worker's", _CPU, statistics.median(costs))
        )
        added = statistics.median(gains) - 1
        bounds.append(Bound.at_least("what the second worker adds, of the first", _ADDS, added))
    driver = "has a core of its own"
    if bound:
        driver = (
            f"has what workers leave,\nas the kernel gives each no more than {_SHARE:.0%} of one"
        )
    return Section(
        title="Throughput by workers on one port",
        command=f"python -m benchmarks workers --rounds {rounds} --calls {calls}",
        about=(
            "GetAvailability of one barber and day, a hit in the memory of whichever worker\n"
            f"answers, over {_CONNECTIONS} connections with {_STREAMS} calls each: {rounds} rounds "
            f"of {calls:,} calls for\n"
            "each, in turn. The rate is of the first four fifths: the kernel gives one worker\n"
            f"more connections, which end later. Of {len(cores) or 1} cores the workers have "
            "as many as they are;\n"
            f"h2load, Valkey and Postgres run on core {', '.join(map(str, cores[:-1] or cores))}: "
            f"the driver {driver}."
        ),
        columns=("Workers", "On cores", "Calls a second", "Of one", "CPU of a call"),
        rows=[
            (
                str(side.workers),
                ", ".join(map(str, side.cores)),
                f"{side.rate:,.0f}",
                f"{side.rate / first.rate:.2f}",
                f"{side.cpu_of_a_call:.0f} µs",
            )
            for side in sides
        ],
        bounds=bounds,
    )
