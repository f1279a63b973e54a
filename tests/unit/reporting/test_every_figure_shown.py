"""Every scalar of a report, given a value of its own, stands where it belongs and only there."""

import calendar
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from io import StringIO
from itertools import count

import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from rich.console import Console

from booking_service.reporting.composing import compose
from booking_service.reporting.page import render_page
from booking_service.reporting.table import print_report
from chairside.cache.v1.cache_service_pb2 import GetAnalyticsResponse
from service_kit.values import to_date
from tests.support.html_page import Page, read_page
from tests.unit.reporting.answers import EMPTY, FULL, asked, cad
from tests.unit.reporting.places import ANY, COLUMNS, FIGURES, NOT_SHOWN, PLACES, SIDES, Place

NOW = datetime(2018, 5, 26, 12, tzinfo=UTC)
NAMES = {"hour": "{:02}:00".format, "weekday": calendar.day_name.__getitem__}
NAMES["month"] = calendar.month_name.__getitem__
Leaf = tuple[Message, FieldDescriptor, str, bool]
"""A scalar's message and field, how it is shown, and whether the message is a row."""


def fill(
    message: Message, numbers: Iterator[int], named: dict[str, Iterator[int]], *, row: bool = False
) -> Iterator[Leaf]:
    """Give each scalar a value of its own, two rows to each table; list them."""
    for field in message.DESCRIPTOR.fields:
        number, kind = next(numbers), field.message_type.name if field.message_type else ""
        if kind == "Money":
            money = cad(f"{number}.25")
            getattr(message, field.name).CopyFrom(money)
            yield message, field, f"{number:,}.25", row
        elif kind == "Date":
            day = date(2018, 1, 1) + timedelta(days=number)
            getattr(message, field.name).CopyFrom(to_date(day))
            yield message, field, str(day), row
        elif kind and field.is_repeated:
            for _ in range(2):
                yield from fill(getattr(message, field.name).add(), numbers, named, row=True)
        elif kind:
            yield from fill(getattr(message, field.name), numbers, named, row=row)
        else:
            yield message, field, _set(message, field, number, named), row


def _set(
    message: Message, field: FieldDescriptor, number: int, named: dict[str, Iterator[int]]
) -> str:
    """Set a scalar, and return how it is shown."""
    name = field.name.rpartition("_")[2]
    if name in NAMES:
        value = next(named[name])
        setattr(message, field.name, value)
        return str(NAMES[name](value))
    if field.name.endswith("_minutes"):
        setattr(message, field.name, 60 * number)
        return f"{number:,}.0"
    if field.type == FieldDescriptor.TYPE_STRING:
        setattr(message, field.name, f"text {number}")
        return f"text {number}"
    if field.type == FieldDescriptor.TYPE_DOUBLE:
        setattr(message, field.name, number + 0.25)
        return f"{number:,}.2"
    plain = field.type in {FieldDescriptor.TYPE_ENUM, FieldDescriptor.TYPE_BOOL}
    setattr(message, field.name, 1 if plain else number)
    return f"{number:,}"


def places(message: Message, field: FieldDescriptor, *, row: bool) -> set[Place]:
    """Tell where a scalar belongs; KeyError: nobody has said so."""
    kind = message.DESCRIPTOR.name
    if kind == "ComparisonPeriod":
        start = date(message.start_date.year, message.start_date.month, message.start_date.day)  # type: ignore[attr-defined]
        beside = {("This month", "Revenue"), ("The month before", "Revenue")}
        return {(SIDES[field.name], str(start)), *(beside if field.name == "revenue" else ())}
    if found := PLACES.get(kind, {}).get(field.name):
        return found
    return {(ANY, COLUMNS[kind][field.name])} if row else {(FIGURES[kind][field.name], ANY)}


def cells(page: Page) -> Iterator[tuple[str, str, str]]:
    """Give every figure as (label, no column, text with its note), every cell as (row, column)."""
    terms, values, rows = iter(page.texts.get("dt", ())), iter(page.texts.get("dd", ())), 0
    label, head, heading = "", list[str](), False
    for tag, _ in page.tags:
        if tag == "dt":
            label = next(terms).strip()
        elif tag == "dd":
            yield label, ANY, next(values).strip()
        elif tag in {"thead", "tbody"}:
            heading = tag == "thead"
        elif tag == "tr":
            row, rows = page.rows[rows], rows + 1
            head = row if heading else head
            if not heading:
                yield from ((row[0], title, cell) for title, cell in zip(head, row, strict=True))


def fits(place: Place, row: str, column: str) -> bool:
    """Tell whether a cell is in a place; a column's currency and the end of its days are more."""
    wanted_row, wanted = place
    same = column == wanted or column.startswith((f"{wanted} (", f"{wanted} to "))
    return wanted_row in {ANY, row} and (wanted == ANY or same) and (wanted != ANY or column == ANY)


@pytest.mark.parametrize("kind", FULL)
def test_every_scalar_stands_in_its_place_and_nowhere_else(kind: str) -> None:
    """In the page under its own label or column; and the terminal has the same rows and figures."""
    response = GetAnalyticsResponse.FromString(EMPTY[kind].SerializeToString())
    report = getattr(response, kind)
    short = kind == "dashboard"  # the rest of it is as the other reports are
    parts = [report.key_metrics, report.insights.add()] if short else [report]
    numbers, named = count(1001, 2), {name: count(1) for name in NAMES}
    leaves = [
        leaf for part in parts for leaf in fill(part, numbers, named, row=part is not parts[0])
    ]
    composed = compose(asked(kind), response, made=NOW)
    shown = list(cells(read_page(render_page(composed))))
    checked = 0
    for message, field, text, row in leaves:
        if field.name in NOT_SHOWN or (field.name == "period" and not row):
            continue
        found = [(name, column) for name, column, cell in shown if text in cell]
        wanted = places(message, field, row=row)
        where = f"{message.DESCRIPTOR.name}.{field.name} {text}: {found}"
        assert found, where
        if field.name.rpartition("_")[2] not in NAMES:  # an hour may be named twice
            assert all(any(fits(place, *one) for place in wanted) for one in found), where
        assert any(any(fits(place, *one) for place in wanted) for one in found), where
        checked += 1
    assert checked >= 10
    console = Console(file=StringIO(), width=1000)
    print_report(console, composed)
    assert isinstance(console.file, StringIO)
    lines = [" ".join(line.split()) for line in console.file.getvalue().splitlines()]
    for name, _, cell in shown:
        if any(text in cell for _, _, text, _ in leaves):
            plain = " ".join(cell.split())
            assert any(name in line and plain in line for line in lines), (name, cell)
