"""What a process has in memory: what is there for good, and what it needs no more."""

import asyncio
import ctypes
import gc
from contextlib import AsyncExitStack

__all__ = ["give_back", "settle"]

_SECONDS = 5.0


def settle() -> None:
    """Keep all that there is now for good; to be called once everything is imported.

    Else the collector goes through it time and again, while nobody is answered: 110,000
    objects, 60 ms.
    """
    gc.collect()
    gc.freeze()


def give_back(stack: AsyncExitStack) -> None:
    """Every few seconds, until the stack is closed, give the system back what is not used any more.

    By itself glibc keeps it, by the hundred megabytes after a flood; other libraries do not.
    Mostly it takes 0.1 ms, in a thread.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is None:
        return

    async def trimming() -> None:
        while True:
            await asyncio.sleep(_SECONDS)
            await asyncio.to_thread(trim, 0)

    task = asyncio.create_task(trimming(), name="memory")
    stack.callback(task.cancel)
