"""What one caller sees while another does harm, and what that costs the service in memory.

The victim comes at a modest rate, at its own times, over its own connections; the attacker
is a process of its own. For each attack the service is a new one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace

import grpc

from benchmarks.attackers import Came
from benchmarks.attacks import Attack
from benchmarks.errors import BenchmarkError
from benchmarks.hits import AGE_BYTES, METHOD, NEAR, Hits, find_request
from benchmarks.open_loop import Found, Job, percentile
from benchmarks.programs import run
from benchmarks.report import Bound, Section
from benchmarks.servers import MeasuredService, Stand, megabytes, serve_cache, stand
from chairside.cache.v1 import types_pb2

__all__ = ["measure"]

_RATE = 200.0
_CONNECTIONS = 4
_LEAD, _CONNECTED, _QUIET = 1.0, 2.5, 6.0
"""Seconds from the victim's start to the attack's, from its connecting to its first call, and after
the attack until one looks at the memory."""
_LOOK = 0.1
_MOST_P99, _MOST_ALONE = 50.0, 10.0
_MOST_GROWTH, _MOST_KEPT = 20.0, 10.0
# Kind, times a second, connections; the first four are bound.
_ATTACKS = (
    ("resets", 10_000, 1),
    ("messages", 1_000, 4),
    ("idle", 0, 2_000),
    ("frames", 5_000, 20),
    ("early resets", 10_000, 1),
    ("noise", 2_000, 20),
    ("silent", 0, 2_000),
    ("halves", 1_000, 1),
    ("unread", 1_000, 1),
    ("metadata", 1_000, 4),
    ("pings", 10_000, 1),
    ("settings", 10_000, 1),
)
_BOUND = 4


@dataclass(frozen=True, slots=True)
class _Seen:
    """Of one attack: what the victim saw, megabytes before, at most and after, what came of it."""

    alone: Found
    during: Found
    before: float
    most: float
    after: float
    came: Came

    @property
    def growth(self) -> float:
        """By how many per cent the service grew at most."""
        return (self.most / self.before - 1) * 100

    @property
    def kept(self) -> float:
        """By how many per cent it stayed larger."""
        return (self.after / self.before - 1) * 100


async def measure(seconds: float, only: Collection[str] = ()) -> list[Section]:
    """Attack in each way, or only in these, for so many seconds. Raises BenchmarkError."""
    if unknown := sorted(set(only) - {kind for kind, _, _ in _ATTACKS}):
        message = f"no such attack: {', '.join(unknown)}"
        raise BenchmarkError(message)
    async with AsyncExitStack() as stack:
        at = await stack.enter_async_context(stand())
        seen = {}
        for number, (kind, rate, connections) in enumerate(_ATTACKS):
            if only and kind not in only:
                continue
            print(f"{kind}, {rate:,} a second over {connections:,} connections", flush=True)
            async with serve_cache(at) as service:
                victim = await _victim(at, service, seconds, number)
                attack = Attack(
                    kind, service.address, METHOD, victim.message, rate, connections,
                    seconds + 2 * _LEAD,
                )  # fmt: skip
                seen[kind] = await _attacked(service, victim, attack)
                print("  ".join(_row(kind, seen[kind])), flush=True)
                if not service.running:
                    message = f"{kind}: the service died"
                    raise BenchmarkError(message)
    return [_section(seen, seconds)]


async def _victim(at: Stand, service: MeasuredService, seconds: float, seed: int) -> Job:
    """Make the victim's calls: hits in memory."""
    async with grpc.aio.insecure_channel(service.address) as channel:
        request = await find_request(at, channel)
    answer = await Hits(NEAR, service, "near", types_pb2.SOURCE_NEAR).check(request)
    return Job(
        service.address,
        METHOD,
        request.SerializeToString().hex(),
        answer.ByteSize(),
        AGE_BYTES,
        _RATE,
        seconds,
        _CONNECTIONS,
        seed,
    )


async def _attacked(service: MeasuredService, victim: Job, attack: Attack) -> _Seen:
    alone = Found(**await run("benchmarks.open_loop", victim))
    before = most = megabytes(service)
    # Connected before the attack: whether newcomers are let in then is another question.
    calling = asyncio.ensure_future(run("benchmarks.open_loop", replace(victim, lead=_CONNECTED)))
    await asyncio.sleep(_LEAD)
    attacking = asyncio.ensure_future(run("benchmarks.attackers", attack))
    both = asyncio.gather(attacking, calling)
    while not both.done():
        await asyncio.wait((both,), timeout=_LOOK)
        most = max(most, megabytes(service))
    came, during = await both
    await asyncio.sleep(_QUIET)
    return _Seen(alone, Found(**during), before, most, megabytes(service), Came(**came))


def _p99(found: Found) -> float:
    return percentile(found.milliseconds, 99) if found.milliseconds else float("inf")


def _row(kind: str, seen: _Seen) -> tuple[str, ...]:
    came = seen.came
    return (
        kind,
        f"{came.done / came.seconds:,.0f} a second",
        f"{came.opened:,}, {came.ended:,} ended",
        f"{_p99(seen.alone):.1f} ms",
        f"{percentile(seen.during.milliseconds or [float('inf')], 50):.1f} ms",
        f"{_p99(seen.during):.1f} ms",
        f"{percentile(seen.during.late, 99):.1f} ms",
        f"{seen.during.failed:,} of {len(seen.during.late):,}",
        f"{seen.before:.0f}, {seen.most:.0f}, {seen.after:.0f} MB",
    )


def _section(seen: dict[str, _Seen], seconds: float) -> Section:
    first = [seen[kind] for kind, _, _ in _ATTACKS[:_BOUND] if kind in seen]
    bound = first or list(seen.values())
    return Section(
        title="Hostile callers",
        command=f"python -m benchmarks hostile --seconds {seconds:g}",
        about=(
            f"One caller asks for hits in memory {_RATE:g} times a second, at its own times, over\n"
            f"{_CONNECTIONS} connections, while another does harm. The attacker is a process in\n"
            "Python, on the core of the victim and behind it. Late is by how much the victim sent\n"
            "its calls too late, at 99 %, which its times contain. Memory is that of the service\n"
            "before the attack, at most, and six seconds after. docs/hardening.md says what each\n"
            "does."
        ),
        columns=(
            "Attack",
            "Came to",
            "Connections",
            "p99 alone",
            "p50",
            "p99",
            "Late",
            "Failed",
            "Memory",
        ),
        rows=[_row(kind, one) for kind, one in seen.items()],
        bounds=(
            Bound.at_most("ms of the victim's p99 alone", _MOST_ALONE, max(map(_alone, bound))),
            Bound.at_most(
                "ms of the victim's p99 in the first four", _MOST_P99, max(map(_during, bound))
            ),
            Bound.at_most(
                "calls of the victim that failed",
                0,
                sum(one.during.failed for one in seen.values()),
            ),
            Bound.at_most(
                "per cent of growth in the first four",
                _MOST_GROWTH,
                max(one.growth for one in bound),
            ),
            Bound.at_most(
                "per cent of growth kept in the first four",
                _MOST_KEPT,
                max(one.kept for one in bound),
            ),
        ),
    )


def _alone(seen: _Seen) -> float:
    return _p99(seen.alone)


def _during(seen: _Seen) -> float:
    return _p99(seen.during)
