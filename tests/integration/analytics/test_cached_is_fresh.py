"""After every kind of mutation, every report from the cache is what the database says."""

from chairside.booking.v1 import booking_service_pb2
from chairside.cache.v1 import types_pb2
from tests.integration.analytics.asking import compared
from tests.integration.analytics.every_mutation import READS
from tests.integration.analytics.opened import FRESH, MINUTE, Open, payloads
from tests.support.plain_reports import REPORTS, read_books

SERVICE = booking_service_pb2.DESCRIPTOR.services_by_name["BookingService"]
SURVIVE = 0.75
"""Of the answers that a mutation leaves as they were; half of these change the shop itself."""


async def test_no_report_is_older_than_any_mutation(salon: Open) -> None:
    """Every method that changes something: what it leaves alone stays cached, the rest goes."""
    seen: set[str] = set()
    unchanged, survived, changed, stale = 0, 0, dict.fromkeys(REPORTS, 0), 0
    before = payloads(await salon.read())
    async for method in salon.mutating.all():
        seen.add(method)
        if method == "RefundPayment":
            # The control: who allows it may get what was so before, which is told to differ.
            allowed = payloads(await salon.read(MINUTE))
        cached = await salon.read()
        sources = [response.cache_info.source for response in cached]
        found, fresh = payloads(cached), payloads(await salon.read(FRESH))
        for request, one, other in zip(salon.requests, found, fresh, strict=True):
            assert one == other, f"after {method}: {request}"
        for old, new, source in zip(before, fresh, sources, strict=True):
            changed[str(new.WhichOneof("report"))] += old != new
            unchanged += old == new
            survived += old == new and source != types_pb2.SOURCE_DATABASE
        if method == "RefundPayment":
            stale += allowed != fresh
        before = fresh
    books = await read_books(salon.mutating.connection, salon.shop.organization_id)
    assert compared(books, salon.requests, before) == []
    assert seen == set(SERVICE.methods_by_name) - READS
    assert survived > SURVIVE * unchanged
    assert stale
    assert all(changed.values()), changed
