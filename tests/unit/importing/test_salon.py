"""What a salon's books mean, on small books made up for each rule."""

from collections import Counter
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from booking_service.importing.salon import read_salon
from tests.support.salon_books import SMALL, generated_books, write_books

START = datetime(2018, 5, 2, 14, 0, tzinfo=UTC)  # 10:00 in Toronto
NOON = datetime(2018, 5, 2, 16, 0, tzinfo=UTC)


def test_a_booking_is_what_receipts_no_shows_and_cancellations_make_of_it(tmp_path: Path) -> None:
    """Paid is completed, else reported a no-show, else cancelled; after the last receipt booked."""
    shop, batch = read_salon(write_books(tmp_path, SMALL), "Salon")
    booked = batch.appointments[:6]
    assert [each.status for each in booked] == [
        "completed",
        "completed",
        "no_show",
        "cancelled",
        "no_show",
        "scheduled",
    ]
    assert booked[3].cancellation_reason == "cancelled by BOB"
    assert (booked[0].starts_at, booked[0].ends_at.minute) == (START, 30)
    assert booked[0].price == 40
    assert booked[4].client is None
    assert shop.barbers == ["ANN", "BOB", "CAT"]
    assert [client.external_code for client in shop.clients] == ["C1", "C2", "C3", "C4", "C5"]


def test_a_cancellation_that_no_booking_row_has_is_an_appointment_at_noon(tmp_path: Path) -> None:
    """Once per client, day and service; one that a booking row has makes none."""
    _, batch = read_salon(write_books(tmp_path, SMALL), "Salon")
    (extra,) = batch.appointments[6:]
    assert (extra.status, extra.starts_at) == ("cancelled", NOON)
    assert extra.barber == 0


def test_a_receipt_line_belongs_to_the_booking_with_its_staff_else_to_the_earliest(
    tmp_path: Path,
) -> None:
    """Identical lines count twice, nothing is nothing, and money without a booking is retail."""
    _, batch = read_salon(write_books(tmp_path, SMALL), "Salon")
    assert [(each.appointment, each.barber, each.amount) for each in batch.payments] == [
        (0, 0, Decimal(40)),
        (0, 0, Decimal(40)),
        (1, 2, Decimal("15.5")),
    ]
    assert {each.paid_at for each in batch.payments} == {NOON}
    (refund,) = batch.refunds
    assert (refund.appointment, refund.payment, refund.amount) == (None, None, Decimal("5.25"))


def test_services_keep_what_the_list_says(tmp_path: Path) -> None:
    """A service out of use is deleted and offered by nobody, one without a name has its code."""
    shop, _ = read_salon(write_books(tmp_path, SMALL), "Salon")
    assert [(each.name, each.duration, each.deleted) for each in shop.services] == [
        ("A cut", 30, False),
        ("Treatment", 10, False),
        ("Not done any more", 60, True),
        ("F&F", 30, False),
    ]
    assert Counter(offer.service for offer in shop.offers) == {0: 3, 1: 3, 3: 3}


def test_weekly_hours_hold_from_the_first_booked_day(tmp_path: Path) -> None:
    """Several rows of a weekday are periods with a break; weekdays without a row are closed."""
    shop, _ = read_salon(write_books(tmp_path, SMALL), "Salon")
    ann, bob, cat = shop.weeks
    assert {ann.valid_from, bob.valid_from, cat.valid_from} == {date(2018, 5, 2)}
    assert ann.days == ((), (), ((540, 780), (840, 1080)), (), (), (), ())
    assert bob.days[3] == ((600, 1200),)
    assert not any(cat.days)


@pytest.mark.parametrize(
    ("end", "last"), [("\r\n", ""), ("\r\n", "\r\n"), ("\n", ""), ("\n", "\n\n")]
)
def test_line_ends_do_not_matter(tmp_path: Path, end: str, last: str) -> None:
    """CRLF or LF, with or without a last one: the same books."""
    crlf, other = tmp_path / "crlf", tmp_path / "other"
    crlf.mkdir()
    other.mkdir()
    assert read_salon(write_books(other, SMALL, end=end, last=last), "Salon") == read_salon(
        write_books(crlf, SMALL), "Salon"
    )


def test_generated_books_are_read_as_they_were_meant(tmp_path: Path) -> None:
    """A salon of the same format gives the totals with which it was written."""
    totals = generated_books(tmp_path)
    _, batch = read_salon(tmp_path, "Salon")
    assert Counter(each.status for each in batch.appointments) == totals.statuses
    assert len(totals.statuses) == 4
    assert (len(batch.payments), len(batch.refunds)) == (totals.payments, totals.refunds)
    assert totals.refunds > 0
    assert {each.appointment is None for each in batch.payments} == {True, False}
