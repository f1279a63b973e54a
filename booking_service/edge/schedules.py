"""The methods that say when barbers work."""

from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise

from booking_service.edge import messages
from booking_service.edge.mutating import Mutating, checked, given
from booking_service.edge.statuses import MAX_REASON
from booking_service.use_cases.schedules import (
    Day,
    NewTimeOff,
    Week,
    add_time_off,
    remove_special_hours,
    remove_time_off,
    set_special_hours,
    set_weekly_hours,
)
from chairside.booking.v1 import booking_service_pb2 as pb
from chairside.cache.v1.types_pb2 import LocalPeriod
from service_kit.calls import Context
from service_kit.validation import Violations
from service_kit.values import from_periods

__all__ = ["Schedules"]

_WEEKDAYS = range(7)
_LONGEST_TIME_OFF = timedelta(days=366)


class Schedules(Mutating):
    """Weekly hours, time off, special hours."""

    async def SetWeeklyHours(
        self, request: pb.SetWeeklyHoursRequest, context: Context
    ) -> pb.SetWeeklyHoursResponse:
        """Set a week that holds from a day on."""
        v = Violations()
        organization_id = v.id("organization_id", request.organization_id)
        barber_id = v.id("barber_id", request.barber_id)
        has_day = request.HasField("valid_from")
        valid_from = v.date("valid_from", request.valid_from, has=has_day)
        week: dict[int, Sequence[tuple[int, int]]] = {}
        for index, each in enumerate(request.weekdays):
            path = f"weekdays[{index}]"
            if each.weekday not in _WEEKDAYS:
                v.add(f"{path}.weekday", "must be from 0 (Monday) to 6 (Sunday)")
            elif each.weekday in week:
                v.add(f"{path}.weekday", "is there twice")
            week[each.weekday] = _periods(v, f"{path}.periods", each.periods)
        wanted = Week(organization_id, barber_id, valid_from, week)
        return await self.mutate(
            context,
            checked(v, request),
            lambda tx: set_weekly_hours(tx, wanted),
            pb.SetWeeklyHoursResponse,
            weekly_hours=messages.weekly_hours,
        )

    async def AddTimeOff(
        self, request: pb.AddTimeOffRequest, context: Context
    ) -> pb.AddTimeOffResponse:
        """Take time off a barber's open time."""
        v = Violations()
        organization_id = v.id("organization_id", request.organization_id)
        barber_id = v.id("barber_id", request.barber_id)
        start = v.timestamp(
            "start_time", request.start_time, has=request.HasField("start_time"), required=True
        )
        end = v.timestamp(
            "end_time", request.end_time, has=request.HasField("end_time"), required=True
        )
        if start is not None and end is not None:
            if end <= start:
                v.add("end_time", "must be after start_time")
            elif end - start > _LONGEST_TIME_OFF:
                v.add("end_time", f"must be at most {_LONGEST_TIME_OFF.days} days later")
        reason = v.text("reason", request.reason, maximum=MAX_REASON, multiline=True)
        told = checked(v, request)
        wanted = NewTimeOff(organization_id, barber_id, given(start), given(end), reason)
        return await self.mutate(
            context,
            told,
            lambda tx: add_time_off(tx, wanted),
            pb.AddTimeOffResponse,
            time_off=messages.time_off,
        )

    async def RemoveTimeOff(
        self, request: pb.RemoveTimeOffRequest, context: Context
    ) -> pb.RemoveTimeOffResponse:
        """Give time off back."""
        v = Violations()
        organization_id = v.id("organization_id", request.organization_id)
        time_off_id = v.id("time_off_id", request.time_off_id)
        return await self.mutate(
            context,
            checked(v, request),
            lambda tx: remove_time_off(tx, organization_id, time_off_id),
            pb.RemoveTimeOffResponse,
            time_off=messages.time_off,
        )

    async def SetSpecialHours(
        self, request: pb.SetSpecialHoursRequest, context: Context
    ) -> pb.SetSpecialHoursResponse:
        """Replace the weekly hours of one local day, or take that back."""
        v = Violations()
        organization_id = v.id("organization_id", request.organization_id)
        barber_id = v.id("barber_id", request.barber_id)
        day = v.date("date", request.date, has=request.HasField("date"), required=True)
        periods = _periods(v, "periods", request.periods)
        if request.remove and request.periods:
            v.add("periods", "must be empty where the special hours are removed")
        told = checked(v, request)
        wanted = Day(organization_id, barber_id, given(day), periods)
        return await self.mutate(
            context,
            told,
            lambda tx: (
                remove_special_hours(tx, organization_id, barber_id, wanted.day)
                if request.remove
                else set_special_hours(tx, wanted)
            ),
            pb.SetSpecialHoursResponse,
            special_hours=messages.special_hours,
        )


def _periods(v: Violations, path: str, periods: Sequence[LocalPeriod]) -> list[tuple[int, int]]:
    """Read periods that do not overlap; those that touch become one."""
    merged = v.periods(path, periods)
    told = sorted(from_periods(periods))
    if any(after[0] < before[1] for before, after in pairwise(told)):
        v.add(path, "must not overlap")
    return merged
