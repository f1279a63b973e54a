"""Judge a history: did any read miss what it had to show, or show what never was?"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.faults.history import History, Query, Read, Visit, Write
from tests.faults.judges import JUDGES, Finding
from tests.faults.money import judge_client_money, judge_revenue
from tests.faults.timeline import Due, Shown, Timeline, Timelines

__all__ = ["G2_SECONDS", "NEAR_SECONDS", "Verdict", "Violation", "check", "near_calls"]

G2_SECONDS = 2.5
"""After healing: the promise is about one second, and two busy cores need their time."""
NEAR_SECONDS = 0.005
_CACHED = {"NEAR", "REDIS"}


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken promise, with what is needed to look into it."""

    kind: str
    detail: str
    read: Read | None = None
    writes: tuple[Write, ...] = ()


@dataclass(slots=True)
class Verdict:
    """What the checker found; a read is one entry of an answer.

    `near` reads began within 5 ms of an acknowledgement, `near_own` of one that had changed
    the very entry; `tokens` carried a mutation's token, `flagged` came as stale to whom
    that will do: they count neither as hits nor as near.
    """

    violations: list[Violation] = field(default_factory=list)
    reads: int = 0
    hits: int = 0
    near: int = 0
    near_own: int = 0
    tokens: int = 0
    flagged: int = 0
    writes: int = 0
    committed: int = 0
    acknowledged: int = 0
    applied: int = 0


def check(history: History, *, bound: float = G2_SECONDS) -> Verdict:
    """Return the verdict on a history whose writes are all known to be committed or not."""
    verdict = Verdict()
    writes = [write for write in history.writes if write.committed]
    due = Due(history.quiet, bound)
    verdict.writes = len(history.writes)
    verdict.committed = len(writes)
    verdict.acknowledged = sum(write.acknowledged for write in writes)
    verdict.applied = sum(write.applied_at is not None for write in writes)
    makers = _makers(writes, verdict)
    acknowledged = _acknowledgements(writes)
    reads = defaultdict[Query, list[Read]](list)
    for read in sorted(history.reads, key=lambda one: one.started):
        reads[read.query].append(read)
        verdict.reads += 1
        verdict.hits += read.source in _CACHED and not read.flagged
        verdict.near += _is_near(read, acknowledged)
        verdict.tokens += read.after is not None
        verdict.flagged += read.flagged
        if read.flagged and not read.allowance:
            verdict.violations.append(Violation("flag", "it is called stale, and may not be", read))
    money = [write for write in writes if write.money is not None]
    for query, asked in reads.items():
        changed = _check_query(history, asked, makers, due, verdict)
        own: list[Write] = []
        findings: Iterable[tuple[Read, str, str]] = ()
        if query[0] == "revenue":
            own, findings = money, judge_revenue(asked, money, due)
        elif query[0] == "client":
            own = [write for write in money if write.money and write.money.client == query[1]]
            findings = judge_client_money(asked, own, due)
        verdict.violations += [Violation(kind, detail, read) for read, kind, detail in findings]
        changes = _acknowledgements([*changed, *own])
        verdict.near_own += sum(_is_near(read, changes) for read in asked)
    return verdict


def _acknowledgements(writes: Iterable[Write]) -> list[float]:
    return sorted(write.applied_at for write in writes if write.applied_at is not None)


def near_calls(history: History, started: Iterable[float]) -> int:
    """Count the calls, by their starts, that began within 5 ms of an acknowledgement."""
    acknowledged = _acknowledgements(history.writes)
    return sum(_is_after(acknowledged, start) for start in started)


def _is_near(read: Read, acknowledged: Sequence[float]) -> bool:
    return not read.flagged and _is_after(acknowledged, read.started)


def _is_after(acknowledged: Sequence[float], started: float) -> bool:
    at = bisect_right(acknowledged, started)
    return at > 0 and started - acknowledged[at - 1] <= NEAR_SECONDS


def _makers(writes: Iterable[Write], verdict: Verdict) -> dict[int, list[tuple[Write, Visit]]]:
    """Return each appointment's versions in order with their writes: each must have one."""
    found = defaultdict[int, list[tuple[Write, Visit]]](list)
    for write in writes:
        for appointment, visit in write.visits.items():
            found[appointment].append((write, visit))
    for appointment, versions in found.items():
        versions.sort(key=lambda one: one[1].version)
        numbers = [visit.version for _, visit in versions]
        if numbers != list(range(1, len(numbers) + 1)):
            verdict.violations.append(
                Violation(
                    "lost update",
                    f"appointment {appointment} has versions {numbers}",
                    writes=tuple(write for write, _ in versions),
                )
            )
    return found


def _check_query(
    history: History,
    reads: Sequence[Read],
    makers: dict[int, list[tuple[Write, Visit]]],
    due: Due,
    verdict: Verdict,
) -> list[Write]:
    """Judge all reads of one query, given in the order of their starts.

    Returns the writes that the query's answer depends on.
    """
    query = reads[0].query
    judge = JUDGES.get(str(query[0]))
    if judge is None:
        return []
    changed: list[Write] = []
    timelines: list[Timeline[Any]] = []
    for appointment, versions in makers.items():
        values = [
            judge.value(history, query, visit) if visit.status in judge.shows else None
            for _, visit in versions
        ]
        if any(value is not None for value in values):
            shown = [
                Shown(write.started, due(write), value)
                for (write, _), value in zip(versions, values, strict=True)
            ]
            timelines.append(Timeline(appointment, shown))
            changed += [
                write
                for (write, _), before, value in zip(
                    versions, [None, *values[:-1]], values, strict=True
                )
                if value != before
            ]
    all_of_them = Timelines(timelines)
    # Most reads ask between the same changes for the same answer: judge those once.
    known: dict[tuple[int, int, int, int], list[Finding]] = {}
    for read in reads:
        key = *all_of_them.moment(read.started, read.ended), id(read.answer), id(read.after)
        if (findings := known.get(key)) is None:
            seen = {} if read.after is None else read.after.visits
            least = {name: visit.version for name, visit in seen.items()}
            allowed = all_of_them.allowed(read.started, read.ended, least)
            findings = known[key] = list(judge.judge(history, query, read.answer, allowed))
        verdict.violations += [_violation(read, finding, makers) for finding in findings]
    return changed


def _violation(
    read: Read, finding: Finding, makers: dict[int, list[tuple[Write, Visit]]]
) -> Violation:
    concerned = {
        write.request_id: write
        for name in finding.appointments
        for write, _ in makers.get(name, ())
    }
    kind = finding.kind
    if concerned and kind == "phantom":
        kind = "stale"  # It was there once, or was changed since.
    return Violation(kind, finding.detail, read, tuple(concerned.values()))
