"""What memory says that it keeps is what it takes."""

import gc
import tracemalloc
from collections.abc import Callable
from datetime import date, timedelta

import pytest

from cache_service.coherence.era import Era
from cache_service.coherence.memory import Memory
from cache_service.coherence.outcome import Answer, Outcome
from cache_service.coherence.ports import Read
from cache_service.edge.declared import by_rpc, discover
from cache_service.invalidation.tags import SCOPE
from cache_service.queries.availability import AvailabilityDay, availability
from cache_service.queries.user_data import UserArguments, user_data
from chairside.cache.v1 import analytics_pb2
from chairside.cache.v1.cache_service_pb2 import GetAnalyticsRequest
from service_kit.values import to_date

_FIRST = date(2030, 1, 1)
_COUNT = 2000
_PAYLOAD = 300


def _availability(number: int) -> Read:
    """Many services share a barber's day."""
    rest, offset = divmod(number, 100)
    arguments = AvailabilityDay(1, rest // 10 + 1, rest % 10 + 1, _FIRST + timedelta(days=offset))
    return Read("availability", availability.key(arguments), availability.tags(arguments), 60.0)


def _user_data(number: int) -> Read:
    """Nobody shares what is about one client."""
    arguments = UserArguments(1, number)
    return Read("user_data", user_data.key(arguments), user_data.tags(arguments), 60.0)


def _lifetime_value(number: int) -> Read:
    """A report as of a day has dozens of tags, most of which it shares with the days around."""
    query = by_rpc(discover())["lifetime_value"]
    assert query.rpc is not None
    barber, offset = divmod(number, 500)
    request = GetAnalyticsRequest(
        organization_id=1,
        barber_id=barber + 1,
        as_of_date=to_date(_FIRST + timedelta(days=offset)),
        lifetime_value=analytics_pb2.LifetimeValueOptions(),
    )
    (arguments,) = query.rpc.arguments(request, None)
    return Read("lifetime_value", query.key(arguments), query.tags(arguments), 60.0)


@pytest.mark.parametrize("read_of", [_availability, _user_data, _lifetime_value])
def test_memory_takes_what_it_counts(read_of: Callable[[int], Read]) -> None:
    """Within a fifth, for answers with few tags and many, shared and not; and gives it back."""
    read_of(0)  # what is made once only
    memory, era = Memory(1 << 30, lambda: 1000.0), Era("database", "epoch", "server")
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for number in range(_COUNT):
            read = read_of(number)
            read = read._replace(tags=(SCOPE, *read.tags))
            snapshot = f"{7_000_000 + number}:{7_000_000 + number}:"
            answer = Answer(bytes(_PAYLOAD), Outcome.HIT, snapshot, 1000.0 + number)
            memory.put(era, memory.marker(), 1, read, answer, answer.filled_at + read.ttl)
        gc.collect()  # what making the reads left behind is not memory's
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert len(memory) == _COUNT
    assert memory.bytes == pytest.approx(taken, rel=0.2)
    memory.drop(1, [SCOPE])
    assert len(memory) == memory.bytes == 0
