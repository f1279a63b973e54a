"""The passwords of the roles that the two services connect as."""

from collections.abc import Mapping

import asyncpg

__all__ = ["set_passwords"]


async def set_passwords(database_url: str, passwords: Mapping[str, str]) -> None:
    """Let each role log in with its password; the URL's user must be allowed to say so.

    Raises:
        asyncpg.PostgresError: A role is not there, or not this user's to change.
    """
    connection = await asyncpg.connect(database_url)
    try:
        for role, password in passwords.items():
            # Quoted by the server: a role's password cannot be a parameter.
            statement = await connection.fetchval(
                "SELECT format('ALTER ROLE %I LOGIN PASSWORD %L', $1::text, $2::text)",
                role,
                password,
            )
            await connection.execute(statement)
    finally:
        await connection.close()
