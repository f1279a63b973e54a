"""Operating system processes as faults act on them: a service's, its workers', frozen ones."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress

import psutil

from devstack.children import Child
from tests.faults.proxy import Link
from tests.support.waiting import eventually

__all__ = ["ended", "family", "frozen", "replaced", "worker_of", "workers"]

_NOTICED = 0.01
_PATIENCE = 30.0
"""A worker that dies again and again is started again after ten seconds at most."""


def family(child: Child) -> list[psutil.Process]:
    """Return a child and all that it started, itself first."""
    head = psutil.Process(child.pid)
    return [head, *head.children(recursive=True)]


def workers(service: Child) -> list[psutil.Process]:
    """Return a service's workers; none if it serves by itself."""
    return psutil.Process(service.pid).children()


def worker_of(service: Child, link: Link) -> psutil.Process | None:
    """Return the worker at the end of a connection, if it is one's."""
    asking, asked = link.ports
    for worker in workers(service):
        with suppress(psutil.NoSuchProcess):
            for one in worker.net_connections("tcp"):
                if one.laddr.port == asking or (one.raddr and one.raddr.port == asked):
                    return worker
    return None


@asynccontextmanager
async def frozen(processes: Iterable[psutil.Process]) -> AsyncIterator[int]:
    """Stop processes, in this order; gives how many of them are seen to be stopped."""
    stopped = list(processes)
    for one in stopped:
        with suppress(psutil.NoSuchProcess):
            one.suspend()
    try:
        await asyncio.sleep(_NOTICED)
        yield sum(map(_is_stopped, stopped))
    finally:
        for one in reversed(stopped):
            with suppress(psutil.NoSuchProcess):
                one.resume()


def _is_stopped(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return bool(process.status() == psutil.STATUS_STOPPED)
    return False


async def replaced(service: Child, count: int) -> None:
    """Wait until a service has so many workers that run."""

    async def complete() -> bool:
        alive = [one for one in workers(service) if one.is_running() and not _is_gone(one)]
        return len(alive) == count

    await eventually(complete, seconds=_PATIENCE)


async def ended(processes: Iterable[psutil.Process]) -> None:
    """Wait until all of them have ended, which nobody tells us of whose children they are not."""
    left = list(processes)

    async def gone() -> bool:
        return all(map(_is_gone, left))

    await eventually(gone, seconds=_PATIENCE)


def _is_gone(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    return True
