"""What the fields of requests may be, and what is said of those that may not."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp
from google.type.date_pb2 import Date
from google.type.money_pb2 import Money
from google.type.timeofday_pb2 import TimeOfDay
from hypothesis import given
from hypothesis import strategies as st

from chairside.cache.v1.types_pb2 import LocalPeriod
from service_kit import values
from service_kit.errors import InvalidArgument
from service_kit.validation import MAX_MONEY, Violations


def test_all_wrong_fields_are_named_at_once() -> None:
    """The error has each of them, in the order found; what was right is returned."""
    found = Violations()
    assert found.id("organization_id", 3) == 3
    found.id("barber_id", 0)
    found.id("service_id", -1)
    assert found.uuid("request_id", "not one") is None
    assert found.time_zone("time_zone", "America/New_York") == "America/New_York"
    assert found.time_zone("zone", "Mars/Olympus") is None
    with pytest.raises(InvalidArgument) as caught:
        found.raise_if_any()
    assert [violation.field for violation in caught.value.violations] == [
        "barber_id",
        "service_id",
        "request_id",
        "zone",
    ]


def test_nothing_wrong_raises_nothing() -> None:
    """The control."""
    found = Violations()
    assert found.optional_id("client_id", 0) is None
    found.raise_if_any()
    assert not found


@pytest.mark.parametrize(
    ("message", "day"),
    [
        (Date(year=2024, month=2, day=29), date(2024, 2, 29)),
        (Date(year=2023, month=2, day=29), None),
        (Date(year=2023, month=2), None),
        (Date(), None),
        (Date(year=1899, month=12, day=31), None),
        (Date(year=2200, month=12, day=31), date(2200, 12, 31)),
        (Date(year=2201, month=1, day=1), None),
        (Date(year=-5, month=1, day=1), None),
    ],
)
def test_days_are_days_of_the_calendar(message: Date, day: date | None) -> None:
    """Real days of the years 1900 to 2200."""
    found = Violations()
    assert found.date("day", message, has=True) == day
    assert bool(found) == (day is None)


@pytest.mark.parametrize(
    ("message", "instant"),
    [
        (Timestamp(seconds=0), datetime(1970, 1, 1, tzinfo=UTC)),
        (Timestamp(seconds=61), None),
        (Timestamp(seconds=60, nanos=1), None),
        (Timestamp(seconds=60, nanos=-1), None),
        (Timestamp(seconds=2**62), None),
        (Timestamp(seconds=-(2**62)), None),
    ],
)
def test_instants_are_whole_minutes_in_range(message: Timestamp, instant: datetime | None) -> None:
    """Where whole minutes are asked for, anything between them is wrong."""
    found = Violations()
    assert found.timestamp("at", message, has=True, whole_minutes=True) == instant
    assert bool(found) == (instant is None)


@pytest.mark.parametrize(
    ("message", "amount"),
    [
        (Money(units=12, nanos=340_000_000), Decimal("12.34")),
        (Money(units=0, nanos=10_000_000), Decimal("0.01")),
        (Money(units=9_999_999_999, nanos=990_000_000), MAX_MONEY),
        (Money(units=10_000_000_000), None),
        (Money(units=1, nanos=-10_000_000), None),
        (Money(units=1, nanos=1), None),
        (Money(units=1, nanos=1_000_000_000), None),
        (Money(units=-1), None),
        (Money(), None),
        (Money(units=2**62), None),
    ],
)
def test_money_is_whole_cents_above_zero(message: Money, amount: Decimal | None) -> None:
    """Exact, of one sign, within what the database holds."""
    found = Violations()
    read = found.money("price", message, has=True, minimum=Decimal("0.01"))
    assert (read and read.amount) == amount
    assert bool(found) == (amount is None)


def test_a_currency_other_than_the_one_asked_for_is_wrong() -> None:
    """An empty one is the shop's own."""
    found = Violations()
    found.money("a", Money(units=1), has=True, minimum=0, currency="CAD")
    assert not found
    found.money("b", Money(units=1, currency_code="USD"), has=True, minimum=0, currency="CAD")
    found.money("c", Money(units=1, currency_code="cad"), has=True, minimum=0)
    with pytest.raises(InvalidArgument, match=r"b\.currency_code.*c\.currency_code"):
        found.raise_if_any()


@pytest.mark.parametrize(
    ("span", "minutes"),
    [
        (Duration(seconds=1800), 30),
        (Duration(seconds=1801), None),
        (Duration(seconds=60), None),
        (Duration(seconds=36060), None),
        (Duration(seconds=1800, nanos=1), None),
        (Duration(seconds=-1800), None),
    ],
)
def test_spans_are_whole_minutes_in_bounds(span: Duration, minutes: int | None) -> None:
    """From 5 to 600 here."""
    found = Violations()
    read = found.minutes("duration", span, has=True, minimum=5, maximum=600, default=0)
    assert read == (minutes or 0)
    assert bool(found) == (minutes is None)


@pytest.mark.parametrize("wrong", ["a\x00b", "a\nb", "a\u2028b", "x" * 11, " ", "a\x85b"])
def test_texts_are_short_and_without_control_characters(wrong: str) -> None:
    """A text in any script is fine, stripped."""
    found = Violations()
    assert found.text("name", "  Žofia 中  ", maximum=10, required=True) == "Žofia 中"
    assert found.text("notes", "a\nb\t", maximum=10, multiline=True) == "a\nb"
    assert not found
    found.text("name", wrong, maximum=10, required=True)
    assert found


def test_masks_name_known_fields_only() -> None:
    """None at all is wrong, too."""
    found = Violations()
    assert found.mask("m", FieldMask(paths=["name"]), {"name", "price"}) == {"name"}
    assert not found
    found.mask("m", FieldMask(), {"name"})
    found.mask("m", FieldMask(paths=["id"]), {"name"})
    with pytest.raises(InvalidArgument, match=r"at least one field.*cannot change 'id'"):
        found.raise_if_any()


def _period(opens: int, closes: int) -> LocalPeriod:
    return values.to_period(opens, closes)


def test_periods_are_sorted_and_merged() -> None:
    """Those that touch are one; midnight to 24:00 is a day."""
    found = Violations()
    read = found.periods("p", [_period(780, 1020), _period(540, 720), _period(720, 730)])
    assert read == [(540, 730), (780, 1020)]
    assert found.periods("p", [_period(0, 1440)]) == [(0, 1440)]
    assert not found


@pytest.mark.parametrize(
    ("opens", "closes"),
    [
        (TimeOfDay(hours=9), TimeOfDay(hours=9)),
        (TimeOfDay(hours=9), TimeOfDay(hours=24, minutes=1)),
        (TimeOfDay(hours=9, minutes=60), TimeOfDay(hours=11)),
        (TimeOfDay(hours=9, seconds=1), TimeOfDay(hours=11)),
        (TimeOfDay(hours=-1), TimeOfDay(hours=11)),
    ],
)
def test_periods_lie_within_a_day(opens: TimeOfDay, closes: TimeOfDay) -> None:
    """Whole minutes, and closing after opening; the path says which one is wrong."""
    found = Violations()
    assert found.periods("p", [LocalPeriod(opens=opens, closes=closes)]) == []
    with pytest.raises(InvalidArgument, match=r"p\[0\]"):
        found.raise_if_any()


@given(st.decimals(min_value=-MAX_MONEY, max_value=MAX_MONEY, places=2))
def test_money_survives_the_way_there_and_back(amount: Decimal) -> None:
    """Exactly, whatever its sign."""
    message = values.to_money(amount, "CAD")
    assert values.from_money(message) == amount
    assert message.units * message.nanos >= 0


@given(st.datetimes(datetime(1900, 1, 1), datetime(2200, 12, 31), timezones=st.just(UTC)))  # noqa: DTZ001 - hypothesis adds the zone
def test_instants_survive_the_way_there_and_back(instant: datetime) -> None:
    """To the microsecond, before 1970 too."""
    message = values.to_timestamp(instant)
    assert values.from_timestamp(message) == instant
    assert message.ToDatetime(UTC) == instant


@given(st.timedeltas(timedelta(days=-4000), timedelta(days=4000)))
def test_spans_have_one_sign(span: timedelta) -> None:
    """As protobuf's own conversion reads them."""
    assert values.to_duration(span).ToTimedelta() == span
