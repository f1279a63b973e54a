"""No answer outlives a change of it: random changes, their outbox events, and every query.

A pair is an entry's answer compared before and after a commit. Where it differs the entry must
have a tag that the commit's events touch, or a cache would go on serving the old one. Where it
is the same the entry should survive: the share that does is what the tags' fineness is worth.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from random import Random

import pytest

from cache_service.edge.declared import discover
from cache_service.invalidation import rules
from chairside.cache.v1.events_pb2 import Event
from tests.conftest import NewDatabase
from tests.support.cached_entries import Entry, entries_of
from tests.support.mutations import BOOKING_MUTATIONS, Mutation
from tests.support.races import RACES, alone, race
from tests.support.shop_mutations import SETTINGS, SHOP_MUTATIONS
from tests.support.small_shop import SmallShop
from tests.support.tag_property import (
    Commit,
    World,
    missed,
    open_world,
    own_tags,
    shape,
    told,
)

PAIRS = 100_000
COMMITS = 70
"""Of each shop, at least: a new query's entries make the run longer, not the changes fewer."""
ZONES = (
    "America/New_York",  # the clocks change at two at night
    "Asia/Kolkata",  # never
    "Australia/Lord_Howe",  # by half an hour
    "Asia/Amman",  # at midnight, which is left out
    "America/Sao_Paulo",  # at midnight, which comes twice
)
MUTATIONS = (*BOOKING_MUTATIONS, *BOOKING_MUTATIONS, *SHOP_MUTATIONS)
# Each kind of change, and each race in both orders of beginning and of commit.
EVERY = (
    *dict.fromkeys(MUTATIONS),
    *(SETTINGS for _ in ZONES),
    *((name, how) for name in RACES for how in range(4)),
)
ZONE_RACES = tuple(name for name in RACES if name.endswith("zone"))
_ALONE, _SEVERAL = 0.5, 0.6
_LEAST_CHANGED, _LEAST_CHANGED_OF_A_QUERY = 5_000, 10
_SURVIVORS, _SURVIVORS_OF_A_REPORT = 0.85, 0.8
_LOG = logging.getLogger(__name__)


async def change_at_random(
    world: World, random: Random, once: Sequence[Mutation | tuple[str, int]], pairs: int
) -> None:
    """Make each change of `once`, then others, until so many pairs and commits are made."""
    every = list(once)
    random.shuffle(every)
    often = [name for name in RACES if name not in ZONE_RACES]
    while every or world.pairs < pairs or len(world.commits) < COMMITS:
        kind = random.random()
        if every:
            chosen = every.pop()
        elif kind < _ALONE:
            chosen = random.choice(MUTATIONS)
        elif kind < _SEVERAL:
            await alone(world, random.choices(MUTATIONS, k=3), random)
            continue
        else:
            chosen = (random.choice(often), random.randrange(4))
        if isinstance(chosen, tuple):
            name, how = chosen
            await race(world, RACES[name], random, turned=how > 1, late=bool(how % 2))
        else:
            await alone(world, [chosen], random)


async def run(new_database: NewDatabase, number: int, pairs: int) -> list[Commit]:
    """Change a shop of its own zone; the shop beside it must not notice."""
    zone, other = ZONES[number], ZONES[number - 1]
    beside = SmallShop(2, other)
    async with open_world(new_database, SmallShop(1, zone), beside=[beside]) as world:
        theirs = await world.load(entries_of(beside))
        random = Random(number)  # noqa: S311 - a test's
        await change_at_random(world, random, EVERY[number :: len(ZONES)], pairs)
        assert await world.load(entries_of(beside)) == theirs
        return world.commits


@pytest.fixture(scope="module")
async def commits(new_database: NewDatabase) -> list[Commit]:
    """Change shops in several zones at random, side by side."""
    async with asyncio.TaskGroup() as group:
        runs = [
            group.create_task(run(new_database, number, PAIRS // len(ZONES)))
            for number in range(len(ZONES))
        ]
    return [commit for one in runs for commit in one.result()]


async def test_every_changed_answer_has_a_touched_tag(commits: Sequence[Commit]) -> None:
    """A hundred thousand pairs: no changed answer is untouched, and most others survive."""
    assert list(missed(commits)) == []
    pairs, changed, dropped = Counter[str](), Counter[str](), Counter[str]()
    for commit in commits:
        changed.update(query.name for query, _ in commit.changed)
        pairs.update(query.name for query, _ in (*commit.changed, *commit.unchanged))
        touched = {shop: told(commit, shop) for shop in (1, 2)}
        dropped.update(
            entry[0].name
            for entry in commit.unchanged
            if touched[entry[1].organization_id] & own_tags(entry)
        )
    kept = 1 - dropped.total() / (pairs.total() - changed.total())
    kept_of = {name: 1 - dropped[name] / (pairs[name] - changed[name]) for name in pairs}
    for name in sorted(pairs):
        of_name = pairs[name], changed[name], dropped[name], kept_of[name]
        _LOG.info("%s: %d pairs, %d changed, %d dropped for nothing; %.3f survive", name, *of_name)
    _LOG.info("%d commits; %.3f of the unchanged answers survive", len(commits), kept)
    assert pairs.total() >= PAIRS
    # The check bites: answers of every query did change, and often.
    assert changed.total() >= _LEAST_CHANGED
    few = {query.name for query in discover() if changed[query.name] < _LEAST_CHANGED_OF_A_QUERY}
    assert few == set()
    assert kept > _SURVIVORS
    reports = {query.name for query in discover() if query.prefix.startswith("analytics:")}
    assert {name for name in reports if kept_of[name] < _SURVIVORS_OF_A_REPORT} == set()


async def test_every_race_was_run_in_both_orders(commits: Sequence[Commit]) -> None:
    """Of each race both transactions committed, whichever began first and ended first."""
    names = {commit.name for commit in commits}
    for race_name in RACES:
        for which in ("first", "second"):
            ran = {name for name in names if name.startswith(f"{which} of {race_name}")}
            assert ran, f"no {which} of {race_name} was committed"


SHAPES = [
    *("organization", "barbers", "services", "clients", "bookings"),
    *("barber:#", "service:#", "client:#", "schedule:#", "day:#:#", "busy:#:#"),
    *("hours:shop", "hours:barber:#", "openings:shop:#", "openings:barber:#:#"),
    *("bookings:shop:#", "bookings:barber:#:#", "bookings:barber:#", "bookings:client:#"),
    *("money:shop:#", "money:barber:#:#", "money:client:#", "earned:shop:#", "earned:barber:#:#"),
    *("bookings:shop:#:#x#", "bookings:barber:#:#:#x#", "money:shop:#:#x#"),
    *("money:barber:#:#:#x#", "earned:shop:#:#x#", "earned:barber:#:#:#x#"),
    *("visits:shop:#x#", "visits:barber:#:#x#", "spent:shop:#x#", "spent:barber:#:#x#"),
]
"""Every kind of tag that the rules tell; a new one belongs here."""


async def test_the_controls_leave_out_every_kind_of_tag(commits: Sequence[Commit]) -> None:
    """What the events of the run told is all among what the controls leave out."""
    assert {shape(tag) for commit in commits for tag in told(commit, 1)} <= set(SHAPES)


@pytest.mark.parametrize("left_out", SHAPES)
async def test_leaving_out_a_tag_is_noticed(commits: Sequence[Commit], left_out: str) -> None:
    """Rules that never tell one kind of tag miss a changed answer in the same run."""

    def tags_of(event: Event) -> frozenset[str]:
        return frozenset(tag for tag in rules.tags_of(event) if shape(tag) != left_out)

    assert next(missed(commits, tags_of), None) is not None


def _without_old(event: Event) -> None:
    change = getattr(event, str(event.WhichOneof("change")))
    if "old" in change.DESCRIPTOR.fields_by_name and change.HasField("new"):
        change.ClearField("old")


def _without_new(event: Event) -> None:
    change = getattr(event, str(event.WhichOneof("change")))
    if "new" in change.DESCRIPTOR.fields_by_name and change.HasField("old"):
        change.ClearField("new")


def _one_day(event: Event) -> None:
    for side in (event.appointment.old, event.appointment.new):
        if side.HasField("blocked_from"):
            side.blocked_from.CopyFrom(side.date)
            side.blocked_to.CopyFrom(side.date)


def _slots_stay(event: Event) -> None:
    if event.HasField("appointment"):
        event.appointment.availability_unchanged = True


def _money_of_the_appointment(event: Event) -> None:
    for side in (event.payment.old, event.payment.new):
        if side.appointment_id:
            side.date.CopyFrom(side.appointment_date)


def _earned_when_paid(event: Event) -> None:
    for side in (event.payment.old, event.payment.new):
        if side.appointment_id:
            side.appointment_date.CopyFrom(side.date)


@pytest.mark.parametrize(
    "spoil",
    [
        _without_old,
        _without_new,
        _one_day,
        _slots_stay,
        _money_of_the_appointment,
        _earned_when_paid,
    ],
)
async def test_events_that_tell_less_are_noticed(
    commits: Sequence[Commit], spoil: Callable[[Event], None]
) -> None:
    """Events without one of their facts miss a changed answer in the same run."""

    def tags_of(event: Event) -> frozenset[str]:
        spoiled = Event()
        spoiled.CopyFrom(event)
        spoil(spoiled)
        return rules.tags_of(spoiled)

    assert next(missed(commits, tags_of), None) is not None


@pytest.mark.parametrize(
    ("query_name", "left_out"),
    [
        ("appointment_stats", "services"),
        ("appointments", "bookings:client:#"),
        ("availability", "service:#"),
        ("availability", "hours:barber:#"),
        ("booked_slots", "busy:#:#"),
        ("revenue", "money:shop:#"),
        ("roster", "services"),
        ("services", "barber:#"),
        ("lifetime_value", "spent:shop:#x#"),
        ("retention", "visits:barber:#:#x#"),
        ("six_figure", "visits:shop:#x#"),
        ("six_figure", "money:shop:#"),
        ("six_figure", "money:barber:#:#:#x#"),
        ("comparison", "money:shop:#:#x#"),
        ("comparison", "bookings:barber:#:#:#x#"),
        ("user_data", "money:client:#"),
    ],
)
async def test_a_query_without_one_of_its_tags_is_noticed(
    commits: Sequence[Commit], query_name: str, left_out: str
) -> None:
    """A query that names one kind of its tags no more misses a change of its answers."""

    def tags(entry: Entry) -> frozenset[str]:
        own = own_tags(entry)
        if entry[0].name != query_name:
            return own
        return frozenset(tag for tag in own if shape(tag) != left_out)

    miss = next(missed(commits, tags=tags), None)
    assert miss is not None
    assert f": {query_name} " in miss
