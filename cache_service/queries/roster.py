"""Who offers what: the active barbers and the services that they offer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import text

from cache_service.invalidation.tags import BARBERS, SERVICES
from cache_service.queries.declare import LoadContext, cache_result
from service_kit.errors import NotFound

__all__ = ["Roster", "RosterArguments", "roster"]


@dataclass(frozen=True, slots=True)
class RosterArguments:
    """Whose roster."""

    organization_id: int


@dataclass(frozen=True, slots=True)
class Roster:
    """Every service in use, and by it the active barbers who offer it, in order of id."""

    barbers_by_service: dict[int, list[int]]

    @classmethod
    def of(cls, payload: bytes) -> Roster:
        """Read an entry's payload."""
        return cls({int(key): barbers for key, barbers in json.loads(payload).items()})


_SQL = text("""
    SELECT o.id, coalesce(
        (SELECT json_object_agg(s.id, coalesce(
            (SELECT json_agg(b.id ORDER BY b.id)
             FROM barber_services offer JOIN barbers b ON b.id = offer.barber_id
             WHERE offer.service_id = s.id AND offer.offered AND b.active
               AND b.organization_id = o.id), '[]'::json) ORDER BY s.id)
         FROM services s WHERE s.organization_id = o.id AND NOT s.deleted), '{}'::json)::text
    FROM organizations o WHERE o.id = ANY(:ids)
""")


def _tags(_arguments: RosterArguments) -> tuple[str, ...]:
    return BARBERS, SERVICES


@cache_result("roster", ttl=timedelta(hours=1), tags=_tags)
async def roster(context: LoadContext, arguments: Sequence[RosterArguments]) -> list[bytes]:
    """Load rosters; NotFound if the organization is not known."""
    ids = [one.organization_id for one in arguments]
    found = {
        organization_id: roster.encode()
        for organization_id, roster in await context.connection.execute(_SQL, {"ids": ids})
    }
    for organization_id in ids:
        if organization_id not in found:
            raise NotFound("organization", organization_id)
    return [found[organization_id] for organization_id in ids]
