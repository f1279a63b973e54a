"""What the contract lets a client send at most is let through."""

import pytest
from google.protobuf.message import Message
from google.type.date_pb2 import Date

from cache_service.edge.availability import MAX_BARBERS
from cache_service.edge.batch import MAX_READS
from cache_service.edge.invalidate import MAX_EVENTS, MAX_TAG_LENGTH, MAX_TAGS
from chairside.cache.v1 import cache_service_pb2 as pb
from chairside.cache.v1 import events_pb2, types_pb2
from service_kit.settings import ProcessSettings

_ID = 2**63 - 1
_DAY = Date(year=2200, month=12, day=31)
_NAME = "x" * MAX_TAG_LENGTH


def _event() -> events_pb2.Event:
    facts = events_pb2.AppointmentFacts(
        appointment_id=_ID,
        barber_id=_ID,
        service_id=_ID,
        client_id=_ID,
        status=types_pb2.APPOINTMENT_STATUS_CANCELLED,
        date=_DAY,
        blocked_from=_DAY,
        blocked_to=_DAY,
    )
    change = events_pb2.AppointmentChange(old=facts, new=facts, availability_unchanged=True)
    return events_pb2.Event(organization_id=_ID, appointment=change)


def _read() -> pb.BatchRead:
    return pb.BatchRead(
        get_availability=pb.GetAvailabilityRequest(
            organization_id=_ID,
            service_id=_ID,
            barber_ids=[_ID] * MAX_BARBERS,
            start_date=_DAY,
            end_date=_DAY,
            time_zone="America/Argentina/ComodRivadavia",
            consistency=types_pb2.Consistency(at_least_as_fresh=b"x" * 200),
        )
    )


@pytest.mark.parametrize(
    "request_",
    [
        pb.InvalidateRequest(
            events=[_event()] * MAX_EVENTS,
            tags=[pb.Tag(organization_id=_ID, name=_NAME)] * MAX_TAGS,
        ),
        pb.WatchRequest(tags=[_NAME] * MAX_TAGS),
        pb.BatchGetRequest(reads=[_read()] * MAX_READS),
    ],
    ids=["Invalidate", "Watch", "BatchGet"],
)
def test_the_largest_requests_are_let_through(request_: Message) -> None:
    """As many of everything as there may be, each as long as it may be in ASCII."""
    most = ProcessSettings.model_fields["max_message_bytes"].default
    assert request_.ByteSize() < most
