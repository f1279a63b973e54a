"""Tag completeness: commits, the answers that they changed, and what their events told.

A `World` is a small shop whose changes are recorded; `missed` judges them afterwards. So one
run can be judged by rules that are right and by rules with a part left out.
"""

import re
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import asyncpg
from google.protobuf.json_format import Parse
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from cache_service.invalidation import rules
from cache_service.invalidation.tags import SCOPE
from cache_service.queries.declare import LoadContext
from chairside.cache.v1.events_pb2 import Event
from service_kit.errors import ServiceError
from tests.conftest import NewDatabase
from tests.support.cached_entries import Entry, entries_of
from tests.support.small_shop import SmallShop, write_small_shop

__all__ = ["Commit", "World", "missed", "open_world", "own_tags", "shape", "told"]

NOW = datetime(2018, 4, 1, 16, tzinfo=UTC)
_NUMBERS = re.compile(r"\d[\d-]*")
_SUBJECTS = ("barber_id", "service_id", "client_id")

Rules = Callable[[Event], frozenset[str]]
Tags = Callable[[Entry], frozenset[str]]


@dataclass(frozen=True, slots=True)
class Commit:
    """A committed transaction: its events, and the entries whose answer changed or did not."""

    name: str
    events: tuple[Event, ...]
    changed: tuple[Entry, ...]
    unchanged: tuple[Entry, ...]

    @property
    def pairs(self) -> int:
        """The entries whose answer was compared before and after."""
        return len(self.changed) + len(self.unchanged)


def own_tags(entry: Entry) -> frozenset[str]:
    """Return the tags of an entry, with the scope tag that the protocol adds."""
    query, arguments = entry
    return frozenset({SCOPE, *query.tags(arguments)})


def told(commit: Commit, organization_id: int, tags_of: Rules = rules.tags_of) -> frozenset[str]:
    """Return all tags that the commit's events touch in an organization."""
    return frozenset[str]().union(
        *(tags_of(event) for event in commit.events if event.organization_id == organization_id)
    )


def missed(
    commits: Iterable[Commit], tags_of: Rules = rules.tags_of, tags: Tags = own_tags
) -> Iterator[str]:
    """Yield the changed answers that no event's tags met: a cache would go on serving them."""
    for commit in commits:
        by_shop: dict[int, frozenset[str]] = {}
        for entry in commit.changed:
            query, arguments = entry
            shop = arguments.organization_id
            if shop not in by_shop:
                by_shop[shop] = told(commit, shop, tags_of)
            if not by_shop[shop] & tags(entry):
                yield (
                    f"{commit.name}: {query.name} {query.key(arguments)} of shop {shop},"
                    f" told {sorted(by_shop[shop])}"
                )


def shape(tag: str) -> str:
    """Return what kind of fact a tag names: `#` stands for ids, days and months."""
    return _NUMBERS.sub("#", tag)


@dataclass(slots=True)
class World:
    """A shop in a database of its own, with two connections that change it at once.

    `url` is the owner's. `watching` sees what is committed. Events are taken at each commit,
    as if applied.
    """

    shop: SmallShop
    url: str
    writers: tuple[asyncpg.Connection, asyncpg.Connection]
    watching: asyncpg.Connection
    reader: AsyncEngine
    entries: Sequence[Entry]
    commits: list[Commit] = field(default_factory=list)
    payloads: dict[Entry, bytes] = field(default_factory=dict)
    _failing: set[tuple[object, ...]] = field(default_factory=set)

    @property
    def pairs(self) -> int:
        """The pairs compared so far."""
        return sum(commit.pairs for commit in self.commits)

    async def settle(self, name: str) -> None:
        """Take a commit's events, load every entry again, and record what changed."""
        rows = await self.watching.fetch("DELETE FROM outbox RETURNING event::text")
        events = tuple(Parse(row["event"], Event()) for row in rows)
        payloads = await self.load(self.entries)
        changed, unchanged = list[Entry](), list[Entry]()
        for entry, before in self.payloads.items():
            (unchanged if payloads.get(entry) == before else changed).append(entry)
        self.commits.append(Commit(name, events, tuple(changed), tuple(unchanged)))
        self.payloads = payloads

    async def load(self, entries: Sequence[Entry]) -> dict[Entry, bytes]:
        """Load entries in one snapshot; see `load_on`."""
        async with self.reader.connect() as connection:
            return await self.load_on(connection, entries)

    async def load_on(
        self, connection: AsyncConnection, entries: Sequence[Entry]
    ) -> dict[Entry, bytes]:
        """Load entries, a query's with one statement.

        Without those that are an error, which no cache keeps. One error fails all that were
        loaded with it; so what failed, and then what failed the last time, is loaded apart,
        by its barber, service and client.
        """
        found: dict[Entry, bytes] = {}
        context = LoadContext(connection, NOW)
        batches: dict[tuple[object, ...], list[Entry]] = defaultdict(list)
        for entry in entries:
            apart = _apart(entry)
            batches[apart if apart in self._failing else apart[:2]].append(entry)
        while batches:
            key, batch = batches.popitem()
            try:
                payloads = await batch[0][0].load(context, [entry[1] for entry in batch])
            except ServiceError:
                if key in self._failing:
                    continue
                for entry in batch:
                    self._failing.add(_apart(entry))
                    batches[_apart(entry)].append(entry)
            else:
                self._failing.discard(key)
                found.update(zip(batch, payloads, strict=True))
        return {entry: found[entry] for entry in entries if entry in found}


def _apart(entry: Entry) -> tuple[object, ...]:
    """Return the query and the organization, and who and what besides: equal ones fail alike."""
    query, arguments = entry
    return (
        query.name,
        arguments.organization_id,
        *(getattr(arguments, name, 0) for name in _SUBJECTS),
    )


@asynccontextmanager
async def open_world(
    new_database: NewDatabase,
    shop: SmallShop,
    *,
    beside: Sequence[SmallShop] = (),
    only: Collection[str] = (),
) -> AsyncIterator[World]:
    """Write a shop, and others `beside` it, into a new database, and load the shop's entries.

    `only` names the queries that matter; none: all.
    """
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(new_database())
        connections = []
        for _ in range(3):
            connection = await asyncpg.connect(database.url)
            stack.push_async_callback(connection.close)
            await connection.execute("SET deadlock_timeout = '20ms'")
            connections.append(connection)
        one, other, watching = connections
        for each in (shop, *beside):
            await write_small_shop(watching, each)
        await watching.execute("DELETE FROM outbox")
        url = database.cache_url.replace("postgresql://", "postgresql+asyncpg://", 1)
        reader = create_async_engine(url, isolation_level="REPEATABLE READ")
        stack.push_async_callback(reader.dispose)
        entries = [each for each in entries_of(shop) if not only or each[0].name in only]
        owner = database.url.replace("postgresql://", "postgresql+asyncpg://", 1)
        world = World(shop, owner, (one, other), watching, reader, entries)
        world.payloads = await world.load(world.entries)
        yield world
