"""Every figure of every report equals the plain calculation."""

from dataclasses import replace
from datetime import date

import pytest

from tests.integration.analytics.asking import answers, compared, questions
from tests.integration.analytics.conftest import ROUGH, Salons
from tests.integration.analytics.rough_shop import LOSSES_UNTIL
from tests.support.plain_reports import REPORTS

RANGES = (
    (date(2020, 2, 1), date(2020, 3, 1)),
    (date(2019, 10, 1), date(2020, 4, 15)),
    (date(2020, 2, 29), date(2020, 3, 1)),
    (date(2019, 10, 26), date(2019, 11, 4)),
    (date(2020, 3, 7), date(2020, 3, 30)),
    (date(2017, 10, 30), date(2017, 11, 2)),
    (date(2021, 5, 1), date(2021, 5, 3)),
)
"""A month, everything, a leap day, changes of clocks, before nearly all of it, and after it."""

DAYS = (
    *(date(2020, 4, 1), date(2020, 1, 1), date(2020, 3, 1), date(2020, 2, 29)),
    *(date(2020, 3, 31), date(2019, 12, 31), date(2019, 11, 4), date(2020, 5, 20)),
    *(date(2017, 1, 1), date(2021, 6, 15), LOSSES_UNTIL),
)
"""First of a quarter, year and month, leap day, last days, clock change, before, after, a loss."""


@pytest.mark.parametrize("report", REPORTS)
@pytest.mark.parametrize("name", ROUGH)
async def test_every_figure_of_a_rough_salon(salons: Salons, name: str, report: str) -> None:
    """Of the shop, of who works there and of who has left, over all ranges and as of all days."""
    shop = salons.rough[name]
    who = (0, shop.barbers[0], shop.barbers[-1])
    requests = questions(report, shop.organization_id, who, RANGES, DAYS)
    responses = await answers(salons.reader, requests)
    assert compared(salons.books[shop.organization_id], requests, responses) == []


@pytest.mark.parametrize("report", REPORTS)
async def test_every_figure_of_an_empty_shop(salons: Salons, report: str) -> None:
    """Nothing is counted and nothing invented where there is nothing, not even a barber."""
    for organization_id, who in zip(salons.empty, [(0,), (0, 9021)], strict=True):
        requests = questions(report, organization_id, who, RANGES, DAYS)
        responses = await answers(salons.reader, requests)
        assert compared(salons.books[organization_id], requests, responses) == []


@pytest.mark.parametrize("report", REPORTS)
async def test_a_report_alone_is_the_same_as_among_others(salons: Salons, report: str) -> None:
    """What is loaded with others at once does not differ from what is loaded on its own."""
    shop = salons.rough["berlin"]
    requests = questions(report, shop.organization_id, (0, shop.barbers[1]), RANGES[:2], DAYS[2:4])
    together = await answers(salons.reader, requests)
    for request, response in zip(requests, together, strict=True):
        (alone,) = await answers(salons.reader, [request])
        assert alone == response


@pytest.mark.parametrize("report", REPORTS)
async def test_one_row_less_would_be_told(salons: Salons, report: str) -> None:
    """The books without a client's only visit and payment for it give other figures."""
    shop = salons.rough["kolkata"]
    books = salons.books[shop.organization_id]
    days = date(2020, 2, 1), date(2020, 2, 29)
    requests = questions(report, shop.organization_id, (0,), [days], days[1:])
    responses = await answers(salons.reader, requests)
    assert compared(books, requests, responses) == []
    visits = books.visits(0, date.min, date.max)
    gone = next(
        a
        for a in books.booked(0, *days)
        if a.status == "completed"
        and a.client
        and len(visits[a.client]) == 1
        and books.payments_for([a])
    )
    (paid, *_) = books.payments_for([gone])
    fewer = replace(
        books,
        appointments=[a for a in books.appointments if a != gone],
        payments=[m for m in books.payments if m != paid],
    )
    assert compared(fewer, requests, responses) != []
