"""What both services must say to Postgres in the same words."""

from sqlalchemy import URL, make_url

__all__ = ["DATABASE_IDENTITY", "async_url"]

# The database's name in tokens, and a snapshot of now. By system identifier and timeline:
# that of the log that is written, since the control file's lags after a promotion. What one
# service names here, the other compares.
DATABASE_IDENTITY = """
SELECT system_identifier::text || '-' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8),
       pg_current_snapshot()::text
FROM pg_control_system()
"""


def async_url(url: str) -> URL:
    """Turn a `postgresql://` URL into one that names the asyncpg driver.

    Raises:
        ValueError: The URL is of another database.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() not in {"postgres", "postgresql"}:
        message = f"not a postgresql:// URL: {parsed.render_as_string(hide_password=True)}"
        raise ValueError(message)
    return parsed.set(drivername="postgresql+asyncpg")
