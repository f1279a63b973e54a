"""Which tags many changes at once touch together."""

from datetime import date, timedelta

from cache_service.invalidation import tags
from cache_service.invalidation.changes import MAX_TAGS, tags_by_organization
from chairside.cache.v1 import events_pb2
from service_kit.values import to_date

DAYS = 300


def away(barber_id: int, organization_id: int = 1) -> events_pb2.Event:
    """Make the event of a barber's 300 days off."""
    first = date(2025, 1, 1)
    span = {"from": to_date(first), "to": to_date(first + timedelta(days=DAYS - 1))}
    return events_pb2.Event(
        organization_id=organization_id,
        schedule=events_pb2.ScheduleChange(
            part=events_pb2.SCHEDULE_PART_TIME_OFF,
            new=events_pb2.ScheduleFacts(barber_id=barber_id, **span),
        ),
    )


def test_a_few_changes_touch_each_their_own() -> None:
    """The tags of one organization's changes are put together, and apart from another's."""
    touched = tags_by_organization([away(1), away(2), away(1, organization_id=2)])
    assert touched.keys() == {1, 2}
    assert {tags.day(1, date(2025, 1, 1)), tags.day(2, date(2025, 1, 1))} <= touched[1]
    assert tags.SCOPE not in touched[1]
    assert len(touched[2]) > DAYS


def test_too_many_changes_touch_the_whole_organization_and_no_other() -> None:
    """A shop that closes for a year is one tag, not a script that Redis is too slow for."""
    barbers = range(1, MAX_TAGS // DAYS + 2)
    touched = tags_by_organization([*map(away, barbers), away(1, organization_id=2)])
    assert touched[1] == {tags.SCOPE}
    assert tags.SCOPE not in touched[2]


def test_what_touches_everything_makes_the_rest_superfluous() -> None:
    """Beside the scope tag no other is needed, whatever comes before or after it."""
    settings = events_pb2.Event(organization_id=1, organization=events_pb2.OrganizationChange())
    assert tags_by_organization([away(1), settings, away(2)]) == {1: {tags.SCOPE}}
