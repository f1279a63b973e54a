"""`python -m tests.faults`: run load and faults for a while.

Exits with 1 on a violation, and if it did not come to all that was to be seen.
"""

import asyncio
import json
import re
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from re import Pattern
from time import monotonic
from typing import Annotated

import typer
from rich.console import Console

from devstack.children import ChildError
from tests.faults.cluster import Cluster
from tests.faults.load import Rates
from tests.faults.report import summary
from tests.faults.rounds import Round, play
from tests.faults.tables import as_markdown, show

_ROUND = 60.0
_SHORTEST = 15.0
_LONGEST = 6
"""Times what was asked for: a busy machine comes to less in the same time."""
_MOST_GIVEN_UP = 3
_NEAR = 10
"""One in so many reads is to begin within 5 ms of an acknowledgement."""


@dataclass(frozen=True, slots=True)
class _Run:
    """What was asked for."""

    seconds: float
    reads: int
    faults: int
    seed: int
    rates: Rates
    kinds: Pattern[str]
    workers: int
    output: Path
    markdown: Path | None

    @property
    def command(self) -> str:
        """The command that repeats it."""
        rates = self.rates
        return (
            f"python -m tests.faults --seconds {self.seconds:g} --seed {self.seed}"
            f" --reads {rates.reads:g} --writes {rates.writes:g} --woken {rates.woken}"
            f" --workers {self.workers} --least {self.reads} --least-faults {self.faults}"
        )

    def missed(self, rounds: Sequence[Round]) -> list[str]:
        """Say of what there is less yet than was asked for."""
        happened = [fault for one in rounds for fault in one.happened]
        return [
            f"{found:,} {what} instead of {least:,}"
            for what, found, least in (
                ("reads checked", sum(one.verdict.reads for one in rounds), self.reads),
                (
                    "reads within 5 ms of an acknowledgement",
                    sum(one.verdict.near for one in rounds),
                    self.reads // _NEAR,
                ),
                ("faults with effect", sum(one.effect > 0 for one in happened), self.faults),
            )
            if found < least
        ]


async def _run(directory: Path, run: _Run) -> bool:
    console = Console()
    rounds, given_up = list[Round](), list[str]()
    began = monotonic()
    while True:
        own = directory / f"cluster-{len(given_up)}"
        try:
            async with Cluster(own, Random(run.seed), workers=run.workers) as cluster:  # noqa: S311 - seeded
                await _rounds(cluster, run, console, rounds, began)
                found = summary(rounds, await cluster.metrics(), cluster.logged_errors())
            break
        except ChildError as error:
            # A process that does not come up ends its round unjudged; the next has new ones.
            given_up.append(str(error))
            console.print(f"a round was given up: {error}", markup=False)
            if len(given_up) > _MOST_GIVEN_UP:
                raise
    missed = run.missed(rounds)
    found |= {"command": run.command, "rounds_given_up": given_up, "missed": missed}
    run.output.parent.mkdir(parents=True, exist_ok=True)
    run.output.write_text(json.dumps(found, indent=2, default=str) + "\n")
    show(found, console)
    console.print(f"written to {run.output}")
    if run.markdown is not None:
        run.markdown.write_text(as_markdown(found))
    for what in (*missed, *(f"a round was given up: {reason}" for reason in given_up)):
        console.print(what, style="red", markup=False)
    return not (found["violations"] or missed or given_up)


async def _rounds(
    cluster: Cluster, run: _Run, console: Console, rounds: list[Round], began: float
) -> None:
    """Add rounds until there was as much as was asked for."""
    while True:
        past = monotonic() - began
        left = run.seconds - past
        if left < _SHORTEST:
            if rounds and (not run.missed(rounds) or past > _LONGEST * run.seconds):
                return
            left = _SHORTEST
        one = await play(cluster, run.seed + len(rounds), min(_ROUND, left), run.rates, run.kinds)
        rounds.append(one)
        console.print(
            f"seed {one.seed}: {one.verdict.reads:,} reads, {len(one.happened)} faults,"
            f" {len(one.verdict.violations)} violations"
        )


def main(  # noqa: PLR0917 - its options
    seconds: Annotated[float, typer.Option(help="How long the load lasts.")] = 600.0,
    least: Annotated[
        int,
        typer.Option(help="Go on, up to six times as long, for so many reads, a tenth near."),
    ] = 0,
    least_faults: Annotated[
        int, typer.Option(help="As well for so many faults that had an effect.")
    ] = 0,
    seed: Annotated[int, typer.Option(help="Of load, faults and delays.")] = 1,
    reads: Annotated[float, typer.Option(help="Calls a second, besides those woken.")] = 110.0,
    writes: Annotated[float, typer.Option(help="Mutations a second.")] = 12.0,
    woken: Annotated[int, typer.Option(help="Calls that an acknowledgement wakes, twice.")] = 8,
    faults: Annotated[str, typer.Option(help="Which kinds: a regular expression.")] = ".",
    workers: Annotated[int, typer.Option(min=1, help="Of the second cache service.")] = 2,
    output: Annotated[Path, typer.Option(help="Where the JSON goes.")] = Path("build/soak.json"),
    markdown: Annotated[Path | None, typer.Option(help="Where a table for readers goes.")] = None,
) -> None:
    """Attack the system, and check what it answered."""
    rates = Rates(reads, writes, woken)
    run = _Run(
        seconds, least, least_faults, seed, rates, re.compile(faults), workers, output, markdown
    )
    with tempfile.TemporaryDirectory(prefix="chairside-faults-") as name:
        Path(name).chmod(0o755)  # Postgres may run as another user.
        held = asyncio.run(_run(Path(name), run))
    sys.exit(0 if held else 1)


if __name__ == "__main__":
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(main)
    app()
