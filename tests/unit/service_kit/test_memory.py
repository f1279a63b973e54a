"""What a process keeps for good, and what it gives back."""

import asyncio
import ctypes
import gc
from contextlib import AsyncExitStack

import pytest

from service_kit import logs, memory
from service_kit.process import run
from tests.support.waiting import eventually


def test_what_was_imported_is_not_collected_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process of ours runs with all that there was before it set aside."""
    found: list[int] = []

    async def main() -> None:
        found.append(gc.get_freeze_count())

    monkeypatch.setattr(logs, "configure", lambda _level: None)
    before = gc.get_freeze_count()
    try:
        assert run(main) == 0
    finally:
        gc.unfreeze()
    assert before == 0  # the control
    assert found[0] > 10_000


async def test_memory_is_given_back_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time and again until the stack is closed; where the library has no such function, never."""

    class Library:
        trims = 0

        def malloc_trim(self, keep: int) -> None:
            assert keep == 0
            self.trims += 1

    library = Library()

    async def thrice() -> bool:
        return library.trims > 2

    monkeypatch.setattr(memory, "_SECONDS", 0.001)
    monkeypatch.setattr(ctypes, "CDLL", lambda _name: library)
    async with AsyncExitStack() as stack:
        memory.give_back(stack)
        await eventually(thrice)
    monkeypatch.setattr(ctypes, "CDLL", lambda _name: object())
    async with AsyncExitStack() as stack:
        before = asyncio.all_tasks()
        memory.give_back(stack)
        assert asyncio.all_tasks() == before
