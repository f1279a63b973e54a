"""The API reference is what the contract's comments say, and other pages forget no name."""

import re
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from cache_service.invalidation import tags
from chairside.booking.v1 import booking_service_pb2
from chairside.cache.v1 import cache_service_pb2
from chairside.cache.v1.events_pb2 import Event
from devstack.reference import page

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = (ROOT / "docs/api.md").read_text()


@pytest.fixture
def image() -> FileDescriptorSet:
    """Read what protoc described."""
    return FileDescriptorSet.FromString((ROOT / "build/image.binpb").read_bytes())


def test_the_page_is_what_the_contract_says(image: FileDescriptorSet) -> None:
    """`make docs` would not change it."""
    assert page(image) == PAGE


def test_every_method_and_every_field_is_told() -> None:
    """Of both services, and of all messages in their files, by what the code was made of."""
    for module, service in (
        (cache_service_pb2, "CacheService"),
        (booking_service_pb2, "BookingService"),
    ):
        file = module.DESCRIPTOR
        for method in file.services_by_name[service].methods:
            assert f"\n### {method.name}\n\n" in PAGE
        for message in file.message_types_by_name.values():
            told = PAGE.partition(f"\n### {message.name}\n")[2].partition("\n##")[0]
            fields = re.findall(r"^\| `(\w+)` =", told, re.MULTILINE)
            assert fields == [field.name for field in message.fields]


def test_its_links_lead_to_types_and_each_is_told_once() -> None:
    """No two headings are the same, and every link within the page has one."""
    headings = [one.lower() for one in re.findall(r"^### (\w+)$", PAGE, re.MULTILINE)]
    assert len(headings) == len(set(headings))
    assert set(re.findall(r"\(#(\w+)\)", PAGE)) <= set(headings)


def test_an_element_without_a_comment_is_told(image: FileDescriptorSet) -> None:
    """A page with a hole is not written."""
    (file,) = (one for one in image.file if one.name.endswith("events.proto"))
    for location in file.source_code_info.location:
        location.leading_comments = location.leading_comments.replace("The barber.", "")
    with pytest.raises(ValueError, match=r"ScheduleFacts.barber_id has no comment"):
        page(image)


def test_every_tag_is_told() -> None:
    """Each stands in its page: those of a range or of all days before under the day's own name."""
    told = set(re.findall(r"`([A-Za-z_]+)[`(]", (ROOT / "docs/tags.md").read_text()))
    apart = {"SCOPE", "SHOP", "months"}  # every answer's, no tag, and how a range is told
    assert {re.sub(r"_(within|before)$", "", name) for name in tags.__all__} - told == apart


def test_every_kind_of_event_is_told() -> None:
    """With what a caller has to say of it."""
    rows = re.findall(r"^\| (`.*?) \|", (ROOT / "docs/events.md").read_text(), re.MULTILINE)
    told = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert told == {field.name for field in Event.DESCRIPTOR.oneofs_by_name["change"].fields}
