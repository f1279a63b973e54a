"""Which schema this version needs, for those who connect but do not migrate."""

from sqlalchemy import text

__all__ = ["REVISION", "REVISIONS", "outdated"]

REVISION = text("SELECT version_num FROM alembic_version")

REVISIONS = ("0001", "0002", "0003", "0003b", "0004")
"""Every migration of this version, in order; a test holds them against the files."""


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
