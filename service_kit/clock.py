"""Where the time comes from: always passed in, never read from the system in passing."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Protocol

__all__ = ["Clock", "SystemClock", "elapsed"]

_COUNTS_SUSPENSION = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


elapsed: Callable[[], float] = partial(time.clock_gettime, _COUNTS_SUSPENSION)
"""Return seconds that only go forward, also while the machine is suspended."""


class Clock(Protocol):
    """Tell the time."""

    def now(self) -> datetime:
        """Return the present instant, aware and in UTC."""
        ...


class SystemClock:
    """Run on from `start` (aware; None: the real time) at the pace of the system's clock.

    A started clock follows the monotonic clock, so that a step of the system's
    time does not move the shop's day.
    """

    def __init__(self, start: datetime | None = None) -> None:
        if start is not None and start.tzinfo is None:
            message = "a clock starts at an aware instant"
            raise ValueError(message)
        self._start = None if start is None else start.astimezone(UTC)
        self._zero = time.monotonic()

    def now(self) -> datetime:
        """Return the present instant, aware and in UTC."""
        if self._start is None:
            return datetime.now(UTC)
        return self._start + timedelta(seconds=time.monotonic() - self._zero)
