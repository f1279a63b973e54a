"""Make a shop up: who works there, what they do, when, and for whom."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from random import Random
from zoneinfo import ZoneInfo

from booking_service.domain import Period
from booking_service.importing.records import (
    Client,
    Offer,
    Service,
    Shop,
    SpecialDay,
    TimeOff,
    Week,
)

__all__ = ["make_shop"]

_SERVICES = tuple(
    Service(name, category, duration, Decimal(price), before, after)
    for name, category, duration, price, before, after in (
        ("Haircut", "CUT", 30, "38.00", 0, 5),
        ("Skin fade", "CUT", 45, "46.00", 0, 5),
        ("Haircut and beard", "CUT", 60, "62.00", 0, 5),
        ("Long haircut", "CUT", 45, "68.00", 0, 10),
        ("Children's haircut", "CUT", 20, "26.00", 0, 0),
        ("Beard trim", "BEARD", 20, "22.50", 0, 0),
        ("Hot towel shave", "BEARD", 40, "44.00", 5, 5),
        ("Blow-dry", "STYLE", 30, "35.00", 0, 0),
        ("Updo", "STYLE", 60, "85.00", 0, 10),
        ("Root colour", "COLOR", 75, "92.00", 10, 10),
        ("Full colour", "COLOR", 120, "148.00", 10, 15),
        ("Consultation", "MISC", 15, "0.00", 0, 0),
    )
)
# fmt: off
_GIVEN = (
    "Ada", "Amir", "Anna", "Boris", "Bea", "Carl", "Chloe", "Dana", "Dev", "Ella", "Emil",
    "Farah", "Finn", "Gita", "Hugo", "Ines", "Ivan", "Jana", "Jonas", "Kim", "Lara", "Leo",
    "Mara", "Milo", "Nina", "Noah", "Olga", "Omar", "Pia", "Quinn", "Rosa", "Sam", "Tara", "Theo",
    "Uma", "Vera", "Will", "Yara", "Yusuf", "Zoe",
)
_FAMILY = (
    "Abbot", "Baker", "Castle", "Dorn", "Eriks", "Falk", "Garner", "Hill", "Ito", "Jansen",
    "Keller", "Lund", "Marsh", "Novak", "Okoye", "Pereira", "Quist", "Rossi", "Singh", "Tanner",
    "Ueda", "Vogel", "Weaver", "Xu", "York", "Zeman",
)
# fmt: on
_REASONS = ("Training", "Doctor", "Family", "Errand")
# A client comes about five times, and a barber-day has about six visits.
_CLIENTS_PER_BARBER_DAY = 1.2
_LEFT_OUT, _OWN_PRICE, _OWN_DURATION, _CHANGES_HOURS = 0.12, 0.2, 0.15, 0.3
_MONDAY, _SATURDAY, _SUNDAY = 0, 5, 6


def make_shop(
    random: Random,
    *,
    name: str,
    zone: ZoneInfo,
    currency: str,
    barbers: int,
    start: date,
    end: date,
) -> Shop:
    """Make a shop up whose hours hold from `start`; special days and time off reach to `end`."""
    clients = max(20, int(barbers * (end - start).days * _CLIENTS_PER_BARBER_DAY))
    return Shop(
        name=name,
        time_zone=zone.key,
        currency=currency,
        barbers=[_name(random, position) for position in range(barbers)],
        services=_SERVICES,
        offers=[offer for barber in range(barbers) for offer in _offers(random, barber)],
        clients=[_client(random, position) for position in range(clients)],
        weeks=[week for barber in range(barbers) for week in _weeks(random, barber, start, end)],
        special_days=[day for barber in range(barbers) for day in _special(barber, start, end)],
        time_off=[
            away for barber in range(barbers) for away in _away(random, barber, zone, start, end)
        ],
    )


def _name(random: Random, position: int) -> str:
    given = random.choice(_GIVEN)
    return f"{given} {_FAMILY[position % len(_FAMILY)]}"


def _client(random: Random, position: int) -> Client:
    name = f"{random.choice(_GIVEN)} {random.choice(_FAMILY)}"
    return Client(
        name=name,
        email=f"client{position + 1}@example.com",
        phone=f"+1 555 {random.randrange(200, 1000)} {random.randrange(10_000):04}",
    )


def _offers(random: Random, barber: int) -> Iterator[Offer]:
    """Offer nearly everything, some of it at a price or in a time of the barber's own."""
    for position, service in enumerate(_SERVICES):
        left_out, dearer, slower = random.random(), random.random(), random.random()
        # Nobody leaves the first one out: every barber has work.
        if position and left_out < _LEFT_OUT:
            continue
        price = service.price + random.choice((3, 5, 8)) if dearer < _OWN_PRICE else None
        duration = service.duration + random.choice((5, 10)) if slower < _OWN_DURATION else None
        yield Offer(barber, position, price if service.price else None, duration)


def _weeks(random: Random, barber: int, start: date, end: date) -> Iterator[Week]:
    """Keep one week all the time, or change it once about half way through."""
    yield Week(barber, start, _week(random))
    days = (end - start).days
    changes = random.random() < _CHANGES_HOURS
    change = random.randrange(days // 3, days // 3 * 2 + 1)
    if changes and change:
        yield Week(barber, start + timedelta(days=change), _week(random))


def _week(random: Random) -> tuple[tuple[Period, ...], ...]:
    opening = random.choice((8, 9, 9, 10, 10, 11)) * 60 + random.choice((0, 0, 30))
    closing = min(opening + random.choice((8, 8, 9, 10)) * 60, 21 * 60)
    lunch = random.choice((0, 30, 60))
    noon = opening + 4 * 60
    full: tuple[Period, ...] = ((opening, closing),)
    if lunch:
        full = ((opening, noon), (noon + lunch, closing))
    closed = {_SUNDAY, random.choice((_MONDAY, _MONDAY, 1, 2))}
    short: tuple[Period, ...] = ((opening, min(opening + 6 * 60, closing)),)
    return tuple(
        () if weekday in closed else short if weekday == _SATURDAY else full for weekday in range(7)
    )


def _special(barber: int, start: date, end: date) -> Iterator[SpecialDay]:
    """Close on New Year's Day and at Christmas, and close early on the eves."""
    for year in range(start.year, end.year + 1):
        for month, day, periods in (
            (1, 1, ()),
            (12, 24, ((9 * 60, 14 * 60),)),
            (12, 25, ()),
            (12, 31, ((9 * 60, 15 * 60),)),
        ):
            at = date(year, month, day)
            if start <= at < end:
                yield SpecialDay(barber, at, periods)


def _away(random: Random, barber: int, zone: ZoneInfo, start: date, end: date) -> Iterator[TimeOff]:
    """Take a holiday of a week or two about twice a year, and some hours off every month."""

    def instant(day: date, hour: int) -> datetime:
        return datetime.combine(day, time(hour), zone).astimezone(UTC)

    at = start + timedelta(days=random.randrange(20, 160))
    while at < end:
        days = random.choice((5, 7, 12, 14))
        yield TimeOff(barber, instant(at, 0), instant(at + timedelta(days=days), 0), "Holiday")
        at += timedelta(days=random.randrange(120, 220))
    at = start + timedelta(days=random.randrange(1, 30))
    while at < end:
        hour = random.randrange(9, 17)
        until = instant(at, hour) + timedelta(minutes=random.choice((60, 90, 180)))
        yield TimeOff(barber, instant(at, hour), until, random.choice(_REASONS))
        at += timedelta(days=random.randrange(15, 45))
