"""Thousands of histories: whatever happens, no read is older than it may be."""

from collections import Counter

import pytest

from tests.model.history import History, run

SEEDS = 3000
PART = 500

AT_LEAST = {
    "hit": 4000,
    "near": 5000,
    "miss": 5000,
    "shared": 500,
    "stale": 50,
    "uncached": 2000,
    "acknowledged": 2000,
    "reads at an acknowledgement": 5000,
    "reads with tokens": 500,
    "relayed": 500,
    "fences": 50,
    "expulsions": 100,
    "EXPELLED": 50,
    "TURNED_OFF": 20,
    "TURNED_ON": 50,
    "OVERTAKEN": 10,
    "connection lost": 500,
    "stop": 100,
    "kill": 40,
    "older": 20,
    "OUTDATED": 20,
    "restart": 40,
    "promote": 50,
    "evict": 100,
    "flush": 40,
    "isolate": 50,
}
"""What 500 histories must have of each, or they would show little."""


@pytest.mark.parametrize("first", range(0, SEEDS, PART))
def test_no_history_is_stale_and_all_end_well(first: int) -> None:
    """No read misses what it must have seen; afterwards all is applied and hits are served."""
    total = History()
    for seed in range(first, first + PART):
        history = run(seed)
        if history.violations:
            again = f"python -m tests.model --seed {seed}"
            pytest.fail(f"{run(seed, told=True).told()}\nAll of it: {again}", pytrace=False)
        total.add(history)
    few = {what: total.counts[what] for what, least in AT_LEAST.items() if _few(total, least, what)}
    assert not few, "too few to show anything"


def _few(total: History, least: int, what: str) -> bool:
    return total.counts[what] < least * total.seeds / PART


def test_a_seed_is_one_history() -> None:
    """A seed that failed fails again: everything in a history is drawn from its seed."""
    once, again, another = run(11, told=True), run(11, told=True), run(12, told=True)
    assert once.lines == again.lines
    assert Counter(once.counts) == Counter(again.counts)
    assert once.lines != another.lines
