"""The comparison tells every figure that is wrong; the rough salons are as rough as they say."""

import copy
import dataclasses
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.integration.analytics.asking import answers, questions, report_of
from tests.integration.analytics.conftest import ROUGH, Salons
from tests.integration.analytics.rough_shop import LOSSES_UNTIL, PRESENT, WEEK_CHANGES
from tests.integration.analytics.test_every_figure import DAYS, RANGES
from tests.support.plain_reports import REPORTS, differences, plain_report
from tests.support.plain_reports.clients import known_clients

MONTH = timedelta(days=30)


def leaves(plain: Any, path: str = "") -> Iterator[tuple[Any, Any, str]]:
    """List every figure of a report: where it is kept, under which name, and its path."""
    names = (
        [(field.name, f"{path}{field.name}") for field in dataclasses.fields(plain)]
        if dataclasses.is_dataclass(plain)
        else [(number, f"{path[:-1]}[{number}]") for number in range(len(plain))]
    )
    for name, shown in names:
        value = plain[name] if isinstance(name, int) else getattr(plain, name)
        if dataclasses.is_dataclass(value) or isinstance(value, list):
            yield from leaves(value, f"{shown}.")
        else:
            yield plain, name, shown


def altered(value: Any) -> Any:
    """Make another value of the same kind, as near as there is."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, str):
        return f"{value}s"
    if isinstance(value, date):
        return value + timedelta(days=1)
    return {
        Decimal: lambda: value + Decimal("0.01"),
        float: lambda: value + 1e-6,
        int: lambda: value + 1,
        type(None): lambda: 0,
    }[type(value)]()


@pytest.mark.parametrize("report", REPORTS)
async def test_one_altered_figure_is_told_by_name(salons: Salons, report: str) -> None:
    """Of every figure: altered by the least, it and nothing else differs."""
    shop = salons.rough["new-york"]
    books = salons.books[shop.organization_id]
    requests = questions(
        report, shop.organization_id, (0,), [(date(2020, 3, 1), PRESENT)], [date(2020, 3, 20)]
    )[-1:]
    ((request, response),) = zip(requests, await answers(salons.reader, requests), strict=True)
    answer, plain = report_of(response), plain_report(books, request)
    assert differences(answer, plain, books.currency) == []
    figures = list(leaves(plain))
    for kept, name, path in figures:
        before = copy.copy(getattr(kept, name))
        setattr(kept, name, altered(before))
        told = differences(answer, plain, books.currency)
        setattr(kept, name, before)
        assert [each.split(":")[0] for each in told] == [path]
    assert len(figures) >= 10
    # Retention alone has no money. (XTS is ISO 4217's code for tests.)
    assert (differences(answer, plain, "XTS") == []) is (report == "retention")


@pytest.mark.parametrize("name", ROUGH)
async def test_a_rough_salon_has_what_breaks_reports(salons: Salons, name: str) -> None:
    """Two visits on a day, money of no appointment, of another barber, and late: all are there."""
    books = salons.books[salons.rough[name].organization_id]
    done = [a for a in books.appointments if a.status == "completed"]
    assert max(Counter((a.client, a.day) for a in done if a.client).values()) > 1
    assert {23, 0, 1} <= {a.hour for a in done}
    assert {date(2020, 2, 29), date(2019, 12, 31), date(2020, 1, 1)} <= {a.day for a in done}
    assert len({a.status for a in books.appointments}) == 7
    assert {m.appointment for m in books.payments} > {None}
    assert {m.appointment for m in books.refunds} > {None}
    by_id = {a.id: a for a in books.appointments}
    paid = [(m, by_id[m.appointment]) for m in books.payments if m.appointment]
    assert any(m.barber != a.barber for m, a in paid)
    assert any(m.day != a.day for m, a in paid)
    assert any(a.client is None for a in done)
    assert len(books.active) < len(books.barbers)
    assert books.payments[0].day.year == 2017


@pytest.mark.parametrize("name", ROUGH)
async def test_a_rough_salon_gives_back_more_than_it_takes(salons: Salons, name: str) -> None:
    """Two windows of 30 days have payments and yet a loss; a client has spent less than nothing."""
    shop = salons.rough[name]
    books = salons.books[shop.organization_id]
    request = questions("six_figure", shop.organization_id, (0,), (), [LOSSES_UNTIL])[0]
    found = plain_report(books, request)
    assert books.paid(0, LOSSES_UNTIL - MONTH, LOSSES_UNTIL)
    assert found.monthly_revenue < 0
    assert found.previous_revenue < 0
    assert (found.clients_current, found.price_increase) == (0, 0)
    assert found.clients_additional == found.clients_needed > 0
    assert any(client.spent < 0 for client in known_clients(books, 0, LOSSES_UNTIL))


@pytest.mark.parametrize("name", ROUGH)
@pytest.mark.parametrize("part", ["special", "time_off", "weekly"])
async def test_open_minutes_are_made_of_every_part(salons: Salons, name: str, part: str) -> None:
    """Special days, time off and a week that holds from a later day on each change them."""
    shop = salons.rough[name]
    books = salons.books[shop.organization_id]
    fewer = replace(books, opening=books.opening.without(part))
    days = RANGES[1]
    for barber_id in (0, shop.barbers[0]):
        assert fewer.open_minutes(barber_id, *days) != books.open_minutes(barber_id, *days)
    before = WEEK_CHANGES - MONTH, WEEK_CHANGES
    same = fewer.open_minutes(0, *before) == books.open_minutes(0, *before)
    assert same == (part == "weekly")


async def test_every_action_insight_and_segment_is_seen(salons: Salons) -> None:
    """The salons do so differently that all there is to say is said of one of them."""
    said: set[str] = set()
    for shop in salons.rough.values():
        who = (0, shop.barbers[0], shop.barbers[-1])
        for request in questions("dashboard", shop.organization_id, who, RANGES, DAYS):
            found = plain_report(salons.books[shop.organization_id], request)
            said |= {f"action {each.kind}" for each in found.six_figure.actions}
            said |= {f"insight {each.kind}" for each in found.insights}
            said |= {each.segment for each in found.lifetime_value.segments if each.clients}
            said |= {"at risk"} if found.lifetime_value.at_risk.clients else set()
            said |= {"raise"} if 0 < found.six_figure.price_increase < 30 else set()
    assert said == {
        *(f"action {kind}" for kind in ("pricing", "marketing", "upselling", "retention")),
        *("action efficiency", "insight mean_transaction", "insight completion"),
        *("insight no_show", "insight retention", "insight predicted_value"),
        *("insight service_completion", "insight low_utilisation", "insight high_utilisation"),
        *("new", "returning", "regular", "vip", "at risk", "raise"),
    }
