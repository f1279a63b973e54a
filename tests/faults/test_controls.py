"""With a rule broken, the checker must find what goes wrong; with none, nothing."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from random import Random

import pytest

from tests.faults.broken import RULES
from tests.faults.cluster import Cluster
from tests.faults.scenarios import (
    Play,
    expelled_member,
    fenced,
    held_load,
    overtaken,
    play,
    unheard,
)

Scenario = Callable[[Play], Awaitable[None]]

SCENARIOS: dict[str, Scenario] = dict.fromkeys(RULES, held_load) | {
    "no fence wait": fenced,
    "an expelled member ignored": expelled_member,
    "nobody waits for acknowledgements": unheard,
    "memory ignores the marker": overtaken,
}
_TRIES = 5
"""A lease lasts a second: a busy machine may have let it run out before the reader asked."""


@pytest.fixture(scope="module")
def rule(server_directory: Path) -> Path:
    """Name a file whose content is the rule that the cache processes break."""
    path = server_directory / "broken-rule"
    path.touch()
    return path


@pytest.fixture(scope="module")
async def cluster(server_directory: Path, rule: Path) -> AsyncIterator[Cluster]:
    """Run one cluster whose cache processes break a rule on demand."""
    directory = server_directory / "controls"
    async with Cluster(directory, Random(1), broken=rule) as running:  # noqa: S311
        yield running


def _break(rule: Path, name: str) -> None:
    rule.write_text(name)


@pytest.mark.parametrize("scenario", [held_load, fenced, expelled_member, unheard, overtaken])
async def test_the_system_withstands_it(cluster: Cluster, rule: Path, scenario: Scenario) -> None:
    """Nobody is told that a slot is free whose booking is acknowledged."""
    _break(rule, "")
    verdict = await play(cluster, scenario)
    assert verdict.reads > 0
    assert verdict.violations == []


@pytest.mark.parametrize("broken", RULES)
async def test_a_broken_rule_is_caught(cluster: Cluster, rule: Path, broken: str) -> None:
    """The same scenario with one rule broken shows a taken slot as free."""
    _break(rule, broken)
    for _ in range(_TRIES):
        verdict = await play(cluster, SCENARIOS[broken])
        if verdict.violations:
            break
    assert [violation.kind for violation in verdict.violations].count("stale") >= 1
    assert all("appointment" in violation.detail for violation in verdict.violations)
