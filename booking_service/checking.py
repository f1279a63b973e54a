"""`check-config --connect`: what would keep the service from serving, all of it at once."""

import asyncio

from booking_service.postgres.revision import outdated
from booking_service.postgres.tables import metadata
from booking_service.settings import Settings
from service_kit.database_check import problems_of_database
from service_kit.health_probe import probe

__all__ = ["RIGHTS", "problems_of"]

RIGHTS = dict.fromkeys(
    set(metadata.tables) - {"authority", "members"}, "SELECT INSERT UPDATE DELETE"
) | {
    "alembic_version": "SELECT",
    "client_days": "SELECT",
    "client_totals": "SELECT",
    "outbox": "SELECT DELETE",
}
"""What the service's role must be allowed, by table."""


async def problems_of(settings: Settings) -> list[str]:
    """Try the database as the service would use it, and ask for the cache service's health."""
    tls = settings.cache_tls
    credentials = None if tls is None else tls.read().channel()
    database, health = await asyncio.gather(
        problems_of_database(settings.database_url, RIGHTS, outdated),
        asyncio.to_thread(probe, settings.cache_target, credentials=credentials),
    )
    if health == "SERVING":
        return database
    return [*database, f"the cache service at {settings.cache_target}: {health}"]
