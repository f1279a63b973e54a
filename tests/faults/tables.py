"""A run's numbers as tables: on the terminal, and in Markdown for the documentation."""

from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.table import Table

__all__ = ["as_markdown", "show"]

_SHOWN = 5
_BOUNDS = {
    "bound_95": "95 % bound (three divided by the reads)",
    "bound_95_of_calls": "95 % bound by calls (three divided by those answered)",
}


def show(found: dict[str, Any], console: Console) -> None:
    """Print what `summary` gave, with the first violations."""
    table = Table(title="Recorded histories under faults", show_header=False)
    for name, value in _lines(found):
        table.add_row(name, value)
    kinds = Table("fault", "times", "with effect", "effect", title="Faults by kind")
    for row in _kinds(found):
        kinds.add_row(*row)
    console.print(table)
    console.print(kinds)
    for violation in found["first_violations"][:_SHOWN]:
        console.print(violation, markup=False)


def as_markdown(found: dict[str, Any]) -> str:
    """Write what `summary` gave, and the command that repeats it, as two tables."""
    machine = f"{found['machine']}, {found['cores']} cores"
    parts = [f"`{found['command']}` on {machine}:", "", "| what | how much |", "| --- | --- |"]
    parts += [f"| {name} | {value} |" for name, value in _lines(found)]
    parts += ["", "| fault | times | with effect | effect |", "| --- | ---: | ---: | ---: |"]
    parts += [f"| {' | '.join(row)} |" for row in _kinds(found)]
    return "\n".join(parts) + "\n"


def _lines(found: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Give each number with its name; a bound as one in so many reads."""
    seeds = found["seeds"]
    yield "seeds", f"{seeds[0]} to {seeds[-1]}"
    yield "kinds of faults", str(len(found["faults_by_kind"]))
    for name, value in found.items():
        if name in _BOUNDS and value:
            yield _BOUNDS[name], f"{value:.2g}"
        elif name != "cores" and isinstance(value, int | float):
            yield name.replace("_", " "), f"{value:,}"
    spread = found["acknowledgement_seconds"].items()
    yield "acknowledgement", ", ".join(f"{name} {value} s" for name, value in spread)
    if lags := found["applied_after_healing_seconds"]:
        yield "applied after healing", f"median {lags[len(lags) // 2]} s, at most {lags[-1]} s"


def _kinds(found: dict[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    for kind, done in found["faults_by_kind"].items():
        yield kind, f"{done['times']:,}", f"{done['with_effect']:,}", f"{done['effect']:,}"
