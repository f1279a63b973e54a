"""Each rule of the protocol left out in turn is caught, at random or where it is forced."""

import pytest

from tests.model.broken import BROKEN, WITHOUT_EXPULSION
from tests.model.history import run
from tests.model.rules import Rules
from tests.model.scenarios import SCENARIOS
from tests.model.scene import Scene
from tests.model.staging import LEG

SEEDS = 300

AT_RANDOM = (
    "guards are not compared at the put",
    "memory ignores the marker",
    "nobody checks the server's identity",
    "nobody waits for acknowledgements",
    "members acknowledge before they drop",
    "the fence does not wait",
    "guards are read after the data",
    "entries are deleted instead of guards",
    "only what was found is published",
    "a reply is recalled by its entry alone",
    "keys carry no epoch",
    "memory outlives its era",
    "tokens are ignored",
    "tokens are not compared with what is in memory",
    "a fully consistent read is a default one",
)
"""Those that random histories catch soon."""

FORCED = {
    "a lease never runs out": "isolated",
    "a lease counts from the arrival of its answer": "late_answer",
    "who is expelled already is ignored": "expelled_before",
    "nobody waits for who is expelled": "isolated",
    "members are looked at before the script": "joined_meanwhile",
    "the cache is turned on at once": "new_epoch",
    "the expelled keep their memory": "registered_anew",
    "nonces are counters": "evicted_guard",
    "loads are shared by the entry alone": "load_under_way",
    "load locks are kept by the entry alone": "load_elsewhere",
    "loads that have begun are joined": "uncached_load_under_way",
    "a lost connection is ignored": "disconnected",
    "another database's leases are forgotten": "switched_over",
    "leases are waited for without a margin": "slow_clock",
    "the script is not run again under another epoch": "known_too_long",
    "the expelled go on renewing": "heard_too_late",
    "another identity comes without a time of off": "there_and_back",
    "older rules go on invalidating": "older_invalidates",
    "older rules go on serving hits": "older_reads",
    "the relay deletes before it applies": "relay_dies",
    "the relay goes on from the last id": "committed_late",
    "tokens take any shared load": "token_and_load",
    "tokens take what had only begun": "token_of_in_progress",
}
"""Those that need a directed scenario, and which."""


def test_every_control_is_run() -> None:
    """No rule left out is left out of the tests."""
    assert sorted((*AT_RANDOM, *FORCED)) == sorted(BROKEN)
    assert set(FORCED.values()) == set(SCENARIOS)


@pytest.mark.parametrize("name", AT_RANDOM)
def test_a_rule_left_out_is_caught_at_random(name: str) -> None:
    """Random histories come upon a stale read soon."""
    for seed in range(SEEDS):
        if run(seed, BROKEN[name]).stale:
            return
    pytest.fail(f"not caught in {SEEDS} histories")


@pytest.mark.parametrize("name", FORCED)
def test_a_rule_left_out_is_caught_where_it_is_forced(name: str) -> None:
    """The interleaving that the rule is there for gives a stale read without it."""
    assert _played(FORCED[name], BROKEN[name]).stale


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_protocol_stands_where_it_is_forced(scenario: str) -> None:
    """With all rules the same interleavings give no stale read."""
    scene = _played(scenario, Rules())
    assert scene.stale == []
    assert scene.unwell == []


def test_forgetting_alone_makes_up_for_a_lost_connection() -> None:
    """Even if nobody were expelled, who lost its connection serves nothing that it missed."""
    assert _played("disconnected", WITHOUT_EXPULSION).stale == []


def _played(scenario: str, rules: Rules) -> Scene:
    scene = Scene(0, rules, steady=LEG)
    SCENARIOS[scenario](scene)
    return scene
