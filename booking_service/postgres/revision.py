"""Which schema this version needs, for those who connect but do not migrate."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from service_kit.errors import ServiceError

__all__ = ["REVISION", "REVISIONS", "outdated", "until_migrated"]

REVISION = text("SELECT version_num FROM alembic_version")

REVISIONS = ("0001", "0002", "0003", "0003b", "0004", "0005")
"""Every migration of this version, in order; a test holds them against the files."""

_RETRY = 0.5
_FAULTS = (SQLAlchemyError, OSError, ServiceError)


async def until_migrated(
    ask: Callable[[], Awaitable[str | None]],
    log: Any,  # noqa: ANN401 - structlog's
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Wait until the database answers and has the schema of this version.

    `ask` reads its revision; the `log` is told why one waits, each reason once as long as it
    lasts; `sleep` is the pause between.
    """
    told = None
    while True:
        try:
            why = outdated(await ask())
        except _FAULTS as error:
            why = _said(error)
        if why is None:
            return
        if why != told:
            log.warning("waiting for the database", reason=why)
            told = why
        await sleep(_RETRY)


def _said(error: BaseException) -> str:
    """Return what the database or its driver said, without the statement, or the kind of error."""
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error) or type(error).__name__


def outdated(revision: str | None) -> str | None:
    """Say why a database of that revision cannot be served from; None if it can.

    One that is newer can: migrations leave alone what the version before them uses, since
    its processes go on until they are replaced.
    """
    if revision is None:
        return f"the database has no schema: migrate it to {REVISIONS[-1]}"
    if revision in REVISIONS[:-1]:
        return f"the database is at {revision}, and {REVISIONS[-1]} is needed: migrate it"
    return None
