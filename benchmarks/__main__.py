"""`python -m benchmarks [NAME|all]`: measure, print, write the report.

Ends with 1 if a bound was not kept. The report is docs/benchmarks.md.
"""

import asyncio
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from benchmarks import (
    analytics,
    batches,
    client,
    compression,
    cost,
    fan_out,
    footprint,
    hit,
    hostile,
    invalidate,
    latency,
    members,
    memory,
    mutations,
    near,
    outages,
    peers,
    precision,
    workers,
)
from benchmarks.errors import BenchmarkError
from benchmarks.long_history import BARBERS, MOST
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
_HIT_ROUNDS, _HIT_CALLS = 100, 500
_INVALIDATE_ROUNDS = 25
_PEER_ROUNDS, _PEER_CALLS = 20, 320
_LATENCY_ROUNDS, _LATENCY_SECONDS = 6, 2.0
_COST_ROUNDS, _COST_CALLS = 20, 640
_KEYS = 100_000
_GOES = 50
_CLIENT_ROUNDS, _CLIENT_CALLS = 20, 2048
_NEAR_ROUNDS = 200
_BATCH_ROUNDS, _BATCH_CALLS = 40, 500
_MEMBER_ROUNDS = 10
_FAN_OUT_CALLS = 300
_WORKER_ROUNDS, _WORKER_CALLS = 9, 6_000
_STRIDE = 6
_ANALYTICS_ROUNDS = 15
_OUTAGES, _KILLS = 8, 20
_HOSTILE_SECONDS = 10.0

Rounds = Annotated[int, typer.Option(min=1, help="Rounds of each side; they take turns.")]


def _run(*benchmarks: Coroutine[Any, Any, Sequence[Section]], report: bool = True) -> None:
    met = True
    for benchmark in benchmarks:
        try:
            sections = asyncio.run(benchmark)
        except (BenchmarkError, ChildError) as error:
            console.print(str(error), style="red")
            raise typer.Exit(1) from None
        for section in sections:
            show(section, console)
            if report:
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


@cli.command(name="client")
def client_command(
    rounds: Rounds = _CLIENT_ROUNDS,
    calls: Annotated[int, typer.Option(min=256, help="Calls of each round.")] = _CLIENT_CALLS,
) -> None:
    """Measure the Python client: calls joined by tick against calls one by one."""
    _run(client.measure(rounds, calls))


@cli.command(name="near")
def near_command(rounds: Rounds = _NEAR_ROUNDS) -> None:
    """Measure hits in the Python client's near cache, which cost no call."""
    _run(near.measure(rounds))


@cli.command(name="members")
def members_command(rounds: Rounds = _MEMBER_ROUNDS) -> None:
    """Measure Invalidate by the number of processes that acknowledge it."""
    _run(members.measure(rounds))


@cli.command(name="fan_out")
def fan_out_command(
    calls: Annotated[int, typer.Option(min=100, help="Calls of each side.")] = _FAN_OUT_CALLS,
) -> None:
    """Reckon what an invalidation costs 1 to 128 processes, and Valkey."""
    _run(fan_out.measure(calls))


@cli.command(name="workers")
def workers_command(
    rounds: Rounds = _WORKER_ROUNDS,
    calls: Annotated[int, typer.Option(min=1000, help="Calls of each round.")] = _WORKER_CALLS,
) -> None:
    """Measure hits in memory with one worker and with two on one port."""
    _run(workers.measure(rounds, calls))


@cli.command(name="outages")
def outages_command(
    times: Annotated[int, typer.Option(min=1, help="How often each outage is.")] = _OUTAGES,
    kills: Annotated[int, typer.Option(min=1, help="Booking processes to be killed.")] = _KILLS,
) -> None:
    """Measure what mutations wait for in outages, and how soon is seen what was never told."""
    _run(outages.measure(times, kills))


@cli.command(name="hostile")
def hostile_command(
    seconds: Annotated[float, typer.Option(min=1, help="Of each attack.")] = _HOSTILE_SECONDS,
    only: Annotated[
        str, typer.Option(help="These attacks, as resets,messages; the report stays as it is.")
    ] = "",
) -> None:
    """Measure what a caller sees while another does harm, and what that costs in memory."""
    kinds = [kind.strip() for kind in only.split(",") if kind.strip()]
    _run(hostile.measure(seconds, kinds), report=not kinds)


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


@cli.command(name="peers")
def peers_command(
    rounds: Rounds = _PEER_ROUNDS,
    calls: Annotated[int, typer.Option(min=32, help="Gets of each round.")] = _PEER_CALLS,
) -> None:
    """Measure a get of ours against a get of other caches."""
    _run(peers.measure(rounds, calls))


@cli.command(name="latency")
def latency_command(
    rounds: Rounds = _LATENCY_ROUNDS,
    seconds: Annotated[float, typer.Option(min=0.5, help="Of each round.")] = _LATENCY_SECONDS,
) -> None:
    """Measure latency at fixed rates, with invalidations and without."""
    _run(latency.measure(rounds, seconds))


@cli.command(name="cost")
def cost_command(
    rounds: Rounds = _COST_ROUNDS,
    calls: Annotated[int, typer.Option(min=512, help="Calls of each round.")] = _COST_CALLS,
) -> None:
    """Measure a hit by the number of entries, callers and invalidations."""
    _run(cost.measure(rounds, calls))


@cli.command(name="footprint")
def footprint_command(
    keys: Annotated[int, typer.Option(min=20_000, help="Answers that are asked for.")] = _KEYS,
) -> None:
    """Measure what entries take, and that a process stays within its memory."""
    _run(footprint.measure(keys))


@cli.command(name="compression")
def compression_command(
    rounds: Annotated[int, typer.Option(min=1, help="Times that each is timed.")] = _GOES,
) -> None:
    """Measure what compressing entries would save, and what it would cost."""
    _run(compression.measure(rounds))


@cli.command(name="batches")
def batches_command(
    rounds: Rounds = _BATCH_ROUNDS,
    calls: Annotated[int, typer.Option(min=100, help="Calls of each round.")] = _BATCH_CALLS,
) -> None:
    """Measure many reads in one call against a call for each."""
    _run(batches.measure(rounds, calls))


@cli.command(name="all")
def all_command() -> None:
    """Run every benchmark."""
    _run(
        hit.measure(_HIT_ROUNDS, _HIT_CALLS),
        batches.measure(_BATCH_ROUNDS, _BATCH_CALLS),
        peers.measure(_PEER_ROUNDS, _PEER_CALLS),
        latency.measure(_LATENCY_ROUNDS, _LATENCY_SECONDS),
        cost.measure(_COST_ROUNDS, _COST_CALLS),
        footprint.measure(_KEYS),
        compression.measure(_GOES),
        invalidate.measure(_INVALIDATE_ROUNDS),
        client.measure(_CLIENT_ROUNDS, _CLIENT_CALLS),
        near.measure(_NEAR_ROUNDS),
        members.measure(_MEMBER_ROUNDS),
        outages.measure(_OUTAGES, _KILLS),
        workers.measure(_WORKER_ROUNDS, _WORKER_CALLS),
        hostile.measure(_HOSTILE_SECONDS),
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
