"""What may enter the near cache, what it serves, and when it does not."""

from typing import Any

import pytest

from cache_service.client.near import Near
from cache_service.client.reads import READS
from chairside.cache.v1 import cache_service_pb2 as pb
from chairside.cache.v1 import types_pb2
from tests.unit.client.fake_cache import ask, slots_of

READ = READS["get_availability"]
TAGS = ["organization", "day"]


class House:
    """A near cache, its clock, and a watched stream that has told of all until now."""

    def __init__(self, limit: int = 100_000) -> None:
        self.now = 1000.0
        self.near = Near(limit, lease=1.0, ttl=5.0, clock=lambda: self.now)
        self.method = self.near.method(READ, self.ask)
        self.beat()

    def beat(self, process: str = "p1") -> None:
        """Hear that all is told up to now."""
        self.near.watched(process, self.now)

    def asks(self, request: Any) -> Any:
        """Send the read."""
        keep = self.near.allows(request.consistency)
        return self.near.asks(READ, request.organization_id, request.SerializeToString(), keep)

    def keep(self, request: Any, process: str = "p1", **info: Any) -> None:
        """Send the read and get its answer at once."""
        self.near.put(self.asks(request), slots_of(request.service_id, **info), TAGS, process)

    async def ask(self, _request: Any, raw: bytes, _timeout: float | None) -> Any:
        """Look for what was not given out just now."""
        return self.near.get(READ, raw)

    async def get(self, request: Any) -> Any:
        """Look."""
        return await self.method(request)


@pytest.fixture
def house() -> House:
    """Give the test one."""
    return House()


async def test_a_hit_is_the_answer_with_its_source_and_true_age(house: House) -> None:
    """The age goes on from what the service said, true to a hundredth of a second."""
    house.keep(ask(7, staleness=30), age={"seconds": 4})
    for later, told in ((0.5, 4500), (0.009, 4500), (0.002, 4511), (0.3, 4811)):
        house.now += later
        found = await house.get(ask(7, staleness=30))
        assert found.barbers == slots_of(7).barbers
        assert found.cache_info.source == types_pb2.SOURCE_NEAR
        assert found.cache_info.age.ToMilliseconds() == pytest.approx(told, abs=1)


async def test_hits_of_one_hundredth_of_a_second_are_one_message(house: House) -> None:
    """Of one answer; what is given out afterwards is another and has not what was changed."""
    for number in (1, 2):
        house.keep(ask(number, staleness=30))
    first, other = [await house.get(ask(number, staleness=30)) for number in (1, 2)]
    house.now += 0.009
    assert await house.get(ask(1, staleness=30)) is first
    assert await house.get(ask(2, staleness=30)) is other
    first.barbers.add()  # which nobody may, and those of this moment see
    house.now += 0.002
    later = await house.get(ask(1, staleness=30))
    assert later is not first
    assert later.barbers == slots_of(1).barbers


@pytest.mark.parametrize("change", ["tag", "everything", "lost", "another answer", "too old"])
async def test_a_message_is_given_out_no_longer_than_its_answer_is_kept(
    house: House, change: str
) -> None:
    """Not even within its hundredth of a second."""
    house.keep(ask(1, staleness=1))
    house.now += 0.995
    house.beat()
    found = await house.get(ask(1, staleness=1))
    assert found is not None
    house.now += 0.004
    if change == "tag":
        house.near.told(1, ["day"])
    elif change == "everything":
        house.near.forget()
    elif change == "lost":
        house.near.lost()
    elif change == "another answer":
        house.keep(ask(1, staleness=1))
        assert await house.get(ask(1, staleness=1)) is not found
        return
    else:
        house.now += 0.001
    assert await house.get(ask(1, staleness=1)) is None


async def test_a_message_is_given_out_no_longer_than_the_view_is_fresh(house: House) -> None:
    """The end of the lease may fall into a hundredth of a second."""
    house.keep(ask(1, staleness=30))
    house.now += 0.995
    assert await house.get(ask(1, staleness=30))
    house.now += 0.005
    assert await house.get(ask(1, staleness=30)) is None


async def test_messages_given_out_take_no_more_than_their_share(house: House) -> None:
    """Above it each hit is a message of its own, until the next hundredth of a second."""
    for number in range(1, 51):
        house.keep(ask(number, staleness=30))
    asked = [ask(number, staleness=30) for number in range(1, 51)]
    first = [await house.get(one) for one in asked]
    again = [await house.get(one) for one in asked]
    assert first == again
    shared = [one is other for one, other in zip(first, again, strict=True)]
    # An eighth of 100,000 bytes, at 652 for each.
    assert shared == [True] * 19 + [False] * 31
    house.now += 0.01
    assert await house.get(asked[-1]) is await house.get(asked[-1])


async def test_only_the_same_read_hits(house: House) -> None:
    """Another question, another freshness, another method or shop is another answer."""
    house.keep(ask(7, staleness=30))
    assert await house.get(ask(8, staleness=30)) is None
    assert await house.get(ask(7, staleness=29)) is None
    assert await house.get(ask(7, staleness=30, organization_id=2)) is None
    raw = ask(7, staleness=30).SerializeToString()
    assert house.near.get(READS["get_schedule"], raw) is None


@pytest.mark.parametrize(
    ("consistency", "seconds"),
    [
        (types_pb2.Consistency(), 0),
        (types_pb2.Consistency(fully_consistent=True), 0),
        (types_pb2.Consistency(at_least_as_fresh=b"token"), 0),
        (types_pb2.Consistency(max_staleness={"nanos": 999_000_000}), 0),
        (types_pb2.Consistency(max_staleness={"seconds": 1}), 1),
        (types_pb2.Consistency(max_staleness={"seconds": 3}), 3),
        (types_pb2.Consistency(max_staleness={"seconds": 3600}), 5),
    ],
)
def test_only_reads_that_allow_the_lease_may_be_kept(
    house: House, consistency: types_pb2.Consistency, seconds: float
) -> None:
    """And for no longer than they allow, nor than the cache's own time to live."""
    assert house.near.allows(consistency) == seconds


async def test_what_time_changes_is_kept_no_longer_than_the_read_allows(house: House) -> None:
    """Counted from the sending: a passed slot is offered no longer than that."""
    house.keep(ask(1, staleness=2), age={"seconds": 600})
    house.keep(ask(2, staleness=3600))
    for seconds, served in ((1.9, [True, True]), (2.0, [False, True]), (5.0, [False, False])):
        house.now = 1000 + seconds
        house.beat()
        found = [await house.get(ask(1, staleness=2)), await house.get(ask(2, staleness=3600))]
        assert [one is not None for one in found] == served


async def test_nothing_is_served_on_a_view_older_than_the_lease(house: House) -> None:
    """Without heartbeats hits end; with the next one they go on."""
    house.keep(ask(1, staleness=30))
    house.now += 0.99
    assert await house.get(ask(1, staleness=30))
    house.now += 0.01
    assert await house.get(ask(1, staleness=30)) is None
    house.near.watched("p1", house.now - 0.5)
    assert await house.get(ask(1, staleness=30))
    house.now += 0.5
    assert await house.get(ask(1, staleness=30)) is None


async def test_a_tag_that_is_told_drops_its_answers_and_no_others(house: House) -> None:
    """The same name in another shop is another tag."""
    house.keep(ask(1, staleness=30))
    house.keep(ask(1, staleness=30, organization_id=2))
    house.near.told(1, ["other"])
    assert await house.get(ask(1, staleness=30))
    house.near.told(1, ["day"])
    assert await house.get(ask(1, staleness=30)) is None
    assert await house.get(ask(1, staleness=30, organization_id=2))
    house.near.told(2, ["organization"])
    assert len(house.near) == 0


@pytest.mark.parametrize("telling", ["tag", "everything", "lost", "another process"])
async def test_what_overtakes_the_reply_keeps_it_out(house: House, telling: str) -> None:
    """An answer told to be old while it was on its way must not enter: nobody tells again."""
    asked = house.asks(ask(1, staleness=30))
    if telling == "tag":
        house.near.told(1, ["day"])
    elif telling == "everything":
        house.near.forget()
    elif telling == "lost":
        house.near.lost()
        house.beat()
    else:
        house.beat("p2")
        house.beat()
    house.near.put(asked, slots_of(1), TAGS, "p1")
    assert await house.get(ask(1, staleness=30)) is None


async def test_without_the_marker_the_overtaken_reply_would_be_served(house: House) -> None:
    """The negative control of the one above: the marker of now lets the old answer in."""
    asked = house.asks(ask(1, staleness=30))
    house.near.told(1, ["day"])
    too_late = house.asks(ask(1, staleness=30)).marker
    house.near.put(asked._replace(marker=too_late), slots_of(1), TAGS, "p1")
    assert await house.get(ask(1, staleness=30))


async def test_only_answers_of_the_watched_process_enter(house: House) -> None:
    """Another may answer from its memory what this one dropped before."""
    house.keep(ask(1, staleness=30), process="p2")
    house.keep(ask(2, staleness=30), process="")
    assert len(house.near) == 0
    house.keep(ask(1, staleness=30))
    assert len(house.near) == 1


async def test_what_is_flagged_stale_or_tells_no_tags_does_not_enter(house: House) -> None:
    """Nobody would tell when it changes."""
    house.keep(ask(1, staleness=30), stale=True)
    house.near.put(house.asks(ask(2, staleness=30)), slots_of(2), [], "p1")
    assert len(house.near) == 0


async def test_before_a_stream_was_heard_nothing_is_kept() -> None:
    """What changed before would be told by nobody."""
    near = Near(100_000, lease=1.0, ttl=5.0, clock=lambda: 1000.0)
    assert near.asks(READ, 1, b"", 5.0) is None


async def test_a_lost_stream_empties_it(house: House) -> None:
    """Even if another is heard at once."""
    house.keep(ask(1, staleness=30))
    house.near.lost()
    house.beat()
    assert len(house.near) == 0


async def test_it_stays_within_its_bytes() -> None:
    """What was used least lately goes first, as looked at a hundred times a second."""
    house = House(limit=10_000)
    for number in range(1, 100):
        house.keep(ask(number, staleness=30))
        await house.get(ask(1, staleness=30))
        house.now += 0.01
        house.beat()
    assert 1 < len(house.near) < 12
    assert await house.get(ask(1, staleness=30))
    assert await house.get(ask(99, staleness=30))
    assert await house.get(ask(50, staleness=30)) is None


async def test_the_answers_of_every_read_can_be_kept(house: House) -> None:
    """Each of them has a cache_info and a place in a batch."""
    for field, read in READS.items():
        answer = read.parse(b"")
        assert type(answer).__name__ == f"{read.name}Response"
        assert field in pb.BatchResult.DESCRIPTOR.fields_by_name
        house.near.put(house.near.asks(read, 1, b"", 5.0), answer, TAGS, "p1")  # type: ignore[arg-type]
        found = house.near.get(read, b"")
        assert found.cache_info.source == types_pb2.SOURCE_NEAR
    assert len(house.near) == len(READS)
