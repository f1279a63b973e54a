"""The results of a run: a table for people, JSON for everything else."""

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.faults.rounds import Round

__all__ = ["show", "summary"]


def summary(
    rounds: Sequence[Round], metrics: Counter[str], logged: Sequence[str]
) -> dict[str, Any]:
    """Put the rounds together, with the services' own counters and the errors they logged."""
    verdicts = [one.verdict for one in rounds]
    happened = [fault for one in rounds for fault in one.happened]
    faults: dict[str, dict[str, Any]] = defaultdict(
        lambda: {"times": 0, "effect": 0, "longest_healing_seconds": 0.0}
    )
    for fault in happened:
        faults[fault.kind]["times"] += 1
        faults[fault.kind]["effect"] += fault.effect
        longest = max(faults[fault.kind]["longest_healing_seconds"], round(fault.healing, 3))
        faults[fault.kind]["longest_healing_seconds"] = longest
    calls: Counter[str] = Counter()
    proxies: Counter[str] = Counter()
    for one in rounds:
        calls += one.calls
        proxies |= one.proxies  # They count on from round to round.
    lags = sorted(lag for one in rounds for lag in one.lags)
    reads = sum(verdict.reads for verdict in verdicts)
    violations = [
        {"seed": one.seed} | asdict(violation)
        for one in rounds
        for violation in one.verdict.violations
    ]
    return {
        "seeds": [one.seed for one in rounds],
        "seconds": round(sum(one.seconds for one in rounds), 1),
        "operations": calls["reads"] + calls["writes"],
        "reads_checked": reads,
        "reads_from_cache": sum(verdict.hits for verdict in verdicts),
        "reads_within_5_ms": sum(verdict.near for verdict in verdicts),
        "mutations": sum(verdict.writes for verdict in verdicts),
        "mutations_committed": sum(verdict.committed for verdict in verdicts),
        "mutations_acknowledged": sum(verdict.acknowledged for verdict in verdicts),
        "mutations_applied": sum(verdict.applied for verdict in verdicts),
        "committed_without_an_answer": sum(one.resolved for one in rounds),
        "applied_after_healing_seconds": [round(lag, 3) for lag in lags],
        "faults": len(happened),
        "faults_by_kind": dict(sorted(faults.items())),
        "violations": len(violations),
        "bound_95": 3 / reads if reads and not violations else None,
        "calls": dict(sorted(calls.items())),
        "proxies": dict(sorted(proxies.items())),
        "metrics": dict(sorted(metrics.items())),
        "logged_errors": len(logged),
        "kinds_of_logged_errors": dict(Counter(logged).most_common(20)),
        "first_violations": violations[:20],
    }


def show(found: dict[str, Any], path: Path, console: Console) -> None:
    """Write the JSON and print the table."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found, indent=2, default=str) + "\n")
    table = Table(title="Recorded histories under faults", show_header=False)
    for name, value in found.items():
        if isinstance(value, int | float) and not isinstance(value, bool):
            table.add_row(name.replace("_", " "), f"{value:,}" if value >= 1 else f"{value:.2g}")
    lags = found["applied_after_healing_seconds"]
    if lags:
        middle, worst = lags[len(lags) // 2], lags[-1]
        table.add_row("applied after healing", f"median {middle} s, at most {worst} s")
    kinds = Table("fault", "times", "effect", title="Faults by kind")
    for kind, done in found["faults_by_kind"].items():
        kinds.add_row(kind, str(done["times"]), f"{done['effect']:,}")
    console.print(table)
    console.print(kinds)
    for violation in found["first_violations"]:
        console.print(violation, markup=False)
    console.print(f"written to {path}")
