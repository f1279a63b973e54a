"""The shop's settings, for callers that name no day."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import text

from cache_service.queries.declare import LoadContext, cache_result
from service_kit.errors import NotFound

__all__ = ["Shop", "ShopArguments", "shop_settings"]


@dataclass(frozen=True, slots=True)
class ShopArguments:
    """Which shop."""

    organization_id: int


@dataclass(frozen=True, slots=True)
class Shop:
    """The settings that decide what a day is and how far ahead booking goes."""

    time_zone: str
    horizon_days: int

    @classmethod
    def of(cls, payload: bytes) -> Shop:
        """Read an entry's payload."""
        return cls(**json.loads(payload))

    def today(self, now: datetime) -> date:
        """Return the shop's local day."""
        return now.astimezone(ZoneInfo(self.time_zone)).date()


def _tags(_arguments: ShopArguments) -> tuple[str, ...]:
    # Any change of the settings is a change of the scope tag, which every entry has.
    return ()


@cache_result("shop", ttl=timedelta(hours=1), tags=_tags)
async def shop_settings(context: LoadContext, arguments: Sequence[ShopArguments]) -> list[bytes]:
    """Load settings; NotFound if the organization is not known."""
    ids = [one.organization_id for one in arguments]
    rows = await context.connection.execute(
        text("SELECT id, time_zone, horizon_days FROM organizations WHERE id = ANY(:ids)"),
        {"ids": ids},
    )
    found = {
        row.id: json.dumps({"time_zone": row.time_zone, "horizon_days": row.horizon_days}).encode()
        for row in rows
    }
    for organization_id in ids:
        if organization_id not in found:
            raise NotFound("organization", organization_id)
    return [found[organization_id] for organization_id in ids]
