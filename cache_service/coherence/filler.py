"""Fill: load what is missing and store it under the guards read before."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from math import inf

from cache_service.coherence.entry import Entry
from cache_service.coherence.expiry import Expiry
from cache_service.coherence.filling import Filling, Found, Parts, answer_of
from cache_service.coherence.load_gate import LoadGate
from cache_service.coherence.memory import Memory
from cache_service.coherence.outcome import Answer, Outcome
from cache_service.coherence.ports import (
    Load,
    Observer,
    Read,
    Store,
    StoreUnavailableError,
)
from cache_service.coherence.pushes import Pushes
from cache_service.coherence.shared_loads import SharedLoads
from cache_service.coherence.waiting import Until, gathered

__all__ = ["Filler"]


class Filler:
    """Loads entries, many in one snapshot, each for all who wait for it, in any process.

    `deadline` tells until when the caller at hand waits, on the loop's clock.
    """

    def __init__(  # noqa: PLR0917 - what fills are made with
        self,
        store: Store,
        memory: Memory,
        observer: Observer,
        gate: LoadGate,
        expiry: Expiry,
        pushes: Pushes,
        deadline: Callable[[], float] = lambda: inf,
    ) -> None:
        self._loads = SharedLoads[Answer]()
        self._parts = Parts(store, memory, observer, expiry, pushes, self._loads.behind)
        self._observer = observer
        self._gate = gate
        self._time = expiry.time
        self._deadline = deadline

    @property
    def open_loads(self) -> int:
        """How many entries are being loaded, that others may join."""
        return len(self._loads)

    async def drain(self) -> None:
        """Wait for the loads under way."""
        await self._loads.drain()

    async def fill(
        self,
        organization_id: int,
        reads: Sequence[Read],
        load: Load,
        found: Found,
        *,
        share: bool = True,
    ) -> list[Answer]:
        """Load the reads, store them, and answer them.

        The guards are claimed before any transaction of the load begins, in one round trip
        with the load locks. With `share`, loads of the same entry under the same guards are
        joined, here and in other processes. Raises what `load` raises, and
        LoadsExhaustedError; nothing is stored then.
        """
        # Apart from the caller: who goes away must leave no lock that nobody loads under.
        return await self._loads.apart(self._fill(organization_id, reads, load, found, share=share))

    async def _fill(
        self,
        organization_id: int,
        reads: Sequence[Read],
        load: Load,
        found: Found,
        *,
        share: bool,
    ) -> list[Answer]:
        until = Until(self._deadline())
        filling = self._filling(organization_id, reads, load, found, until)
        try:
            if share:
                mine, theirs = await filling.take(range(len(reads)))
            else:
                mine, theirs = await filling.claim(), []
            work = ((mine, filling.lead), (theirs, filling.follow))
            groups = await gathered(
                self._join(filling, positions, run, until, share=share)
                for positions, run in work
                if positions
            )
        except StoreUnavailableError:
            return await self.load(organization_id, reads, load, Outcome.UNCACHED)
        finally:
            filling.close()
        joined = {at: (answer, False) for at, answer in filling.stored.items()}
        for group in groups:
            joined.update(group)
        return self._told(organization_id, reads, [joined[at] for at in range(len(reads))])

    def behind(self, organization_id: int, reads: Sequence[Read], load: Load, found: Found) -> None:
        """Fill what nobody fills yet, without anybody waiting.

        A failure is counted and nothing else.
        """

        async def run() -> None:
            until = Until()  # Nobody waits for it, and the next will want it.
            filling = self._filling(organization_id, reads, load, found, until)
            try:
                mine, _ = await filling.take(range(len(reads)))
                joined = await self._join(filling, mine, filling.lead, until)
            except Exception:  # noqa: BLE001 - the load's, counted where it failed
                return
            finally:
                filling.close()
            self._told(organization_id, [reads[at] for at in joined], list(joined.values()))

        self._loads.behind(run())

    def _filling(
        self,
        organization_id: int,
        reads: Sequence[Read],
        load: Load,
        found: Found,
        until: Until,
    ) -> Filling:
        async def run(positions: Sequence[int]) -> list[Entry]:
            return await self._entries(organization_id, reads, positions, load, until)

        return Filling(self._parts, found, organization_id, reads, run)

    async def _join(
        self,
        filling: Filling,
        positions: Sequence[int],
        run: Callable[[Sequence[int]], Awaitable[Sequence[Answer]]],
        until: Until,
        *,
        share: bool = True,
    ) -> dict[int, tuple[Answer, bool]]:
        """Answer these positions by `run`, or by what runs here already; and whether by that."""
        keys = [
            self.shared_key(filling.full_keys[position], filling.nonces(position))
            if share
            else object()
            for position in positions
        ]
        # The lock of a load that goes on here may have been lost, and taken a second time.
        filling.release([at for at, key in zip(positions, keys, strict=True) if key in self._loads])

        async def load(wanted: Sequence[int]) -> Sequence[Answer]:
            return await run([positions[index] for index in wanted])

        return dict(zip(positions, await self._loads.join(keys, load, until), strict=True))

    @staticmethod
    def shared_key(full_key: str, nonces: tuple[bytes, ...]) -> Hashable:
        """Return what a load is joined by: the entry and the guards that it was begun under."""
        return full_key, nonces

    async def load(
        self, organization_id: int, reads: Sequence[Read], load: Load, outcome: Outcome
    ) -> list[Answer]:
        """Load the reads past the store; they are stored nowhere.

        BYPASS joins nobody's load. UNCACHED ones join a load whose transaction has not
        begun: one that has may be older than a change acknowledged since.
        """
        shared, until = outcome is Outcome.UNCACHED, Until(self._deadline())
        keys: list[object] = [(organization_id, read.key) if shared else object() for read in reads]

        async def run(positions: Sequence[int]) -> list[Answer]:
            mine = [keys[position] for position in positions]
            entries = await self._entries(
                organization_id, reads, positions, load, until, lambda: self._loads.leave(mine)
            )
            return [answer_of(entry, outcome) for entry in entries]

        return self._told(organization_id, reads, await self._loads.join(keys, run, until))

    async def _entries(  # noqa: PLR0917 - what a load is made of
        self,
        organization_id: int,
        reads: Sequence[Read],
        positions: Sequence[int],
        load: Load,
        until: Until,
        begun: Callable[[], None] = lambda: None,
    ) -> list[Entry]:
        """Load once there is a place; the entries are as old as the load's beginning."""
        clock = asyncio.get_running_loop().time
        try:
            async with self._gate.admit(organization_id, until):
                begun()
                began, sent = self._time(), clock()
                loaded = await load(positions)
        except BaseException:
            for position in positions:
                self._observer.load_failed(organization_id, reads[position].query)
            raise
        took = clock() - sent
        self._observer.loaded(reads[positions[0]].query, took)
        # How long they live is drawn when they are stored.
        return [Entry(payload, loaded.snapshot, began, 0.0, took) for payload in loaded.payloads]

    def _told(
        self, organization_id: int, reads: Sequence[Read], joined: Sequence[tuple[Answer, bool]]
    ) -> list[Answer]:
        """Count the answers, those of other callers' loads as shared ones."""
        answers = []
        for read, (answer, shared) in zip(reads, joined, strict=True):
            outcome = Outcome.SHARED if shared else answer.outcome
            self._observer.answered(organization_id, read.query, outcome)
            answers.append(answer._replace(outcome=outcome) if shared else answer)
        return answers
