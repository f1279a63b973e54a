"""A rota that is not ours: it gives a barber days off, and tells the cache.

    python -m examples.python.time_off CACHE DATABASE ORGANIZATION BARBER SERVICE DAY

It writes the booking database itself: a day off on DAY, then on the day after instead, then none.
After each commit it sends what it changed, before and after; from then on no reader is offered a
slot that is gone. It prints a line for each read. With `silent` as a last argument it tells nobody.
"""

import asyncio
import json
import sys
from datetime import date, timedelta

import asyncpg
import grpc
from google.type.date_pb2 import Date

from chairside.cache.v1.cache_service_pb2 import GetAvailabilityRequest, InvalidateRequest
from chairside.cache.v1.cache_service_pb2_grpc import CacheServiceStub
from chairside.cache.v1.events_pb2 import (
    SCHEDULE_PART_TIME_OFF,
    Event,
    ScheduleChange,
    ScheduleFacts,
)
from chairside.cache.v1.types_pb2 import Consistency, Source

__all__ = ["day_off"]

GIVE = """
    INSERT INTO time_off (organization_id, barber_id, starts_at, ends_at, reason)
    SELECT id, $2, $3::date::timestamp AT TIME ZONE time_zone,
        ($3::date + 1)::timestamp AT TIME ZONE time_zone, 'rota'
    FROM organizations WHERE id = $1
    RETURNING id
"""
MOVE = """
    UPDATE time_off SET starts_at = $2::date::timestamp AT TIME ZONE time_zone,
        ends_at = ($2::date + 1)::timestamp AT TIME ZONE time_zone
    FROM organizations WHERE time_off.id = $1 AND organizations.id = organization_id
"""
TAKE_BACK = "DELETE FROM time_off WHERE id = $1"
DAY = timedelta(days=1)


def day_off(organization: int, barber: int, old: date | None, new: date | None) -> Event:
    """Say which local day a day off was on before (None: on none), and is on now (None: none)."""

    def facts(day: date | None) -> ScheduleFacts | None:
        if day is None:
            return None
        on = Date(year=day.year, month=day.month, day=day.day)
        return ScheduleFacts(barber_id=barber, **{"from": on}, to=on)

    change = ScheduleChange(part=SCHEDULE_PART_TIME_OFF, old=facts(old), new=facts(new))
    return Event(organization_id=organization, schedule=change)


async def main(cache: str, database: str, *arguments: str) -> None:
    """Give a day off, move it, and take it back."""
    organization, barber, service = map(int, arguments[:3])
    first = date.fromisoformat(arguments[3])
    second = first + DAY
    silent = arguments[4:] == ("silent",)
    connection = await asyncpg.connect(database)
    channel = grpc.aio.insecure_channel(cache)
    stub = CacheServiceStub(channel)

    async def read(step: str, day: date, token: bytes = b"") -> None:
        request = GetAvailabilityRequest(
            organization_id=organization,
            barber_ids=[barber],
            service_id=service,
            start_date=Date(year=day.year, month=day.month, day=day.day),
        )
        if token:
            request.consistency.CopyFrom(Consistency(at_least_as_fresh=token))
        answer = await stub.GetAvailability(request, timeout=5)
        told = {"step": step, "slots": len(answer.barbers[0].slots)}
        print(json.dumps(told | {"source": Source.Name(answer.cache_info.source)}))

    async def tell(old: date | None, new: date | None) -> bytes:
        """Return once no process answers from before; a repeat is harmless."""
        if silent:
            return b""
        events = [day_off(organization, barber, old, new)]
        return (await stub.Invalidate(InvalidateRequest(events=events), timeout=5)).token

    for day in (first, second, first, second):
        await read("before", day)
    time_off = await connection.fetchval(GIVE, organization, barber, first)
    await tell(None, first)
    await read("off", first)

    await connection.execute(MOVE, time_off, second)
    token = await tell(first, second)
    # Any read that starts now sees it. The token is for whoever must not depend on that: a
    # reader that knows of the change before `tell` returned, or that allows staleness otherwise.
    await read("free again", first)
    await read("moved", second, token)

    await connection.execute(TAKE_BACK, time_off)
    await tell(second, None)
    await read("taken back", second)
    await channel.close()
    await connection.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
