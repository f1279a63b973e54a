"""Open time, counted by looking at the shop's clock every five minutes."""

from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from tests.support.plain_reports.arithmetic import DAY, days_of

__all__ = ["Opening"]

_STEP = 5
"""Minutes between two looks; every bound is a multiple, else the count would be wrong."""

Periods = list[tuple[int, int]]


class Opening:
    """The hours of every barber of a shop."""

    def __init__(
        self, zone: ZoneInfo, weekly: list[Any], special: list[Any], time_off: list[Any]
    ) -> None:
        self._zone = zone
        self._rows = {"weekly": weekly, "special": special, "time_off": time_off}
        self._weekly: dict[tuple[int, int], list[tuple[date, Periods]]] = defaultdict(list)
        for row in weekly:
            of = row["barber_id"], row["weekday"]
            self._weekly[of].append((row["valid_from"], _pairs(row["periods"])))
        self._special = {(row["barber_id"], row["day"]): _pairs(row["periods"]) for row in special}
        self._away: dict[int, list[tuple[datetime, datetime]]] = defaultdict(list)
        for row in time_off:
            away = row["starts_at"], row["ends_at"]
            if any(at.timestamp() % (_STEP * 60) for at in away):
                message = f"time off {away} is not on the steps of {_STEP} minutes"
                raise ValueError(message)
            self._away[row["barber_id"]].append(away)
        self._open = cache(self._count)
        self._clock = cache(self._look)

    def minutes(self, barber_id: int, start: date, end: date) -> int:
        """Count a barber's open minutes of the days [start, end)."""
        return sum(self._open(barber_id, day) for day in days_of(start, end))

    def days(self, barber_id: int, start: date, end: date) -> list[date]:
        """List those of the days [start, end) on which the barber has an open minute."""
        return [day for day in days_of(start, end) if self._open(barber_id, day)]

    def without(self, part: str) -> "Opening":
        """Leave out `special`, `time_off`, or of `weekly` what holds from the latest day on."""
        rows = dict(self._rows)
        latest = max(row["valid_from"] for row in rows["weekly"])
        rows[part] = [r for r in rows[part] if part == "weekly" and r["valid_from"] != latest]
        return Opening(self._zone, **rows)

    def periods(self, barber_id: int, day: date) -> Periods:
        """List a day's periods: its own, else those of the latest week that holds by then."""
        if (barber_id, day) in self._special:
            return self._special[barber_id, day]
        weeks = [w for w in self._weekly[barber_id, day.weekday()] if w[0] <= day]
        return max(weeks)[1] if weeks else []

    def _count(self, barber_id: int, day: date) -> int:
        periods = self.periods(barber_id, day)
        if not periods:
            return 0
        clock = self._clock(day)
        away = [a for a in self._away[barber_id] if a[0] <= clock[-1][0] and clock[0][0] < a[1]]
        return _STEP * sum(
            any(opens <= shown < closes for opens, closes in periods)
            and not any(since <= at < until for since, until in away)
            for at, shown in clock
        )

    def _look(self, day: date) -> list[tuple[datetime, int]]:
        """List the day's instants, each with the minute that the clock shows."""
        at = datetime(day.year, day.month, day.day, tzinfo=UTC) - DAY
        until, found = at + 3 * DAY, []
        while at < until:
            local = at.astimezone(self._zone)
            if local.date() == day:
                found.append((at, local.hour * 60 + local.minute))
            at += timedelta(minutes=_STEP)
        return found


def _pairs(periods: Any) -> Periods:
    found = [(p.lower, p.upper) for p in periods]
    if any(bound % _STEP for pair in found for bound in pair):
        message = f"{found} is not on the steps of {_STEP} minutes"
        raise ValueError(message)
    return found
