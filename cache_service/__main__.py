"""`python -m cache_service`: serve, check-config, audit, new-epoch, top."""

import service_kit.first_process  # before all that takes its time

# isort: split
import asyncio
import json
import time
from collections.abc import Coroutine
from functools import partial
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console

import service_kit.quiet  # noqa: F401 - before all that imports grpc
from cache_service.app import build, check
from cache_service.commands.audit import run_audit
from cache_service.commands.check import problems_of
from cache_service.commands.new_epoch import run_new_epoch
from cache_service.commands.tools import CommandError
from cache_service.commands.top import run_top, show_once
from cache_service.invalidation.rules import RULES_VERSION
from cache_service.settings import Settings
from cache_service.telemetry.measures import OVER_WORKERS
from service_kit.cli import read_settings, supervised_cli

__all__: list[str] = []

T = TypeVar("T")

_settings = partial(read_settings, Settings, check)

cli = supervised_cli("cache", _settings, build, problems_of, OVER_WORKERS)


@cli.command()
def audit(
    organization: Annotated[int, typer.Argument(min=1, help="Whose entries.")],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compare every live entry of an organization with the database; exit 1 if one is wrong.

    One that differs is looked at again after two seconds: it is wrong if it still hits then.
    """
    report = _run(run_audit(_settings(), organization))
    if as_json:
        typer.echo(json.dumps(report.as_json(), indent=2))
    else:
        # Else `:barber:` of a key is shown as a barber's pole.
        console = Console(markup=False, emoji=False, highlight=False)
        for part in report.shown():
            console.print(part, soft_wrap=True)
    raise typer.Exit(1 if report.mismatches else 0)


@cli.command(name="new-epoch")
def new_epoch(
    *,
    own_rules: Annotated[
        bool,
        typer.Option(
            help="Put this version's rules in force, too: after a newer version was taken back."
        ),
    ] = False,
) -> None:
    """Let no entry from before be a hit again: to be run after the database was restored."""
    rules = RULES_VERSION if own_rules else None
    _run(run_new_epoch(_settings(), typer.echo, rules=rules))


@cli.command()
def top(
    *,
    target: Annotated[
        str,
        typer.Option(envvar="CHAIRSIDE_CACHE_METRICS_LISTEN", help="Of the metrics, as host:port."),
    ] = Settings.model_fields["metrics_listen"].default,
    every: Annotated[float, typer.Option(min=0.1, help="Seconds between two pictures.")] = 2.0,
    once: Annotated[
        bool, typer.Option("--once", help="Print one picture, of all time since the start.")
    ] = False,
) -> None:
    """Show a running service in the terminal: its parts' health, hits, rates, times, loads."""
    console = Console(markup=False, emoji=False, highlight=False)
    try:
        if once:
            show_once(target, console, time.time)
        else:
            run_top(target, console, every, time.time, time.sleep)
    except CommandError as error:
        raise _failed(error) from None
    except KeyboardInterrupt:
        raise typer.Exit from None


def _run(work: Coroutine[Any, Any, T]) -> T:
    """Run a command to its end; exit 2 with a line if it cannot do what it should."""
    try:
        return asyncio.run(work)
    except CommandError as error:
        raise _failed(error) from None


def _failed(error: CommandError) -> typer.Exit:
    typer.echo(error, err=True)
    return typer.Exit(2)


if __name__ == "__main__":
    cli()
