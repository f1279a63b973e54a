"""Make up a shop with a long history: as many appointments as asked for, in five years.

The importer's salon takes some six appointments a day from a barber, and its clients come and
go. Here a barber takes up to 28, and who comes at all comes all the time: a longer history is
then the same shop for longer, and can be cut off in front.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from io import StringIO
from random import Random
from zoneinfo import ZoneInfo

from rich.console import Console

from booking_service.importing.generator import GeneratorOptions, plan
from booking_service.importing.progress import reporting
from booking_service.importing.records import Appointment, Batch, Client, Payment, Refund, Shop
from booking_service.importing.writing import connected, write_in_batches

__all__ = ["BARBERS", "MONTHS", "MOST", "LongHistory", "long_history", "months_before", "write"]

BARBERS = 20
MONTHS = 60
MOST = 1_000_000
"""More do not fit between seven in the morning and nine at night."""
_OPENS = time(7)
_VISIT = timedelta(minutes=25)
_LAST = 14 * 60 - 25
"""Minutes from the first start of a day to the last."""
_VISITS_OF_A_CLIENT = 50
_BATCH = 20_000
# Running shares of what becomes of a visit, and shares of what goes along with it.
_STATUSES = ((0.87, "completed"), (0.91, "no_show"), (1.0, "cancelled"))
_WALK_INS, _FAILURES, _REFUNDS, _RETAIL = 0.05, 0.01, 0.015, 0.02
_RETAIL_PRICE = Decimal("18.50")


@dataclass(frozen=True, slots=True)
class LongHistory:
    """The whole of it: `appointments` on the local days [start, end)."""

    shop: Shop
    appointments: int
    start: date
    end: date

    def batches(self, since: date) -> Iterator[Batch]:
        """Make what happens from a day on, in order of time; always the same for the same day."""
        random = Random(1)  # noqa: S311 - it makes up rows, not secrets
        zone = ZoneInfo(self.shop.time_zone)
        decks = [_Deck(random, self.shop, barber) for barber in range(BARBERS)]
        days, each = (self.end - self.start).days, self.appointments // BARBERS
        batch = Batch()
        for number in range(each):
            past, part = divmod(number * days, each)
            day = self.start + timedelta(days=past)
            # One after the other through the day, on whole five minutes.
            start = datetime.combine(day, _OPENS, zone).astimezone(UTC) + timedelta(
                minutes=part * _LAST // each // 5 * 5
            )
            # What is too early is made all the same, for it takes its turn with chance.
            into = batch if day >= since else Batch()
            for deck in decks:
                deck.visit(start, into)
            if len(batch.appointments) >= _BATCH:
                yield batch
                batch = Batch()
        yield batch


class _Deck:
    """A barber's clients, who all come once before one of them comes again."""

    def __init__(self, random: Random, shop: Shop, barber: int) -> None:
        self._random, self._barber = random, barber
        # Everybody goes to two barbers, now to the one, now to the other.
        self._clients = [
            client
            for client in range(len(shop.clients))
            if barber in {client % BARBERS, (client + 1 + client // BARBERS) % BARBERS}
        ]
        self._waiting: list[int] = []
        self._services = [
            (offer.service, offer.price or shop.services[offer.service].price)
            for offer in shop.offers
            if offer.barber == barber
        ]

    def visit(self, start: datetime, batch: Batch) -> None:
        """Put the next client's visit into a batch, with its money."""
        random = self._random
        client = None if random.random() < _WALK_INS else self._next()
        service, price = random.choice(self._services)
        at = random.random()
        status = next(status for share, status in _STATUSES if at < share)
        end = start + _VISIT
        # Called off or not, it holds its time here: so many visits leave no gap.
        visit = Appointment(self._barber, service, client, status, start, end, start, end, price)
        batch.appointments.append(visit)
        if status == "completed" and price:
            self._pay(visit, batch)

    def _next(self) -> int:
        if not self._waiting:
            self._waiting = self._random.sample(self._clients, len(self._clients))
        return self._waiting.pop()

    def _pay(self, visit: Appointment, batch: Batch) -> None:
        random, position = self._random, len(batch.appointments) - 1
        paid = Payment(position, self._barber, visit.client, visit.price, visit.ends_at)
        if random.random() < _FAILURES:
            batch.payments.append(paid._replace(status="failed"))
        batch.payments.append(paid)
        if random.random() < _REFUNDS:
            payment = len(batch.payments) - 1
            later = visit.ends_at + timedelta(hours=1)
            batch.refunds.append(
                Refund(position, payment, self._barber, visit.client, visit.price / 2, later)
            )
        if random.random() < _RETAIL:
            batch.payments.append(paid._replace(appointment=None, amount=_RETAIL_PRICE))


def long_history(appointments: int, today: date) -> LongHistory:
    """Plan five years up to a day, that day included; the barbers share it all evenly.

    There is a client for every 50 appointments. ValueError: more appointments than fit.
    """
    if not BARBERS <= appointments <= MOST:
        message = f"appointments must be {BARBERS} to {MOST:,}, not {appointments:,}"
        raise ValueError(message)
    end = today + timedelta(days=1)
    start = months_before(end, MONTHS)
    noon = datetime.combine(today, time(12), UTC)
    shop = plan(GeneratorOptions(barbers=BARBERS, start=start, end=end), noon).shop
    number = max(BARBERS, appointments // _VISITS_OF_A_CLIENT)
    clients = [Client(f"Client {one}") for one in range(number)]
    return LongHistory(replace(shop, clients=clients), appointments, start, end)


async def write(database_url: str, history: LongHistory, since: date) -> int:
    """Write the shop with what happened from a day on, as the importer does; returns its id.

    The database is then vacuumed and analyzed, and its outbox is empty.
    """
    console = Console(file=StringIO())
    async with connected(database_url) as one, connected(database_url) as other:
        with reporting(console, "appointments", history.appointments) as advance:
            shop = await write_in_batches(one, other, history.shop, history.batches(since), advance)
        await one.execute("TRUNCATE outbox")
        await one.execute("VACUUM (ANALYZE)")
    return shop


def months_before(day: date, months: int) -> date:
    """Go back by calendar months; the 29th and later become the 28th, which each month has."""
    index = day.year * 12 + day.month - 1 - months
    return date(index // 12, index % 12 + 1, min(day.day, 28))
