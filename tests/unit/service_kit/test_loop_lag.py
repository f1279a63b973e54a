"""How late the event loop is."""

from contextlib import AsyncExitStack

from service_kit.loop_lag import watch_loop
from tests.support.waiting import eventually


async def test_a_loop_that_is_held_up_is_late() -> None:
    """What passes beyond the time that was set is counted, until the stack is closed."""
    now = 100.0
    async with AsyncExitStack() as stack:
        late = watch_loop(stack, lambda: now)
        now += 0.25 + 0.4

        async def told() -> bool:
            return sum(late.counts) > 0

        await eventually(told)
    assert late.counts[late.bounds.index(0.5)] == 1
    assert round(late.seconds, 6) == 0.4


async def test_a_timer_that_is_early_is_not_late() -> None:
    """Timers of whole milliseconds may be early: that is no lag, and nothing below it."""
    now = 100.0
    async with AsyncExitStack() as stack:
        late = watch_loop(stack, lambda: now)
        now += 0.2495

        async def told() -> bool:
            return sum(late.counts) > 0

        await eventually(told)
    assert late.seconds == 0.0
