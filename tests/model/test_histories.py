"""Thousands of histories: whatever happens, no read is older than it may be."""

import os
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context

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


@pytest.fixture(scope="module")
def parts() -> Iterator[dict[int, Future[tuple[History, str]]]]:
    """Run all histories in processes of their own, as many as there are cores, at most two."""
    workers = min(2, os.cpu_count() or 1)
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield {first: pool.submit(_part, first) for first in range(0, SEEDS, PART)}
        pool.shutdown(cancel_futures=True)


def _part(first: int) -> tuple[History, str]:
    """Run histories; return them added up, and what is to be told of the first that is wrong."""
    total = History()
    for seed in range(first, first + PART):
        history = run(seed)
        if history.violations:
            again = f"python -m tests.model --seed {seed}"
            return total, f"{run(seed, told=True).told()}\nAll of it: {again}"
        total.add(history)
    return total, ""


@pytest.mark.parametrize("first", range(0, SEEDS, PART))
def test_no_history_is_stale_and_all_end_well(
    parts: dict[int, Future[tuple[History, str]]], first: int
) -> None:
    """No read misses what it must have seen; afterwards all is applied and hits are served."""
    total, wrong = parts[first].result()
    if wrong:
        pytest.fail(wrong, pytrace=False)
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
