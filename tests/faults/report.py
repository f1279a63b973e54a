"""What a run gave, in numbers."""

import os
import platform
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from tests.faults.rounds import Round
from tests.faults.schedule import Happened

__all__ = ["summary"]


def summary(
    rounds: Sequence[Round], metrics: Counter[str], logged: Sequence[str]
) -> dict[str, Any]:
    """Put the rounds together, with the services' own counters and the errors they logged.

    A call is one RPC; a read is one entry of its answer, judged by itself.
    """
    verdicts = [one.verdict for one in rounds]
    happened = [fault for one in rounds for fault in one.happened]
    calls: Counter[str] = Counter()
    proxies: Counter[str] = Counter()
    for one in rounds:
        calls += one.calls
        proxies |= one.proxies  # They count on from round to round.
    lags = sorted(lag for one in rounds for lag in one.lags)
    reads = sum(verdict.reads for verdict in verdicts)
    answered = calls["reads answered"]
    violations = [
        {"seed": one.seed} | asdict(violation)
        for one in rounds
        for violation in one.verdict.violations
    ]
    return {
        "cores": os.cpu_count(),
        "machine": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "seeds": [one.seed for one in rounds],
        "seconds": round(sum(one.seconds for one in rounds), 1),
        "operations": calls["reads"] + calls["writes"],
        "read_calls": calls["reads"],
        "read_calls_answered": answered,
        "read_calls_shed": calls["shed"],
        "read_calls_answered_within_5_ms": sum(one.near for one in rounds),
        "reads_checked": reads,
        "reads_answered_wholly_from_cache": sum(verdict.hits for verdict in verdicts),
        "reads_within_5_ms": sum(verdict.near for verdict in verdicts),
        "reads_within_5_ms_of_own_change": sum(verdict.near_own for verdict in verdicts),
        "reads_with_a_token": sum(verdict.tokens for verdict in verdicts),
        "reads_flagged_stale_as_allowed": sum(verdict.flagged for verdict in verdicts),
        "mutations": sum(verdict.writes for verdict in verdicts),
        "mutations_committed": sum(verdict.committed for verdict in verdicts),
        "mutations_acknowledged": sum(verdict.acknowledged for verdict in verdicts),
        "mutations_applied": sum(verdict.applied for verdict in verdicts),
        "committed_without_an_answer": sum(one.resolved for one in rounds),
        "days_of_totals_compared": sum(one.totals for one in rounds),
        "applied_after_healing_seconds": [round(lag, 3) for lag in lags],
        "quiet_spans_disturbed": sum(one.disturbed for one in rounds),
        "acknowledgement_seconds": _spread([wait for one in rounds for wait in one.waits]),
        "faults": len(happened),
        "faults_with_effect": sum(fault.effect > 0 for fault in happened),
        "faults_by_kind": _by_kind(happened),
        "violations": len(violations),
        "bound_95": 3 / reads if reads and not violations else None,
        "bound_95_of_calls": 3 / answered if answered and not violations else None,
        "seconds_of_checking": round(sum(one.checking for one in rounds), 1),
        "calls": dict(sorted(calls.items())),
        "proxies": dict(sorted(proxies.items())),
        "metrics": dict(sorted(metrics.items())),
        "logged_errors": len(logged),
        "kinds_of_logged_errors": dict(Counter(logged).most_common(20)),
        "first_violations": violations[:20],
    }


def _spread(values: list[float]) -> dict[str, float]:
    """Return where the middle and the far end of them are."""
    found = sorted(values) or [0.0]
    at = {"median": 0.5, "99th percentile": 0.99, "at most": 1.0}
    return {name: round(found[int(part * (len(found) - 1))], 4) for name, part in at.items()}


def _by_kind(happened: Iterable[Happened]) -> dict[str, dict[str, Any]]:
    faults: dict[str, dict[str, Any]] = defaultdict(
        lambda: {"times": 0, "with_effect": 0, "effect": 0, "longest_healing_seconds": 0.0}
    )
    for fault in happened:
        one = faults[fault.kind]
        one["times"] += 1
        one["with_effect"] += fault.effect > 0
        one["effect"] += fault.effect
        longest = max(one["longest_healing_seconds"], round(fault.healing, 3))
        one["longest_healing_seconds"] = longest
    return dict(sorted(faults.items()))
