"""Who allows answers a minute old: told which are, and given the new ones without asking more."""

from tests.integration.analytics.opened import FRESH, MINUTE, Open, payloads
from tests.support.plain_reports import REPORTS
from tests.support.waiting import eventually


async def test_a_wall_display_is_told_what_is_stale_and_caught_up(salon: Open) -> None:
    """After a visit and its payment each report that they change is stale, and soon is not.

    Nothing but the display reads in between: the old answers are refreshed behind.
    """
    async for _ in salon.mutating.settings():
        pass  # open around the clock
    old = payloads(await salon.read())
    kept = await salon.read(MINUTE)
    assert not any(response.cache_info.stale for response in kept)
    booked = await salon.mutating.book(9)
    for method in ("ConfirmAppointment", "StartAppointment", "CompleteAppointment"):
        await salon.mutating.call(method, appointment_id=booked)
    amount = salon.mutating.amount("432.10")
    await salon.mutating.call("ConfirmPayment", appointment_id=booked, amount=amount)
    shown = await salon.read(MINUTE)
    stale = [response.cache_info.stale for response in shown]
    assert payloads(shown) == old

    async def caught_up() -> bool:
        shown[:] = await salon.read(MINUTE)
        return not any(response.cache_info.stale for response in shown)

    await eventually(caught_up, seconds=30)
    fresh = payloads(await salon.read(FRESH))
    assert payloads(shown) == fresh
    assert stale == [one != other for one, other in zip(old, fresh, strict=True)]
    reports = {new.WhichOneof("report") for new, was in zip(fresh, stale, strict=True) if was}
    assert reports == set(REPORTS)
    assert not all(stale), "the control: what the visit left alone is shown as fresh"
