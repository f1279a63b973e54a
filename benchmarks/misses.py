"""Ask for reports past every cache, as the cache service does when it has none."""

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date
from statistics import median

from cache_service.database import SNAPSHOTS, Primary, make_engine
from cache_service.edge.declared import by_rpc, discover
from chairside.cache.v1.cache_service_pb2 import GetAnalyticsRequest, GetAnalyticsResponse
from service_kit.clock import SystemClock
from service_kit.values import to_date

__all__ = [
    "MONTHLY",
    "OF_A_DAY",
    "REPORTS",
    "SHOP",
    "Misses",
    "Question",
    "Times",
    "misses",
    "take_turns",
]

MONTHLY = ("revenue", "appointment_stats", "patterns", "barber_performance")
OF_A_DAY = ("six_figure", "retention", "lifetime_value", "comparison")
REPORTS = (*MONTHLY, *OF_A_DAY, "dashboard")
SHOP = 0
"""Instead of a barber's id."""
_TARGET = 100_000.0
_PATIENCE = 600.0


@dataclass(frozen=True, slots=True)
class Question:
    """A report on the shop or a barber, over a month, as of a day, or both."""

    report: str
    barber_id: int
    month: tuple[date, date]
    as_of: date

    def request(self, organization_id: int) -> GetAnalyticsRequest:
        """Make the request, with the days that the report takes."""
        request = GetAnalyticsRequest(organization_id=organization_id, barber_id=self.barber_id)
        getattr(request, self.report).SetInParent()
        if self.report == "six_figure":
            request.six_figure.target_annual_income = _TARGET
        if self.report not in OF_A_DAY:
            request.start_date.CopyFrom(to_date(self.month[0]))
            request.end_date.CopyFrom(to_date(self.month[1]))
        if self.report not in MONTHLY:
            request.as_of_date.CopyFrom(to_date(self.as_of))
        return request


class Misses:
    """One database's shop, asked through the loaders; each answer is a miss."""

    def __init__(self, primary: Primary, organization_id: int) -> None:
        self._primary = primary
        self._organization_id = organization_id
        self._queries = by_rpc(discover())

    async def answer(self, question: Question) -> GetAnalyticsResponse:
        """Load a report in a snapshot of its own, and make the response."""
        request = question.request(self._organization_id)
        query = self._queries[question.report]
        rpc = query.rpc
        if rpc is None:
            raise TypeError(question.report)
        arguments = list(rpc.arguments(request, None))
        loaded = await self._primary.load(query, arguments)
        if rpc.respond is None:
            return GetAnalyticsResponse.FromString(loaded.payloads[0])
        parts = list(zip(arguments, loaded.payloads, strict=True))
        return GetAnalyticsResponse.FromString(rpc.respond(request, parts, SystemClock().now())[0])

    async def seconds(self, question: Question) -> float:
        """Tell how long a report takes."""
        begun = time.perf_counter()
        await self.answer(question)
        return time.perf_counter() - begun


@asynccontextmanager
async def misses(cache_url: str, organization_id: int) -> AsyncIterator[Misses]:
    """Connect as the cache service does, with one connection."""
    engine = make_engine(
        cache_url, pool_size=1, timeout=_PATIENCE, pool_timeout=_PATIENCE, isolation=SNAPSHOTS
    )
    try:
        yield Misses(Primary(engine, engine, SystemClock()), organization_id)
    finally:
        await engine.dispose()


@dataclass(frozen=True, slots=True)
class Times:
    """How long a question took at each side that took turns, by round, in seconds."""

    question: Question
    sides: Sequence[list[float]]

    def milliseconds(self, side: int) -> float:
        """Return a side's median."""
        return 1000 * median(self.sides[side])

    def ratio(self, side: int, to: int) -> float:
        """Return how many times as long one side took as another, as the median of rounds."""
        pairs = zip(self.sides[side], self.sides[to], strict=True)
        return median(one / other for one, other in pairs)


async def take_turns(
    questions: Sequence[Question], sides: Sequence[Misses], rounds: int
) -> list[Times]:
    """Ask every question at every side, round after round."""
    times = [Times(question, [[] for _ in sides]) for question in questions]
    for number in range(-1, rounds):
        for one in times:
            # A different one comes first each time, for the machine tires.
            for turn in range(len(sides)):
                side = (turn + number) % len(sides)
                seconds = await sides[side].seconds(one.question)
                if number >= 0:  # the first round warms caches and plans
                    one.sides[side].append(seconds)
    return times
