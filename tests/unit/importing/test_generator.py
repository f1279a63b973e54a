"""A made-up salon: deterministic, without overlaps, within its own hours."""

from collections import Counter, defaultdict
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from booking_service.domain import day_bounds, local_midnight, open_time
from booking_service.importing.generator import GeneratorOptions, plan
from booking_service.importing.records import Appointment, Payment, Refund, Shop

NOW = datetime(2025, 11, 20, 15, 30, tzinfo=UTC)
SMALL = GeneratorOptions(barbers=3, months=3, months_ahead=1, seed=5)
Everything = tuple[Shop, list[Appointment], list[Payment], list[Refund]]


def everything(options: GeneratorOptions, now: datetime = NOW, size: int = 10**6) -> Everything:
    """Make a salon up, positions of money counted through over all batches."""
    made = plan(options, now)
    appointments: list[Appointment] = []
    payments: list[Payment] = []
    refunds: list[Refund] = []
    for batch in made.batches(size):
        at, paid = len(appointments), len(payments)
        appointments += batch.appointments
        payments += [
            each._replace(appointment=None if each.appointment is None else each.appointment + at)
            for each in batch.payments
        ]
        refunds += [
            each._replace(
                appointment=None if each.appointment is None else each.appointment + at,
                payment=None if each.payment is None else each.payment + paid,
            )
            for each in batch.refunds
        ]
    return made.shop, appointments, payments, refunds


def test_equal_seeds_give_equal_rows_whatever_the_batch_and_the_hour() -> None:
    """The same seed and local day give the same rows; another seed gives others."""
    first = everything(SMALL)
    assert everything(SMALL, NOW - timedelta(hours=9), size=7) == first
    assert everything(GeneratorOptions(barbers=3, months=3, months_ahead=1, seed=6)) != first


@pytest.mark.parametrize("zone", ["America/Toronto", "Asia/Kolkata", "Australia/Lord_Howe"])
def test_nobody_is_in_two_places_and_everyone_within_hours(zone: str) -> None:
    """Blocked intervals of a barber never overlap, and visits lie in open time of one day."""
    place = ZoneInfo(zone)
    shop, appointments, _, _ = everything(
        GeneratorOptions(barbers=4, months=8, months_ahead=2, time_zone=zone)
    )
    by_barber: dict[int, list[Appointment]] = defaultdict(list)
    for each in appointments:
        assert each.blocked_from <= each.starts_at < each.ends_at <= each.blocked_until
        if each.status != "cancelled":
            by_barber[each.barber].append(each)
    assert len(by_barber) == 4
    for barber, held in by_barber.items():
        held.sort(key=lambda each: each.starts_at)
        assert all(one.blocked_until <= two.blocked_from for one, two in pairwise(held))
        weeks = [week for week in shop.weeks if week.barber == barber]
        special = {each.day: each.periods for each in shop.special_days if each.barber == barber}
        away = [(each.starts_at, each.ends_at) for each in shop.time_off if each.barber == barber]
        assert away
        for each in held:
            day = each.starts_at.astimezone(place).date()
            weekly = max(
                (week for week in weeks if week.valid_from <= day),
                key=lambda week: week.valid_from,
            ).days[day.weekday()]
            opened = open_time(day, place, weekly, special.get(day), away)
            assert any(since <= each.starts_at and each.ends_at <= end for since, end in opened)


def test_what_lies_behind_has_happened_and_the_rest_is_ahead() -> None:
    """Statuses fit their side of today's midnight, and only pending ones hold until later."""
    _, appointments, payments, refunds = everything(SMALL)
    present = local_midnight(date(2025, 11, 20), ZoneInfo("America/Toronto"))
    sides = Counter((each.starts_at < present, each.status) for each in appointments)
    assert {status for past, status in sides if past} == {"completed", "no_show", "cancelled"}
    assert {status for past, status in sides if not past} == {
        "scheduled",
        "confirmed",
        "pending",
        "cancelled",
    }
    for each in appointments:
        assert (each.hold_until is not None) == (each.status == "pending")
        assert each.hold_until is None or each.hold_until > NOW
        assert each.created_at is not None
        assert each.created_at < min(each.starts_at, present)
    assert all(each.paid_at < present + timedelta(hours=1) for each in payments)
    assert refunds
    for refund in refunds:
        assert refund.payment is not None
        assert payments[refund.payment].appointment == refund.appointment
        assert 0 < refund.amount <= payments[refund.payment].amount
        assert refund.refunded_at > payments[refund.payment].paid_at


def test_start_and_end_are_kept_to_the_day() -> None:
    """With --start and --end nothing lies outside those local days, and both ends are used."""
    first, last = date(2025, 11, 1), date(2025, 11, 30)
    _, appointments, _, _ = everything(GeneratorOptions(start=first, end=last))
    zone = ZoneInfo("America/Toronto")
    days = {each.starts_at.astimezone(zone).date() for each in appointments}
    assert min(days) >= first
    assert max(days) < last
    assert max(days) - min(days) >= timedelta(days=25)
    assert day_bounds(first, zone)[0] <= min(each.starts_at for each in appointments)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"barbers": 0}, "barbers must be 1 to 10,000, not 0"),
        ({"months": 0}, "months must be 1 to 240, not 0"),
        ({"months_ahead": -1}, "months_ahead must be 0 to 240, not -1"),
        ({"organization_name": " "}, "organization_name must not be empty"),
        ({"time_zone": "Mars/Base"}, "'Mars/Base' is not a time zone"),
        ({"time_zone": "../etc/passwd"}, "is not a time zone"),
        ({"start": date(2025, 1, 2), "end": date(2025, 1, 2)}, "must lie before the end"),
    ],
)
def test_sizes_that_make_no_salon_are_refused(options: dict[str, object], reason: str) -> None:
    """A size, a zone or days that cannot be are named."""
    with pytest.raises(ValueError, match=reason.replace("(", "\\(")):
        plan(GeneratorOptions(**options), NOW)  # type: ignore[arg-type]
