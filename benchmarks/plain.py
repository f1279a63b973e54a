"""The same reports in plain Python, row by row, and that they say the same.

Once over all rows of the shop; and once over those alone that a report needs, fetched by the
indexes, as one would write it who knows what a report is about.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from statistics import median

import asyncpg

from benchmarks.errors import BenchmarkError
from benchmarks.misses import MONTHLY, Misses, Question
from cache_service.queries.comparison import days_compared
from tests.support.plain_reports import Books, differences, plain_report, read_books
from tests.support.plain_reports.books import Rows

__all__ = ["AnalyticsError", "Plain", "measure"]

_EARNINGS = ("appointment_stats", "patterns", "barber_performance")
"""What tells the money of its appointments, whenever it was taken."""
_OF_VISITS = ("six_figure", "retention", "lifetime_value")
_EVER = date(1900, 1, 2)
_DAY = timedelta(days=1)
_ENOUGH, _MOST_TIMES = 1.0, 5


class AnalyticsError(BenchmarkError):
    """Say which figure of which report is not what the plain calculation says."""


@dataclass(slots=True)
class Plain:
    """Seconds: to read all rows once and work each report out; to do both with its own rows."""

    reading: float = 0.0
    working: dict[Question, float] = field(default_factory=dict)
    own_rows: dict[Question, float] = field(default_factory=dict)


async def measure(
    owner_url: str, organization_id: int, questions: Sequence[Question], misses: Misses
) -> Plain:
    """Work each report out both ways. Raises AnalyticsError: an answer says otherwise."""
    found = Plain()
    connection = await asyncpg.connect(owner_url)
    try:
        begun = time.perf_counter()
        books = await read_books(connection, organization_id)
        found.reading = time.perf_counter() - begun
        for question in questions:
            found.working[question] = await _work(books, organization_id, question, misses)
        del books  # not to be held beside those that follow
        for question in questions:
            times = list[float]()
            while not times or (sum(times) < _ENOUGH and len(times) < _MOST_TIMES):
                begun = time.perf_counter()
                own = await read_books(connection, organization_id, _own_rows(question))
                reading = time.perf_counter() - begun
                times.append(reading + await _work(own, organization_id, question, misses))
            found.own_rows[question] = median(times)
    finally:
        await connection.close()
    return found


async def _work(books: Books, organization_id: int, question: Question, misses: Misses) -> float:
    """Work a report out, tell how long it took, and see that the answer says the same."""
    begun = time.perf_counter()
    plain = await asyncio.to_thread(plain_report, books, question.request(organization_id))
    seconds = time.perf_counter() - begun
    answer = getattr(await misses.answer(question), question.report)
    if found := differences(answer, plain, books.currency):
        message = f"{question.report}: {found[0]}"
        raise AnalyticsError(message)
    return seconds


def _own_rows(question: Question) -> Rows:
    """Choose the rows that a report needs: by its days, a day wider in UTC, and its barber."""
    booked, paid = _days(question)
    chosen = [_chosen("starts_at", "barber_id")]
    if question.report in _OF_VISITS:
        chosen.append("status = 'completed'")
    money = {
        "payments": _chosen("paid_at", "barber_id"),
        "refunds": _chosen("refunded_at", "barber_id"),
    }
    if question.report in _EARNINGS:
        earned = _chosen("appointment_starts_at", "appointment_barber_id")
        both = question.report == "barber_performance"
        money = {name: f"{own} OR {earned}" if both else earned for name, own in money.items()}
    return {
        "appointments": (" AND ".join(chosen), _values(question, *booked)),
        **{name: (condition, _values(question, *paid)) for name, condition in money.items()},
    }


def _chosen(moment: str, barber: str) -> str:
    return f"({moment} >= $2 AND {moment} < $3 AND ($4::bigint = 0 OR {barber} = $4))"


def _values(question: Question, first: date, last: date) -> tuple[object, ...]:
    start, end = (datetime.combine(day, datetime.min.time(), UTC) for day in (first, last))
    return start - _DAY, end + _DAY, question.barber_id


def _days(question: Question) -> tuple[tuple[date, date], tuple[date, date]]:
    """Return the days [first, last) of the appointments and of the money that a report needs."""
    as_of = question.as_of
    ever = (_EVER, as_of)
    if question.report in MONTHLY:
        return question.month, question.month
    if question.report == "comparison":
        _, _, before, _ = days_compared(as_of, "month")
        return (before, as_of), (before, as_of)
    if question.report == "six_figure":
        return ever, (as_of - 60 * _DAY, as_of)
    if question.report == "retention":
        return ever, (as_of, as_of)
    if question.report == "dashboard":
        ever = (_EVER, max(as_of, question.month[1]))
    return ever, ever
