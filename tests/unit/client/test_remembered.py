"""Tokens of mutations that were not applied are carried by the reads that follow."""

import pytest

from cache_service.client import snapshot_token, transaction_token
from cache_service.client.remembered import REMEMBERED, Tokens
from chairside.cache.v1 import cache_service_pb2 as pb
from chairside.cache.v1 import types_pb2
from tests.unit.client.fake_cache import FakeCache, ask, client_of

UNAPPLIED = transaction_token("1-1", 100, applied=False)
FRESH = types_pb2.Consistency(at_least_as_fresh=UNAPPLIED)
FULL = types_pb2.Consistency(fully_consistent=True)


class Clock:
    """Seconds that a test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """Give the test a clock."""
    return Clock()


def test_an_unapplied_token_is_asked_for_in_its_own_organization(clock: Clock) -> None:
    """Others read as ever."""
    tokens = Tokens(clock)
    tokens.saw(1, UNAPPLIED)
    assert tokens.demand(1) == FRESH
    assert tokens.demand(2) is None


def test_an_applied_token_asks_for_nothing(clock: Clock) -> None:
    """Every default read sees its mutation."""
    tokens = Tokens(clock)
    tokens.saw(1, transaction_token("1-1", 100, applied=True))
    assert not tokens


def test_a_snapshots_token_is_carried(clock: Clock) -> None:
    """SLOT_TAKEN may reveal what is not acknowledged yet."""
    tokens, token = Tokens(clock), snapshot_token("1-1", "90:100:95")
    tokens.saw(1, token)
    assert tokens.demand(1) == types_pb2.Consistency(at_least_as_fresh=token)


def test_two_tokens_ask_for_the_database(clock: Clock) -> None:
    """One read can name one token; the same again is still one."""
    tokens = Tokens(clock)
    tokens.saw(1, UNAPPLIED)
    tokens.saw(1, UNAPPLIED)
    assert tokens.demand(1) == FRESH
    tokens.saw(1, transaction_token("1-1", 101, applied=False))
    assert tokens.demand(1) == FULL
    tokens.saw(1, UNAPPLIED)
    assert tokens.demand(1) == FULL


def test_a_damaged_token_asks_for_the_database(clock: Clock) -> None:
    """It may stand for anything."""
    tokens = Tokens(clock)
    tokens.saw(1, b"?")
    assert tokens.demand(1) == FULL


def test_tokens_are_forgotten_when_they_cannot_matter_any_more(clock: Clock) -> None:
    """So nothing grows, and a later token is one again."""
    tokens = Tokens(clock)
    tokens.saw(1, UNAPPLIED)
    tokens.saw(2, UNAPPLIED)
    clock.now += REMEMBERED
    assert tokens.demand(1) is None
    tokens.saw(3, UNAPPLIED)
    assert tokens.demand(2) is None
    assert tokens.demand(3) == FRESH


async def test_reads_carry_it_unless_they_say_what_they_need() -> None:
    """Alone, joined and in a batch of the caller's own; an empty consistency says nothing."""
    fake = FakeCache()
    empty, own = ask(2), ask(3)
    empty.consistency.SetInParent()
    own.consistency.max_staleness.seconds = 5
    async with client_of(fake, near_bytes=0) as client:
        await client.get_availability(ask(1))
        client.saw(1, UNAPPLIED)
        for question in (ask(1), empty, own, ask(4, organization_id=2)):
            await client.get_availability(question)
        batch = pb.BatchGetRequest(
            reads=[pb.BatchRead(get_availability=one) for one in (ask(1), own)]
        )
        await client.batch_get(batch)
    asked = [question for _, question in fake.calls[:-1]]
    assert [one.consistency for one in asked] == [
        types_pb2.Consistency(),
        FRESH,
        FRESH,
        own.consistency,
        types_pb2.Consistency(),
    ]
    sent = fake.calls[-1][1].reads
    assert [one.get_availability.consistency for one in sent] == [FRESH, own.consistency]
    assert not batch.reads[0].get_availability.HasField("consistency"), "the caller's own stays"
