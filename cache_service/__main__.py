"""`python -m cache_service`: serve, check-config."""

from __future__ import annotations

import os
import sys
from functools import partial
from typing import Annotated

import typer

from cache_service.app import build, check_ttls
from cache_service.settings import Settings
from service_kit.process import run
from service_kit.process import serve as serve_process
from service_kit.settings import SettingsError, describe, load

__all__: list[str] = []

cli = typer.Typer(
    help="The cache service of Chairside.", no_args_is_help=True, add_completion=False
)


def _settings() -> Settings:
    try:
        settings = load(Settings, os.environ)
        check_ttls(settings)
    except SettingsError as error:
        typer.echo(error, err=True)
        raise typer.Exit(2) from None
    return settings


@cli.command()
def serve() -> None:
    """Serve until SIGTERM or SIGINT."""
    settings = _settings()

    async def main() -> None:
        await serve_process("cache", settings, partial(build, settings))

    sys.exit(run(main, settings.log_level))


@cli.command(name="check-config")
def check_config(
    *, quiet: Annotated[bool, typer.Option(help="Print errors only.")] = False
) -> None:
    """Check the settings and print them, with secrets hidden; exit 2 if any is wrong."""
    settings = _settings()
    if not quiet:
        for name, value in describe(settings).items():
            typer.echo(f"{name}={value}")


if __name__ == "__main__":
    cli()
