"""The few reads that the booking service answers from the database itself."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from zoneinfo import ZoneInfo

from sqlalchemy import Text, and_, cast, func, select
from sqlalchemy.exc import SQLAlchemyError

from booking_service.domain.opening import local_day
from booking_service.postgres import tables
from booking_service.use_cases.faults import raise_translated
from booking_service.use_cases.ports import Tokens, Unit, Units
from booking_service.use_cases.records import Appointment, shape
from service_kit.clock import Clock
from service_kit.errors import NotFound

__all__ = ["Reads"]


class Reads:
    """Read committed state over `units`. Raises ServiceError."""

    def __init__(self, units: Units, tokens: Tokens, clock: Clock) -> None:
        self._units = units
        self._tokens = tokens
        self._clock = clock

    async def appointment(
        self, organization_id: int, appointment_id: int
    ) -> tuple[Appointment, bytes]:
        """Read an appointment, and a token of the snapshot that it was seen in."""
        shop, table = tables.organizations, tables.appointments
        # The shop is joined from the left, so that an unknown one is told from an unknown booking.
        statement = (
            select(
                *(column for column in shape(table, Appointment, currency="")),
                shop.c.currency.label("shop_currency"),
                cast(func.pg_current_snapshot(), Text).label("snapshot"),
            )
            .select_from(
                shop.outerjoin(
                    table, and_(table.c.organization_id == shop.c.id, table.c.id == appointment_id)
                )
            )
            .where(shop.c.id == organization_id)
        )
        async with self._unit() as unit:
            row = (await unit.connection.execute(statement)).mappings().one_or_none()
            database = await unit.database()
        if row is None:
            raise NotFound("organization", organization_id)
        if row["id"] is None:
            raise NotFound("appointment", appointment_id)
        fields = dict(row)
        snapshot = fields.pop("snapshot")
        fields["currency"] = fields.pop("shop_currency")
        return Appointment(**fields), self._tokens.snapshot(database, snapshot)

    async def today(self, organization_id: int) -> date:
        """Tell the shop's local day."""
        table = tables.organizations
        async with self._unit() as unit:
            zone = await unit.connection.scalar(
                select(table.c.time_zone).where(table.c.id == organization_id)
            )
        if zone is None:
            raise NotFound("organization", organization_id)
        return local_day(self._clock.now(), ZoneInfo(zone))

    @asynccontextmanager
    async def _unit(self) -> AsyncIterator[Unit]:
        try:
            async with self._units() as unit:
                yield unit
        except (SQLAlchemyError, OSError) as error:
            raise_translated(error)
