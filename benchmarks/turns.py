"""Sides that take turns, round by round, so that a disturbance from outside hits all alike."""

import statistics
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

__all__ = ["ratio", "spread", "take_turns"]

T = TypeVar("T")

_TOLD = 10
"""How often a run says how far it is."""


async def take_turns(
    what: str, rounds: int, sides: Mapping[str, Callable[[], Awaitable[T]]]
) -> dict[str, list[T]]:
    """Run every side once in each round, and return what each found, by round.

    A different one comes first each time, for the machine tires.
    """
    found: dict[str, list[T]] = {name: [] for name in sides}
    order = list(sides)
    for number in range(rounds):
        if number % -(-rounds // _TOLD) == 0:
            print(f"{what}: round {number + 1} of {rounds}", flush=True)
        first = number % len(order)
        for name in order[first:] + order[:first]:
            found[name].append(await sides[name]())
    return found


def ratio(one: Sequence[float], other: Sequence[float]) -> float:
    """Return the median over the rounds of one side's figure over the other's."""
    return statistics.median(mine / its for mine, its in zip(one, other, strict=True))


def spread(values: Sequence[float]) -> str:
    """Return where the middle half of the rounds lies, against their median."""
    if len(values) < 2:  # noqa: PLR2004 - one round says nothing about others
        return "-"
    low, middle, high = statistics.quantiles(values, n=4)
    return f"{low / middle - 1:+.0%} {high / middle - 1:+.0%}"
