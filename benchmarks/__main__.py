"""`python -m benchmarks [NAME|all]`: measure, print, write the report.

Ends with 1 if a bound was not kept. The report is docs/benchmarks.md.
"""

import asyncio
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from benchmarks import analytics, hit, invalidate, members, memory, mutations, precision
from benchmarks.h2load import DriverError
from benchmarks.hit import HitError
from benchmarks.long_history import BARBERS, MOST
from benchmarks.plain import AnalyticsError
from benchmarks.precision import PrecisionError
from benchmarks.report import Section, show, write
from devstack.children import ChildError

__all__: list[str] = []

cli = typer.Typer(
    help="Measure, print, and write docs/benchmarks.md; end with 1 if a bound was not kept.",
    invoke_without_command=True,
    add_completion=False,
)
console = Console()

# Many short rounds: a disturbance from outside then hits both sides of a pair alike.
_HIT_ROUNDS, _HIT_CALLS = 40, 2000
_INVALIDATE_ROUNDS = 20
_MEMBER_ROUNDS = 10
_STRIDE = 6
_ANALYTICS_ROUNDS = 15

Rounds = Annotated[int, typer.Option(min=1, help="Rounds of each side; they take turns.")]


def _run(*benchmarks: Coroutine[Any, Any, Sequence[Section]]) -> None:
    met = True
    for benchmark in benchmarks:
        try:
            sections = asyncio.run(benchmark)
        except (DriverError, ChildError, AnalyticsError, HitError, PrecisionError) as error:
            console.print(str(error), style="red")
            raise typer.Exit(1) from None
        for section in sections:
            show(section, console)
            write(section)
            met = met and section.met
    raise typer.Exit(0 if met else 1)


@cli.command(name="hit")
def hit_command(
    rounds: Rounds = _HIT_ROUNDS,
    calls: Annotated[int, typer.Option(min=100, help="Calls of each round.")] = _HIT_CALLS,
) -> None:
    """Measure a cached GetAvailability against a bare gRPC echo of the same bytes."""
    _run(hit.measure(rounds, calls))


@cli.command(name="invalidate")
def invalidate_command(rounds: Rounds = _INVALIDATE_ROUNDS) -> None:
    """Measure Invalidate with few and with many entries cached."""
    _run(invalidate.measure(rounds))


@cli.command(name="members")
def members_command(rounds: Rounds = _MEMBER_ROUNDS) -> None:
    """Measure Invalidate by the number of processes that acknowledge it."""
    _run(members.measure(rounds))


@cli.command(name="memory")
def memory_command(
    calls: Annotated[int, typer.Option(min=1000, help="Calls to each service.")] = 100_000,
) -> None:
    """Measure what each service holds after many calls."""
    _run(memory.measure(calls))


@cli.command(name="mutations")
def mutations_command(rounds: Rounds = 9) -> None:
    """Measure what a mutation's events cost, against the bare insert."""
    _run(mutations.measure(rounds))


@cli.command(name="precision")
def precision_command(
    salon: Annotated[Path, typer.Option(help="A salon's books; generated if absent.")] = (
        precision.SALON
    ),
    stride: Annotated[int, typer.Option(min=1, help="Measure one day in so many.")] = _STRIDE,
) -> None:
    """Replay a salon's history, and count the answers that are dropped for nothing."""
    _run(precision.measure(salon, stride))


@cli.command(name="analytics")
def analytics_command(
    rounds: Rounds = _ANALYTICS_ROUNDS,
    appointments: Annotated[
        int, typer.Option(min=BARBERS, max=MOST, help="Of the shop, in five years.")
    ] = MOST,
) -> None:
    """Measure reports on a long history, and what keeping their totals costs."""
    _run(analytics.measure(appointments, rounds))


@cli.command(name="all")
def all_command() -> None:
    """Run every benchmark."""
    _run(
        hit.measure(_HIT_ROUNDS, _HIT_CALLS),
        invalidate.measure(_INVALIDATE_ROUNDS),
        members.measure(_MEMBER_ROUNDS),
        mutations.measure(9),
        precision.measure(precision.SALON, _STRIDE),
        analytics.measure(MOST, _ANALYTICS_ROUNDS),
        memory.measure(100_000),
    )


@cli.callback()
def default(context: typer.Context) -> None:
    """Run every benchmark, unless one is named."""
    if context.invoked_subcommand is None:
        all_command()


if __name__ == "__main__":
    cli()
