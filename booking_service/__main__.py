"""`python -m booking_service`: serve, check-config, migrate, totals, report, ..."""

import service_kit.first_process  # before all that takes its time

# isort: split
import asyncio
from collections.abc import Coroutine
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import asyncpg
import typer
from sqlalchemy.exc import DBAPIError

import service_kit.quiet  # noqa: F401 - before all that imports grpc
from booking_service.app import build
from booking_service.checking import problems_of
from booking_service.importing import commands
from booking_service.importing.generator import GeneratorOptions
from booking_service.importing.problems import BadBooks
from booking_service.postgres.migrate import NewerDatabaseError, upgrade
from booking_service.postgres.roles import set_passwords
from booking_service.postgres.totals import check, rebuild
from booking_service.reporting.command import report
from booking_service.settings import Settings
from service_kit.cli import read_settings, service_cli
from service_kit.clock import SystemClock

__all__: list[str] = []

_DEFAULTS = GeneratorOptions()
_settings = partial(read_settings, Settings)

_Shop = Annotated[int | None, typer.Option(min=1, help="Only this one; else all.")]

cli = service_cli("booking", _settings, build, problems_of)
totals = typer.Typer(help="The totals of clients that reports are made of.", no_args_is_help=True)
cli.add_typer(totals, name="totals")
cli.command()(report)


@cli.command()
def migrate() -> None:
    """Bring the database to the newest schema; its URL must be that of the tables' owner."""
    settings = _settings()
    passwords = {
        role: secret.get_secret_value()
        for role, secret in (
            ("chairside_booking", settings.role_password),
            ("chairside_cache", settings.cache_role_password),
        )
        if secret is not None
    }
    try:
        upgrade(settings.database_url, tell=typer.echo)
        asyncio.run(set_passwords(settings.database_url, passwords))
    except (NewerDatabaseError, DBAPIError, asyncpg.PostgresError, OSError) as error:
        raise _failed(error) from None
    typer.echo("the database has the newest schema")


@cli.command(name="import-salon")
def import_salon(
    directory: Annotated[
        Path, typer.Argument(help="The salon's books.", exists=True, file_okay=False)
    ],
    *,
    name: Annotated[str, typer.Option(help="The organization's name; empty: the folder's.")] = "",
) -> None:
    """Import a salon's books as a new organization: all of them, or nothing."""
    settings = _settings()
    _finish(commands.import_salon(settings.database_url, directory, name=name or None))


@cli.command()
def generate(
    *,
    barbers: Annotated[int, typer.Option(help="How many barbers.")] = _DEFAULTS.barbers,
    months: Annotated[int, typer.Option(help="Months of past.")] = _DEFAULTS.months,
    months_ahead: Annotated[
        int, typer.Option(help="Months of bookings to come.")
    ] = _DEFAULTS.months_ahead,
    seed: Annotated[int, typer.Option(help="Equal seeds make equal salons.")] = _DEFAULTS.seed,
    name: Annotated[
        str, typer.Option(help="The organization's name.")
    ] = _DEFAULTS.organization_name,
    time_zone: Annotated[str, typer.Option(help="An IANA zone.")] = _DEFAULTS.time_zone,
    currency: Annotated[str, typer.Option(help="ISO 4217.")] = _DEFAULTS.currency,
) -> None:
    """Make up a salon as a new organization, around today by CHAIRSIDE_CLOCK_START."""
    settings = _settings()
    try:
        options = GeneratorOptions(
            barbers=barbers,
            months=months,
            months_ahead=months_ahead,
            seed=seed,
            organization_name=name,
            time_zone=time_zone,
            currency=currency,
        )
    except ValueError as error:
        raise _failed(error) from None
    now = SystemClock(settings.clock_start).now()
    _finish(commands.generate(settings.database_url, options, now=now))


@totals.command(name="check")
def check_totals(*, organization: _Shop = None) -> None:
    """Compare the totals with bookings and money; exit 1 with a line for each difference."""
    url, found = _settings().database_url, 0

    def tell(difference: object) -> None:
        nonlocal found
        found += 1
        typer.echo(difference, err=True)

    _finish(check(url, organization, tell))
    if found:
        typer.echo(f"{found:,} totals are not what bookings and money say", err=True)
        raise typer.Exit(1)
    typer.echo("the totals are what bookings and money say")


@totals.command(name="rebuild")
def rebuild_totals(*, organization: _Shop = None) -> None:
    """Count the totals anew, shop by shop; readers see the old ones until then."""
    _finish(rebuild(_settings().database_url, organization))
    typer.echo("the totals are counted anew")


def _finish(loading: Coroutine[Any, Any, object]) -> None:
    try:
        asyncio.run(loading)
    except (BadBooks, ValueError, asyncpg.PostgresError, OSError) as error:
        raise _failed(error) from None


def _failed(error: Exception) -> typer.Exit:
    typer.echo(f"{type(error).__name__}: {error}" if not str(error) else str(error), err=True)
    return typer.Exit(1)


if __name__ == "__main__":
    cli()
