"""The commands that every service has: serve and check-config."""

import os
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from typing import Annotated, TypeVar

import typer

from service_kit.process import Application, Runtime, run, serve
from service_kit.settings import ProcessSettings, SettingsError, describe, load

__all__ = ["read_settings", "service_cli"]

T = TypeVar("T", bound=ProcessSettings)


def read_settings(cls: type[T], check: Callable[[T], None] = lambda _settings: None) -> T:
    """Read the settings from the environment; exit 2 with a line for each wrong one.

    `check` raises SettingsError for what only the service can tell.
    """
    try:
        settings = load(cls, os.environ)
        check(settings)
    except SettingsError as error:
        typer.echo(error, err=True)
        raise typer.Exit(2) from None
    return settings


def service_cli(
    name: str,
    settings_of: Callable[[], T],
    build: Callable[[T, AsyncExitStack, Runtime], Awaitable[Application]],
) -> typer.Typer:
    """Make the program of the service `name`, to which further commands may be added."""
    cli = typer.Typer(
        help=f"The {name} service of Chairside.", no_args_is_help=True, add_completion=False
    )

    @cli.command(name="serve")
    def serve_command() -> None:
        """Serve until SIGTERM or SIGINT."""
        settings = settings_of()

        async def main() -> None:
            await serve(name, settings, partial(build, settings))

        sys.exit(run(main, settings.log_level))

    @cli.command(name="check-config")
    def check_config(
        *, quiet: Annotated[bool, typer.Option(help="Print errors only.")] = False
    ) -> None:
        """Check the settings and print them, with secrets hidden; exit 2 if any is wrong."""
        settings = settings_of()
        if not quiet:
            for variable, value in describe(settings).items():
                typer.echo(f"{variable}={value}")

    return cli
