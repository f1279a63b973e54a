"""One judge for each kind of query: what a version gives, and what an answer may be."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from tests.faults.history import COMPLETED, HELD, History, Query, Visit

__all__ = ["JUDGES", "Finding", "Judge"]

_TO_COME = frozenset({HELD})
_HOLDING = frozenset({HELD, COMPLETED})
Allowed = Mapping[int, Sequence[Any]]
"""By appointment: what of it the read may show, None where it need not show it."""


class Finding(NamedTuple):
    """What is wrong with an answer, and the appointments it is about."""

    kind: str
    detail: str
    appointments: tuple[int, ...]


class Judge(NamedTuple):
    """`value(history, query, visit)` is what the query shows of a visit, or None.

    `shows` are the statuses of visits of which it shows anything.
    `judge(history, query, answer, allowed)` gives what is wrong with an answer.
    """

    value: Callable[[History, Query, Visit], Any]
    judge: Callable[[History, Query, Any, Allowed], Iterator[Finding]]
    shows: frozenset[str]


def _busy_value(history: History, query: Query, visit: Visit) -> Any:
    _, barber, day = query
    if visit.barber != barber or history.day_of(visit.start) != day:
        return None
    return _blocked(history, visit)


def _blocked(history: History, visit: Visit) -> tuple[int, int]:
    terms = history.services[visit.service]
    return visit.start - terms.before, visit.end + terms.after


def _visits_value(_: History, query: Query, visit: Visit) -> Any:
    return visit if visit.barber == query[1] else None


def _judge_shown(
    _history: History, _query: Query, answer: Mapping[int, Any], allowed: Allowed
) -> Iterator[Finding]:
    """Compare an answer that shows appointments by their ids."""
    for name, values in allowed.items():
        if answer.get(name) not in values:
            detail = f"appointment {name} is shown as {answer.get(name)}, allowed is {values}"
            yield Finding("stale", detail, (name,))
    for name in answer.keys() - allowed.keys():
        yield Finding("phantom", f"appointment {name} is shown as {answer[name]}", (name,))


def _free_value(history: History, query: Query, visit: Visit) -> Any:
    _, barber, _, day = query
    return _busy_value(history, ("busy", barber, day), visit)


@lru_cache(maxsize=100_000)
def _mask(starts: tuple[int, ...], around: tuple[int, int], blocked: tuple[int, int]) -> int:
    """Return, as bits, which slots a blocked interval takes."""
    before, after = around
    since, until = blocked
    return sum(
        1 << at
        for at, start in enumerate(starts)
        if start - before < until and since < start + after
    )


def _judge_free(
    history: History, query: Query, answer: Sequence[int], allowed: Allowed
) -> Iterator[Finding]:
    """A slot taken for certain is not offered; one not offered may be taken."""
    grid = history.grid[query]
    terms = history.services[int(query[2])]
    around = (terms.before, terms.duration + terms.after)
    taken: dict[int, int] = {}
    perhaps = 0
    for name, values in allowed.items():
        masks = [0 if value is None else _mask(grid, around, value) for value in values]
        certain = masks[0]
        for mask in masks:
            certain &= mask
            perhaps |= mask
        taken[name] = certain
    if not set(answer) <= set(grid):
        odd = sorted(set(answer) - set(grid))
        yield Finding("phantom", f"slots {odd} were never there", ())
        return
    offered = sum(1 << grid.index(start) for start in answer)
    for name, mask in taken.items():
        if offered & mask:
            yield Finding("stale", f"slots are offered that appointment {name} has taken", (name,))
    everything = (1 << len(grid)) - 1
    if hidden := everything & ~offered & ~perhaps:
        starts = [start for at, start in enumerate(grid) if hidden >> at & 1]
        yield Finding("stale", f"slots {starts} are free and not offered", tuple(allowed))


def _client_value(_: History, query: Query, visit: Visit) -> Any:
    return visit if visit.client == query[1] else None


def _judge_client(
    _history: History, _query: Query, answer: tuple[int, int, Visit | None], allowed: Allowed
) -> Iterator[Finding]:
    """The next appointment is the first of those to come (all are, here)."""
    _, name, shown = answer
    if shown is not None and shown not in allowed.get(name, ()):
        detail = f"the next is {name}: {shown}, allowed is {allowed.get(name)}"
        yield Finding("phantom" if name not in allowed else "stale", detail, (name,))
        return
    for other, values in allowed.items():
        sure = [value for value in values if value is not None]
        if len(sure) < len(values):
            continue
        if shown is None or all((one.start, other) < (shown.start, name) for one in sure):
            detail = f"the next is {name}: {shown}, and {other} is before it: {sure}"
            yield Finding("stale", detail, (other,))


JUDGES = {
    "free": Judge(_free_value, _judge_free, _HOLDING),
    "busy": Judge(_busy_value, _judge_shown, _HOLDING),
    "visits": Judge(_visits_value, _judge_shown, _TO_COME),
    "client": Judge(_client_value, _judge_client, _TO_COME),
}
