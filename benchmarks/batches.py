"""Many reads in one call against a call for each, out of a process's memory.

A BatchGet of 64 different days and a GetAvailability of one of them take turns on one
service, at full speed; what counts are answers a second.
"""

import statistics
from collections.abc import Mapping, Sequence

import grpc

from benchmarks import h2load
from benchmarks.errors import BenchmarkError
from benchmarks.hits import NEAR, Hits, Side, Turn, check_bytes, find_requests
from benchmarks.report import Bound, Section
from benchmarks.servers import serve_cache, stand
from benchmarks.turns import ratio, take_turns
from chairside.cache.v1 import cache_service_pb2, types_pb2
from chairside.cache.v1.cache_service_pb2_grpc import CacheServiceStub

__all__ = ["measure"]

_READS = 64
_BATCH = "/chairside.cache.v1.CacheService/BatchGet"
_TIMES = 18.0
_ALONE, _TOGETHER, _AGAIN = "one read a call", f"{_READS} reads a call", "one read a call, again"


async def measure(rounds: int, calls: int) -> list[Section]:
    """Run so many rounds of so many reads for each side. Raises BenchmarkError."""
    h2load.program()
    batches = max(32, calls // _READS)
    async with stand() as at, serve_cache(at) as single, serve_cache(at) as batching:
        alone = Hits(NEAR, single, "near", types_pb2.SOURCE_NEAR)
        together = Hits(NEAR, batching, "near", types_pb2.SOURCE_NEAR, method="BatchGet")
        async with grpc.aio.insecure_channel(batching.address) as channel:
            requests = await find_requests(at, channel, _READS)
            for request in requests:
                await together.check(request)
            reads = [cache_service_pb2.BatchRead(get_availability=one) for one in requests]
            batch = cache_service_pb2.BatchGetRequest(reads=reads)
            answers = await CacheServiceStub(channel).BatchGet(batch, timeout=10)
        if any(one.WhichOneof("outcome") != "get_availability" for one in answers.results):
            message = "a read of the batch was not answered"
            raise BenchmarkError(message)
        answer = await alone.check(requests[0])
        one = Side(single, requests[0].SerializeToString(), calls).turn
        many = Side(batching, batch.SerializeToString(), batches, method=_BATCH).turn
        turns = {_ALONE: one, _TOGETHER: many, _AGAIN: one}
        await take_turns("to warm all", 1, turns)
        alone.start()
        together.start()
        found = await take_turns("batches", rounds, turns)
        alone.hold(2 * rounds * calls)
        together.hold(rounds * batches, entries=_READS)
    check_bytes(found[_ALONE] + found[_AGAIN], calls, len(answer.SerializeToString()))
    check_bytes(found[_TOGETHER], batches, len(answers.SerializeToString()), _READS)
    return [_section(found, rounds, calls, batches)]


def _section(found: Mapping[str, Sequence[Turn]], rounds: int, calls: int, batches: int) -> Section:
    reads = {_ALONE: 1, _TOGETHER: _READS, _AGAIN: 1}
    made = {_ALONE: calls, _TOGETHER: batches * _READS, _AGAIN: calls}
    rates = {name: [turn.round.rate * reads[name] for turn in its] for name, its in found.items()}
    times = {name: ratio(its, rates[_ALONE]) for name, its in rates.items()}
    return Section(
        title="Many reads in one call",
        command=f"python -m benchmarks batches --rounds {rounds} --calls {calls}",
        about=(
            f"GetAvailability of one day, and BatchGet of {_READS} different ones, all in the\n"
            f"process's memory: {rounds} rounds of {calls:,} calls and of {batches:,} batches, 32\n"
            "under way at once, the service alone on its core. Every answer was a hit, by the\n"
            "service's own counts and by the bytes. CPU is the service's, in microseconds an\n"
            "answer. The last side is the first once more: the noise."
        ),
        columns=("", "Answers a second", "Of the first", "Median latency of a call", "CPU"),
        rows=[
            (
                name,
                f"{statistics.median(rates[name]):,.0f}",
                f"{times[name]:.2f}",
                f"{statistics.median(turn.round.latency for turn in its) * 1000:.2f} ms",
                f"{sum(turn.cpu for turn in its) / (rounds * made[name]) * 1e6:.0f}",
            )
            for name, its in found.items()
        ],
        bounds=(Bound.at_least("times the answers a second", _TIMES, times[_TOGETHER]),),
    )
