"""Whether calls are traced: only if the usual variables of OpenTelemetry say so.

Else nothing of OpenTelemetry is imported, and no call passes through anything of it: what
is traced is decided once, when a process is put together.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

from service_kit.settings import SettingsError

if TYPE_CHECKING:
    # At run time only where it is wanted: it takes as long to import as all else.
    from service_kit.otel import Tracing

__all__ = ["POSTGRES", "REDIS", "open_tracing", "traced", "traces_wanted"]

POSTGRES: Mapping[str, str] = {"db.system.name": "postgresql"}
REDIS: Mapping[str, str] = {"db.system.name": "redis"}
"""What every span of a question to one of them has."""

T = TypeVar("T")

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")


def traces_wanted(environ: Mapping[str, str]) -> bool:
    """Tell whether traces are to be sent; SettingsError for a way that is not known here.

    An endpoint is enough. Off by OTEL_SDK_DISABLED=true or OTEL_TRACES_EXPORTER=none.
    """
    exporter = environ.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true" or exporter == "none":
        return False
    if not exporter and not any(environ.get(name) for name in _ENDPOINTS):
        return False
    problems = []
    if exporter not in {"", "otlp"}:
        problems.append(f"OTEL_TRACES_EXPORTER: {exporter} is not known here; otlp or none")
    problems += [
        f"{name}: must be grpc"
        for name in _PROTOCOLS
        if environ.get(name) not in {None, "", "grpc"}
    ]
    if problems:
        raise SettingsError(problems)
    return True


@asynccontextmanager
async def open_tracing(service: str, environ: Mapping[str, str]) -> AsyncIterator[Tracing | None]:
    """Send traces as `service`, unless OTEL_SERVICE_NAME names it; None: nothing is traced."""
    if not traces_wanted(environ):
        yield None
        return
    from service_kit.otel import Tracing  # noqa: PLC0415 - see above

    tracing = Tracing(service)
    try:
        yield tracing
    finally:
        await tracing.close()


def traced(kind: type[T], by: type[T], tracing: Tracing | None) -> type[T]:
    """Return `kind`, or in its place, where traces are wanted, `by` with that `tracing`."""
    return kind if tracing is None else type(kind.__name__, (by,), {"tracing": tracing})
