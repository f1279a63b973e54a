"""A short run of load and faults over real processes, as `make soak` does at length."""

import asyncio
import json
import sys
from pathlib import Path

import pytest

from devstack.children import Child
from devstack.services import environment
from tests.faults.checker import G2_SECONDS

_SECONDS = 50
_READS = 100_000
_NEAR = 10_000
_KINDS = 12
_SEED = 1
_PATIENCE = 600.0


async def test_no_read_is_older_than_an_acknowledgement(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Under faults of many kinds nothing acknowledged is missed, lost, doubled or made up."""
    found, table = tmp_path / "faults.json", tmp_path / "faults.md"
    run = Child(
        "faults",
        [
            *(sys.executable, "-m", "tests.faults", "--output", found, "--markdown", table),
            *("--seconds", str(_SECONDS), "--seed", str(_SEED)),
            *("--least", str(_READS), "--least-faults", str(_KINDS)),
        ],
        log_path=tmp_path / "faults.log",
        environ=environment({}) | {"COLUMNS": "100"},
    )
    async with run, asyncio.timeout(_PATIENCE):
        code = await run.wait()
    with capsys.disabled():
        sys.stdout.write(f"\n{run.output()}\n")
    assert code in {0, 1}, "it ran to its end"
    results = json.loads(found.read_text())
    assert results["first_violations"] == []
    assert results["rounds_given_up"] == []
    assert code == 0
    lags = results["applied_after_healing_seconds"]  # in order
    assert lags[len(lags) // 2] <= 1
    assert lags[-1] <= G2_SECONDS
    assert results["metrics"]["chairside_cache_audit_mismatched_total"] == 0
    assert results["metrics"]["chairside_cache_audit_checked_total"] > 0
    _assert_that_it_bit(results)
    assert f"| reads checked | {results['reads_checked']:,} |" in table.read_text()


def _assert_that_it_bit(results: dict[str, object]) -> None:
    """A run without load, without hits, or without effects of its faults proves nothing."""
    kinds = results["faults_by_kind"]
    assert isinstance(kinds, dict)
    assert len([kind for kind, done in kinds.items() if done["effect"]]) >= _KINDS
    for name, least in (
        ("reads_checked", _READS),
        ("reads_answered_wholly_from_cache", _READS // 10),
        ("reads_within_5_ms", _NEAR),
        ("reads_within_5_ms_of_own_change", _NEAR // 20),
        ("reads_flagged_stale_as_allowed", 20),
        ("mutations_applied", 100),
        ("days_of_totals_compared", 20),
    ):
        number = results[name]
        assert isinstance(number, int)
        assert number >= least, name
