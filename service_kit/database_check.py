"""What is wrong with a database, told before a service is started on it: all of it at once."""

from collections.abc import Callable, Mapping

import asyncpg

from service_kit.postgres import DATABASE_IDENTITY, FAULTS

__all__ = ["problems_of_database"]

_SECONDS = 5.0
_MISSING = """
SELECT format('role %s lacks %s on %s', current_user, privilege, name)
FROM unnest($1::text[], $2::text[]) AS asked (name, privileges)
CROSS JOIN string_to_table(privileges, ' ') AS privilege
WHERE NOT has_table_privilege(to_regclass(name), privilege)
"""


async def problems_of_database(
    url: str, rights: Mapping[str, str], outdated: Callable[[str | None], str | None]
) -> list[str]:
    """Connect as a service does, change nothing, and return a line for each problem.

    `rights` names the privileges that its role needs by table (`"SELECT DELETE"`);
    `outdated` says why a schema's revision will not do.
    """
    try:
        connection = await asyncpg.connect(url, timeout=_SECONDS, command_timeout=_SECONDS)
    except (*FAULTS, ValueError) as error:
        return [f"the database: {_said(error)}"]
    try:
        return await _problems(connection, rights, outdated)
    except FAULTS as error:
        return [f"the database: {_said(error)}"]
    finally:
        await connection.close(timeout=_SECONDS)


async def _problems(
    connection: asyncpg.Connection,
    rights: Mapping[str, str],
    outdated: Callable[[str | None], str | None],
) -> list[str]:
    if await connection.fetchval("SELECT pg_is_in_recovery()"):
        return ["the database is a standby: the primary is needed"]
    found = []
    try:
        await connection.fetchrow(DATABASE_IDENTITY)
    except asyncpg.InsufficientPrivilegeError as error:
        found.append(f"the database's identity: {error}")
    try:
        revision = await connection.fetchval("SELECT version_num FROM alembic_version")
    except asyncpg.UndefinedTableError:
        revision = None
    except asyncpg.InsufficientPrivilegeError as error:
        return [*found, f"the schema's revision: {error}"]
    missing = await connection.fetch(_MISSING, list(rights), list(rights.values()))
    found += [row[0] for row in missing]
    problem = outdated(revision)
    return found if problem is None else [*found, problem]


def _said(error: BaseException) -> str:
    return str(error) or type(error).__name__
