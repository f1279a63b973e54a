"""What was done and seen, by one clock: the monotonic one of the harness.

An operation's start is taken before it is sent and its end after its answer came, so a
read that starts after a mutation's end really began after the acknowledgement.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

__all__ = ["COMPLETED", "HELD", "History", "Money", "Query", "Read", "Service", "Visit", "Write"]

Query = tuple[str | int, ...]
"""One entry that is read: a kind and its arguments.

`("free", barber, service, day)`, `("busy", barber, day)`, `("visits", barber)`,
`("client", client)`, `("revenue",)`; days are ordinals.
"""

HELD = "SCHEDULED"
"""The status of an appointment to come; besides there are COMPLETED and CANCELLED ones."""
COMPLETED = "COMPLETED"
"""Of one that is over, whenever it was to be: it holds its time, and is shown as busy."""


class Visit(NamedTuple):
    """One version of an appointment; times are seconds since the epoch."""

    version: int
    barber: int
    service: int
    client: int
    start: int
    end: int
    status: str


class Money(NamedTuple):
    """A payment, or a refund (with `refund`), in cents."""

    id: int
    client: int
    cents: int
    refund: bool


@dataclass(slots=True)
class Write:
    """A mutation, with its repeats by the same request id.

    `ended` is when the last attempt was answered or given up. `acknowledged` means that
    it was answered with success, `applied_at` when so with `cache_applied`. `committed`
    is None while nobody knows. `visits` are the versions that it made, by appointment, and
    `left` those known before, where they were. `token` came with the success.
    """

    method: str
    request_id: str
    started: float
    ended: float = 0.0
    acknowledged: bool = False
    applied_at: float | None = None
    committed: bool | None = None
    visits: dict[int, Visit] = field(default_factory=dict)
    left: list[Visit] = field(default_factory=list)
    money: Money | None = None
    token: bytes = b""
    attempts: int = 0
    error: str = ""


class Read(NamedTuple):
    """An entry read: what it showed, in a form of the kind's own (see `answers.py`).

    `after` is the mutation whose token it carried. One that was `flagged` as stale is judged
    as if it had begun by its caller's `allowance` earlier, in seconds: `started` is then.
    """

    query: Query
    process: int
    started: float
    ended: float
    answer: object
    source: str
    after: Write | None = None
    flagged: bool = False
    allowance: float = 0.0


class Service(NamedTuple):
    """A service's length and buffers, in seconds."""

    duration: int
    before: int
    after: int


@dataclass(slots=True)
class History:
    """One round's operations.

    `grid` gives the starts of all slots of ("free", ...) queries while nothing is booked,
    `quiet` the spans in which no fault was in force, `day_of` an instant's local day.
    """

    services: Mapping[int, Service]
    grid: dict[Query, tuple[int, ...]]
    day_of: Callable[[int], int]
    writes: list[Write] = field(default_factory=list)
    reads: list[Read] = field(default_factory=list)
    quiet: list[tuple[float, float]] = field(default_factory=list)
