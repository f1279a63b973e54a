"""An appointment's statuses and the moves between them that make sense."""

from collections.abc import Mapping
from enum import StrEnum

__all__ = ["CANCELLABLE", "HOLDING", "RESCHEDULABLE", "Status", "can_move"]


class Status(StrEnum):
    """An appointment's status, spelt as in the database."""

    PENDING = "pending"
    SCHEDULED = "scheduled"
    CONFIRMED = "confirmed"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    NO_SHOW = "no_show"


HOLDING = frozenset(Status) - {Status.CANCELLED}
"""Statuses that hold time; a pending one only until its hold ends."""

RESCHEDULABLE = frozenset({Status.PENDING, Status.SCHEDULED, Status.CONFIRMED})
"""Statuses in which the time may still change."""

CANCELLABLE = RESCHEDULABLE
"""Statuses that may become cancelled."""

_MOVES: Mapping[Status, frozenset[Status]] = {
    Status.PENDING: frozenset({Status.CONFIRMED, Status.CANCELLED}),
    Status.SCHEDULED: frozenset(
        {
            Status.CONFIRMED,
            Status.IN_PROGRESS,
            Status.COMPLETED,
            Status.CANCELLED,
            Status.NO_SHOW,
        }
    ),
    Status.CONFIRMED: frozenset(
        {Status.IN_PROGRESS, Status.COMPLETED, Status.CANCELLED, Status.NO_SHOW}
    ),
    Status.IN_PROGRESS: frozenset({Status.COMPLETED}),
    Status.COMPLETED: frozenset(),
    Status.CANCELLED: frozenset(),
    Status.NO_SHOW: frozenset(),
}


def can_move(old: Status | str, new: Status | str) -> bool:
    """Tell whether an appointment may go from one status to another; staying is not a move.

    Raises:
        ValueError: either is no status at all.

    """
    return Status(new) in _MOVES[Status(old)]
