"""The commands that every service has: serve and check-config."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from typing import Annotated, TypeAlias, TypeVar

import typer

from service_kit.adding_up import OverWorkers
from service_kit.process import Application, Runtime, run, run_worker, serve
from service_kit.settings import (
    MOST_WORKERS,
    ProcessSettings,
    SettingsError,
    WorkerSettings,
    check,
    describe,
    load,
    socket_path,
)
from service_kit.supervisor import cores, supervise
from service_kit.tracing import traces_wanted

__all__ = ["read_settings", "service_cli", "supervised_cli"]

T = TypeVar("T", bound=ProcessSettings)
W = TypeVar("W", bound=WorkerSettings)
Build: TypeAlias = Callable[[T, AsyncExitStack, Runtime], Awaitable[Application]]
Problems: TypeAlias = Callable[[T], Awaitable[list[str]]]


def read_settings(cls: type[T], further: Callable[[T], None] = lambda _settings: None) -> T:
    """Read the settings from the environment; exit 2 with a line for each wrong one.

    `further` raises SettingsError for what only the service can tell.
    """
    try:
        settings = load(cls, os.environ)
        further(settings)
        traces_wanted(os.environ)
    except SettingsError as error:
        typer.echo(error, err=True)
        raise typer.Exit(2) from None
    return settings


def service_cli(
    name: str, settings_of: Callable[[], T], build: Build[T], problems_of: Problems[T]
) -> typer.Typer:
    """Make the program of the service `name`, to which further commands may be added.

    `problems_of` tries what the settings name, and says in a line each what would not do.
    """
    cli = _checking_cli(name, settings_of, problems_of)

    @cli.command(name="serve")
    def serve_command() -> None:
        """Serve until SIGTERM or SIGINT."""
        sys.exit(_serve(name, settings_of(), build))

    return cli


def supervised_cli(
    name: str,
    settings_of: Callable[[], W],
    build: Build[W],
    problems_of: Problems[W],
    over_workers: OverWorkers,
) -> typer.Typer:
    """Make the program of a service that serves with one worker or several.

    As `service_cli`; `over_workers` says what becomes of its gauges.
    """
    cli = _checking_cli(name, settings_of, problems_of)

    @cli.command(name="serve")
    def serve_command(
        workers: Annotated[
            int | None,
            typer.Option(
                min=0,
                max=MOST_WORKERS,
                help="Processes that serve; 0: one for each core. In place of the setting.",
            ),
        ] = None,
        line: Annotated[int | None, typer.Option(hidden=True)] = None,
    ) -> None:
        """Serve until SIGTERM or SIGINT."""
        settings = settings_of()
        if line is not None:
            sys.exit(run_worker(name, settings, partial(build, settings), line))
        if workers is not None:
            settings = _with_workers(settings, workers)
        # A Unix socket is one process's alone.
        count = settings.workers or (cores() if socket_path(settings.listen) is None else 1)
        if count == 1:
            sys.exit(_serve(name, settings, build))
        supervising = partial(supervise, name, settings, count, over_workers)
        sys.exit(run(supervising, settings.log_level))

    return cli


def _with_workers(settings: W, workers: int) -> W:
    changed = settings.model_copy(update={"workers": workers})
    try:
        check(changed)
    except SettingsError as error:
        typer.echo(error, err=True)
        raise typer.Exit(2) from None
    return changed


def _serve(name: str, settings: T, build: Build[T]) -> int:
    async def main() -> None:
        await serve(name, settings, partial(build, settings))

    return run(main, settings.log_level)


def _checking_cli(name: str, settings_of: Callable[[], T], problems_of: Problems[T]) -> typer.Typer:
    cli = typer.Typer(
        help=f"The {name} service of Chairside.", no_args_is_help=True, add_completion=False
    )

    @cli.command(name="check-config")
    def check_config(
        *,
        quiet: Annotated[bool, typer.Option(help="Print errors only.")] = False,
        connect: Annotated[
            bool, typer.Option(help="Try what they name, too; exit 1 if any of it will not do.")
        ] = False,
    ) -> None:
        """Check the settings and print them, with secrets hidden; exit 2 if any is wrong."""
        settings = settings_of()
        if not quiet:
            for variable, value in describe(settings).items():
                typer.echo(f"{variable}={value}")
        if connect and (problems := asyncio.run(_awaited(problems_of(settings)))):
            typer.echo("\n".join(problems), err=True)
            raise typer.Exit(1)

    return cli


async def _awaited(work: Awaitable[list[str]]) -> list[str]:
    return await work
