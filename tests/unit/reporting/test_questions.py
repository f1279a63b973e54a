"""What was typed, as a request, and everything that no request can carry."""

import pytest

from booking_service.reporting.asking import KINDS, Against, BadQuestion, GroupBy, Question
from chairside.cache.v1 import analytics_pb2 as pb
from service_kit.values import from_date


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_is_the_report_asked_for(kind: str) -> None:
    """Each of the nine names its report, however its words are joined; no option is made up."""
    for typed in (kind, kind.replace("_", "-"), kind.upper()):
        request = Question(kind=typed).request()
        assert request.WhichOneof("report") == kind
        assert not request.HasField("start_date")
        assert not request.HasField("consistency")
    assert len(KINDS) == 9


def test_what_was_said_stands_in_the_request() -> None:
    """Days, options and staleness arrive as they were typed."""
    request = Question(
        kind="revenue",
        organization_id=3,
        barber_id=7,
        start="2018-05-24",
        end="2018-06-01",
        group_by=GroupBy.WEEK,
        max_staleness=60,
    ).request()
    assert (request.organization_id, request.barber_id) == (3, 7)
    assert str(from_date(request.start_date)) == "2018-05-24"
    assert str(from_date(request.end_date)) == "2018-06-01"
    assert request.revenue.group_by == pb.GROUP_BY_WEEK
    assert request.consistency.max_staleness.seconds == 60
    year = Question(kind="comparison", against=Against.YEAR, as_of="2018-05-24").request()
    assert year.comparison.against == pb.AGAINST_YEAR
    assert Question(kind="dashboard", target=1.5).request().dashboard.target_annual_income == 1.5


def test_everything_wrong_is_told_at_once() -> None:
    """Each wrong option has a line of its own, with the field's name and the option's."""
    with pytest.raises(BadQuestion) as told:
        Question(
            kind="retention",
            organization_id=1 << 63,
            start="24.5.2018",
            as_of="2018-02-30",
            against=Against.YEAR,
            target=1.0,
            max_staleness=1 << 63,
        ).request()
    lines = str(told.value).splitlines()
    assert [line.partition(":")[0] for line in lines] == [
        "organization_id",
        "start_date",
        "as_of_date",
        "consistency.max_staleness",
        "against",
        "target_annual_income",
    ]
    assert all("(--" in line for line in lines)


def test_an_unknown_kind_is_told_the_kinds() -> None:
    """All nine are listed."""
    with pytest.raises(BadQuestion) as told:
        Question(kind="profit").request()
    assert all(kind in str(told.value) for kind in KINDS)
