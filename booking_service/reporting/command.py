"""`python -m booking_service report`: any report, for people or programs."""

from __future__ import annotations

import asyncio
import os
import sys
from enum import StrEnum
from io import StringIO
from pathlib import Path
from typing import Annotated

import typer
from google.protobuf.json_format import MessageToJson
from rich.console import Console

from booking_service.reporting.asking import (
    KINDS,
    Against,
    BadQuestion,
    GroupBy,
    NoAnswer,
    Question,
    ask,
)
from booking_service.reporting.composing import compose
from booking_service.reporting.page import render_page
from booking_service.reporting.table import print_report
from booking_service.settings import Settings
from chairside.cache.v1.cache_service_pb2 import GetAnalyticsRequest, GetAnalyticsResponse
from service_kit.clock import SystemClock
from service_kit.settings import secret_file
from service_kit.tls import TlsError, TlsFiles

__all__ = ["report"]

_WIDTH = 120
"""Of a table that goes into a file or a pipe, in characters."""
_PREFIX = Settings.prefix
_CACHE_TARGET = Settings.model_fields["cache_target"].default


class Format(StrEnum):
    """How a report is shown."""

    TABLE = "table"
    JSON = "json"
    HTML = "html"


def report(
    kind: Annotated[str, typer.Argument(metavar="KIND", help=f"One of {', '.join(KINDS)}.")],
    *,
    organization: Annotated[int, typer.Option(help="Whose shop, by id.")] = 1,
    barber: Annotated[int, typer.Option(help="Whose work, by id; 0: the whole shop.")] = 0,
    start: Annotated[
        str | None,
        typer.Option("--from", metavar="DATE", help="The first local day of the range."),
    ] = None,
    end: Annotated[
        str | None, typer.Option("--to", metavar="DATE", help="The day after the last.")
    ] = None,
    as_of: Annotated[
        str | None,
        typer.Option(metavar="DATE", help="The local day windows count back from; unset: today."),
    ] = None,
    group_by: Annotated[
        GroupBy | None, typer.Option(help="Of revenue: the periods; unset: days.")
    ] = None,
    against: Annotated[
        Against | None, typer.Option(help="Of a comparison: the period; unset: the month.")
    ] = None,
    target: Annotated[
        float | None,
        typer.Option(help="Of six_figure and dashboard: the yearly income aimed at."),
    ] = None,
    shop: Annotated[str | None, typer.Option(help="The shop's name, for the title.")] = None,
    format_: Annotated[Format, typer.Option("--format", help="How to show it.")] = Format.TABLE,
    output: Annotated[
        Path | None, typer.Option(dir_okay=False, help="A file to write; unset: standard output.")
    ] = None,
    max_staleness: Annotated[
        int | None,
        typer.Option(
            metavar="SECONDS",
            help="Take an answer up to so old, refreshed behind; for wall displays.",
        ),
    ] = None,
    cache_target: Annotated[
        str,
        typer.Option(
            envvar=f"{_PREFIX}CACHE_TARGET",
            metavar="HOST:PORT",
            help="Of the cache service.",
        ),
    ] = _CACHE_TARGET,
    cache_ca: Annotated[
        Path | None,
        typer.Option(envvar=f"{_PREFIX}CACHE_CA", help="Of its certificate; unset: no TLS."),
    ] = None,
    cache_certificate: Annotated[
        Path | None,
        typer.Option(envvar=f"{_PREFIX}CACHE_CERTIFICATE", help="To show it."),
    ] = None,
    cache_key: Annotated[
        Path | None, typer.Option(envvar=f"{_PREFIX}CACHE_KEY", help="Of that certificate.")
    ] = None,
) -> None:
    """Print a report of the cache service; exit 2 for a bad question, 1 without an answer.

    Its token is that of the booking service, from the environment as there.
    """
    tls = None if cache_ca is None else TlsFiles(cache_certificate, cache_key, cache_ca)
    question = Question(
        kind=kind,
        organization_id=organization,
        barber_id=barber,
        start=start,
        end=end,
        as_of=as_of,
        group_by=group_by,
        against=against,
        target=target,
        max_staleness=max_staleness,
    )
    try:
        request = question.request()
        response = asyncio.run(ask(cache_target, request, tls, _token()))
        _show(request, response, format_, output, shop)
    except BadQuestion as error:
        raise _failed(error, 2) from None
    except (NoAnswer, OSError, TlsError) as error:
        raise _failed(error, 1) from None


def _token() -> str:
    # Never an option: every user of the machine can read those.
    path = os.environ.get(f"{_PREFIX}CACHE_TOKEN_FILE")
    return secret_file(path) if path else os.environ.get(f"{_PREFIX}CACHE_TOKEN", "")


def _show(
    request: GetAnalyticsRequest,
    response: GetAnalyticsResponse,
    format_: Format,
    output: Path | None,
    shop: str | None,
) -> None:
    if format_ is Format.JSON:
        _write(_json(response), output)
        return
    shown = compose(request, response, made=SystemClock().now(), shop=shop)
    if format_ is Format.HTML:
        _write(render_page(shown), output)
    elif output is None:
        print_report(Console(width=None if sys.stdout.isatty() else _WIDTH), shown)
    else:
        page = StringIO()
        print_report(Console(file=page, width=_WIDTH), shown)
        _write(page.getvalue(), output)


def _json(response: GetAnalyticsResponse) -> str:
    """Tell zeros from what is absent: the former are written, too."""
    return (
        MessageToJson(
            response, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
        )
        + "\n"
    )


def _write(text: str, output: Path | None) -> None:
    if output is None:
        sys.stdout.write(text)
    else:
        output.write_text(text, encoding="utf-8")


def _failed(error: Exception, code: int) -> typer.Exit:
    typer.echo(error, err=True)
    return typer.Exit(code)
