"""The rules of the salon as pure functions: no input, no output, no clock, no other package."""

from booking_service.domain.intervals import Interval
from booking_service.domain.money import change_pct, pct, ratio, to_cents
from booking_service.domain.opening import (
    Period,
    day_bounds,
    local_day,
    local_midnight,
    open_periods,
    open_time,
)
from booking_service.domain.slots import (
    Blocked,
    FreeSlot,
    Refusal,
    ServiceTerms,
    candidate_slots,
    check_booking,
    day_slots,
    offered,
)
from booking_service.domain.statuses import (
    CANCELLABLE,
    HOLDING,
    RESCHEDULABLE,
    Status,
    can_move,
)

__all__ = [
    "CANCELLABLE",
    "HOLDING",
    "RESCHEDULABLE",
    "Blocked",
    "FreeSlot",
    "Interval",
    "Period",
    "Refusal",
    "ServiceTerms",
    "Status",
    "can_move",
    "candidate_slots",
    "change_pct",
    "check_booking",
    "day_bounds",
    "day_slots",
    "local_day",
    "local_midnight",
    "offered",
    "open_periods",
    "open_time",
    "pct",
    "ratio",
    "to_cents",
]
