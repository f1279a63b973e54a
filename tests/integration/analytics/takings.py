"""Money at random, to be written by SQL."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

import asyncpg

from booking_service.importing.copying import take_ids

__all__ = ["MONEY", "Takings"]

_MINUTE = timedelta(minutes=1)
MONEY = ("organization_id", "appointment_id", "barber_id", "client_id", "amount")


class Takings:
    """Money taken, by anybody at work; not all of it arrives, and some goes back."""

    def __init__(self, organization_id: int, barbers: Sequence[int], random: Random) -> None:
        self._organization_id, self._barbers, self._random = organization_id, barbers, random
        self._payments: list[tuple[Any, ...]] = []
        self._refunds: list[tuple[Any, ...]] = []

    def take(self, appointment: int | None, client: int | None, at: datetime) -> None:
        """Take a payment; the refunds of some say less than there is to be known."""
        choose, org = self._random.choice, self._organization_id
        paid_at = at + choose((0, 0, 30, 24 * 60)) * _MINUTE
        amount = Decimal(self._random.randrange(1, 12_000)) / 100
        status = choose(("completed", "completed", "completed", "pending", "failed"))
        barber = choose(self._barbers)
        self._payments.append((org, appointment, barber, client, amount, paid_at, status))
        if self._random.random() < 0.4:
            amount = Decimal(self._random.randrange(1, 20_000)) / 100
            refunded_at = at + choose((0, 600, 40 * 24 * 60)) * _MINUTE
            of = choose((appointment, None)), choose(self._barbers), choose((client, None))
            payment = choose((len(self._payments) - 1, None))
            self._refunds.append((org, *of, amount, refunded_at, payment))

    async def write(self, connection: asyncpg.Connection) -> None:
        """Write all of it at once."""
        keys = await take_ids(connection, "payments", len(self._payments))
        await connection.copy_records_to_table(
            "payments",
            records=[(key, *row) for key, row in zip(keys, self._payments, strict=True)],
            columns=("id", *MONEY, "paid_at", "status"),
        )
        await connection.copy_records_to_table(
            "refunds",
            records=[
                (*row[:-1], None if row[-1] is None else keys[row[-1]]) for row in self._refunds
            ],
            columns=(*MONEY, "refunded_at", "payment_id"),
        )
