"""Books in the format of a real salon's, made up: small ones by hand, whole ones generated."""

import os
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

from booking_service.importing.generator import GeneratorOptions, plan
from booking_service.importing.records import Appointment

__all__ = ["SMALL", "Totals", "books_at_hand", "write_books"]

TORONTO = ZoneInfo("America/Toronto")

SMALL: Mapping[str, tuple[str, ...]] = {
    "services.csv": (
        "IsActive,Code,Desc,Cate,Price,Cost",
        "TRUE,CUT,A cut,STYLE,40,5",
        "TRUE,TRE 1,Treatment,MISC,0,10",
        "FALSE,OLD,Not done any more,MISC,12.50,0",
        "TRUE,F&F,,MISC,0,0",
    ),
    "durations.csv": ("Code,Minutes", "CUT,30", "TRE 1,10", "OLD,60", "F&F,30"),
    "hours.csv": (
        "Staff,Weekday,Open,Close",
        "ANN,2,09:00,13:00",
        "ANN,2,14:00,18:00",
        "BOB,3,10:00,20:00",
    ),
    "bookings.csv": (
        "Code,Staff,Service,Date,Time,TimeInt",
        "C1,ANN,CUT,05/02/2018,10:00:00 AM,600",
        "C1,BOB,TRE 1,05/02/2018,9:00:00 AM,540",
        "C2,ANN,CUT,05/02/2018,10:30:00 AM,630",
        "C3,ANN,CUT,05/02/2018,11:00:00 AM,660",
        ",BOB,CUT,05/03/2018,12:00:00 PM,720",
        "C1,ANN,CUT,05/09/2018,10:00:00 AM,600",
    ),
    "cancellations.csv": (
        "Cancel Date,Code,Service,Staff,Booking Date,Canceled By,Days",
        "05/01/2018,C3,CUT,ANN,05/02/2018,BOB,1",
        "05/01/2018,C4,CUT,ANN,05/02/2018,ADMIN,1",
        "05/02/2018,C4,CUT,BOB,05/02/2018,ADMIN,0",
    ),
    "no_shows.csv": ("Date,Code,Service,Staff", "05/02/2018,C2,CUT,ANN", "05/03/2018,,CUT,BOB"),
    "receipts.csv": (
        "Receipt,Date,Description,Client,Staff,Quantity,Amount,GST,PST",
        "1,05/02/2018,A cut,C1,ANN,1,40,2,3",
        "1,05/02/2018,A cut,C1,ANN,1,40,2,3",
        "1,05/02/2018,Treatment,C1,CAT,2,15.5,0,0",
        "2,05/03/2018,Treatment,C1,BOB,-1,-5.25,0,0",
        "3,05/03/2018,Nothing,C5,BOB,1,0,0,0",
    ),
}
"""Sound books by file; every test that wants bad ones changes a line."""


def write_books(
    folder: Path, files: Mapping[str, Sequence[str]], *, end: str = "\r\n", last: str = ""
) -> Path:
    """Write files with the given line ends; `last` ends the last line."""
    for name, lines in files.items():
        (folder / name).write_bytes((end.join(lines) + last).encode())
    return folder


@dataclass
class Totals:
    """What must be found after an import."""

    statuses: Counter[str] = field(default_factory=Counter)
    payments: int = 0
    refunds: int = 0
    barbers: int = 7
    revenue: dict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))


REAL = Totals(
    Counter(completed=1657, no_show=59, cancelled=207, scheduled=189),
    payments=1811,
    refunds=71,
    revenue={
        "2018-03": Decimal("3260.00"),
        "2018-04": Decimal("17388.45"),
        "2018-05": Decimal("34472.64"),
        "2018-06": Decimal("32112.99"),
        "2018-07": Decimal("28574.95"),
    },
)


def books_at_hand(folder: Path) -> tuple[Path, Totals]:
    """Find the real salon's books, else make books of their format up in `folder`."""
    beside = Path(__file__).parents[3] / "shared" / "data" / "salon"
    real = Path(os.environ.get("CHAIRSIDE_TEST_SALON_DIR", beside))
    return (real, REAL) if real.is_dir() else (folder, generated_books(folder))


def generated_books(folder: Path) -> Totals:
    """Write a generated salon in the books' format; every visit is of a client of its own."""
    made = plan(
        GeneratorOptions(months=4, months_ahead=1, seed=7), datetime(2018, 7, 30, 16, tzinfo=UTC)
    )
    totals, shop = Totals(barbers=len(made.shop.barbers)), made.shop
    files: dict[str, list[str]] = {name: [lines[0]] for name, lines in SMALL.items()}
    for number, service in enumerate(shop.services):
        line = f"TRUE,S{number},{service.name},{service.category},{service.price},0"
        files["services.csv"].append(line)
        files["durations.csv"].append(f"S{number},{service.duration}")
    for week in shop.weeks[: len(shop.barbers)]:
        for weekday in range(7):
            files["hours.csv"].append(f"B{week.barber},{weekday},09:00,20:00")
    (batch,) = made.batches(1_000_000)
    receipts: list[tuple[datetime, str]] = []
    for payment in batch.payments:
        if payment.status == "completed":
            client = "RETAIL" if payment.appointment is None else f"C{payment.appointment}"
            receipts.append((payment.paid_at, f"{client},B{payment.barber},1,{payment.amount}"))
            totals.payments += 1
            totals.revenue[_month(payment.paid_at)] += payment.amount
    for refund in batch.refunds:
        line = f"C{refund.appointment},B{refund.barber},-1,-{refund.amount}"
        receipts.append((refund.refunded_at, line))
        totals.refunds += 1
        totals.revenue[_month(refund.refunded_at)] -= refund.amount
    for at, line in receipts:
        client, staff, quantity, amount = line.split(",")
        files["receipts.csv"].append(f"1,{_day(at)},x,{client},{staff},{quantity},{amount},0,0")
    last = max(at for at, _ in receipts).astimezone(TORONTO).date()
    paid = {each.appointment for each in batch.payments if each.status == "completed"}
    for number, visit in enumerate(batch.appointments):
        past = visit.starts_at.astimezone(TORONTO).date() <= last
        if (visit.status == "no_show" and not past) or (
            visit.status == "completed" and number not in paid
        ):
            continue
        _write_visit(files, number, visit)
        known = {"completed", "no_show", "cancelled"}
        totals.statuses[visit.status if visit.status in known else "scheduled"] += 1
    write_books(folder, files, last="\r\n")
    return totals


def _write_visit(files: dict[str, list[str]], number: int, visit: Appointment) -> None:
    client, staff, service = f"C{number}", f"B{visit.barber}", f"S{visit.service}"
    day, at = _day(visit.starts_at), visit.starts_at.astimezone(TORONTO)
    if visit.status == "cancelled":
        files["cancellations.csv"].append(f"{day},{client},{service},{staff},{day},ADMIN,")
        return
    if visit.status == "no_show":
        files["no_shows.csv"].append(f"{day},{client},{service},{staff}")
    shown = f"{at:%I:%M:%S %p}".lstrip("0")
    minute = at.hour * 60 + at.minute
    files["bookings.csv"].append(f"{client},{staff},{service},{day},{shown},{minute}")


def _day(at: datetime) -> str:
    return f"{at.astimezone(TORONTO):%m/%d/%Y}"


def _month(at: datetime) -> str:
    return f"{at.astimezone(TORONTO):%Y-%m}"
