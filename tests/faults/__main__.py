"""`python -m tests.faults`: run load and faults for a while; exit 1 on a violation."""

import asyncio
import sys
import tempfile
from pathlib import Path
from random import Random
from time import monotonic
from typing import Annotated

import typer
from rich.console import Console

from tests.faults.cluster import Cluster
from tests.faults.load import Rates
from tests.faults.report import show, summary
from tests.faults.rounds import Round, play

_ROUND = 60.0


async def _run(directory: Path, seconds: float, seed: int, rates: Rates, output: Path) -> bool:
    console = Console()
    rounds: list[Round] = []
    async with Cluster(directory, Random(seed)) as cluster:  # noqa: S311 - seeded
        end = monotonic() + seconds
        while not rounds or end - monotonic() > _ROUND / 4:
            left = end - monotonic()
            one = await play(cluster, seed + len(rounds), min(_ROUND, left), rates)
            rounds.append(one)
            if left > _ROUND:
                console.print(
                    f"seed {one.seed}: {one.verdict.reads:,} reads, "
                    f"{len(one.happened)} faults, {len(one.verdict.violations)} violations"
                )
        found = summary(rounds, await cluster.metrics(), cluster.logged_errors())
        show(found, output, console)
    return not found["violations"]


def main(  # noqa: PLR0917 - its options
    seconds: Annotated[float, typer.Option(help="How long the load lasts.")] = 600.0,
    seed: Annotated[int, typer.Option(help="Of load, faults and delays.")] = 1,
    reads: Annotated[float, typer.Option(help="Reads a second, besides those woken.")] = 100.0,
    writes: Annotated[float, typer.Option(help="Mutations a second.")] = 12.0,
    woken: Annotated[int, typer.Option(help="Calls that an acknowledgement wakes, twice.")] = 8,
    output: Annotated[Path, typer.Option(help="Where the JSON goes.")] = Path("build/soak.json"),
) -> None:
    """Attack the system, and check what it answered."""
    rates = Rates(reads, writes, woken)
    with tempfile.TemporaryDirectory(prefix="chairside-faults-") as name:
        Path(name).chmod(0o755)  # Postgres may run as another user.
        held = asyncio.run(_run(Path(name), seconds, seed, rates, output))
    sys.exit(0 if held else 1)


if __name__ == "__main__":
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(main)
    app()
