"""`python -m devstack`, the tour through what it runs, and what its end leaves."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import psutil

from devstack.services import environment
from tests.e2e.programs import run

_SECONDS = 120
_SHOP = "a generated shop (2 barbers, 1 months, seed 1)"


def ports(**given: str) -> list[str]:
    """Make the options for free ports, but for those given."""
    names = ("cache", "booking", "cache-metrics", "booking-metrics")
    return [part for name in names for part in (f"--{name}", given.get(name, "127.0.0.1:0"))]


@asynccontextmanager
async def devstack(data: Path, *options: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run it with a small shop; it is killed if a test leaves it."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "devstack", "--data-dir", str(data)),
        *("--barbers", "2", "--months", "1", *options),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=environment({}),
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def read_until(process: asyncio.subprocess.Process, words: str) -> str:
    """Read what it prints until these words come; all of it."""
    assert process.stdout is not None
    text = ""
    async with asyncio.timeout(_SECONDS):
        while words not in text:
            line = (await process.stdout.readline()).decode()
            assert line, f"it ended: {text}"
            text += line
    return text


def _name(process: psutil.Process) -> str:
    with suppress(psutil.NoSuchProcess):  # it may end as we look
        return process.name()
    return ""


async def interrupt(process: asyncio.subprocess.Process) -> None:
    """Press Ctrl-C; nothing that it had started may be left."""
    children = psutil.Process(process.pid).children(recursive=True)
    assert any("postgres" in name for name in map(_name, children))  # the control
    process.send_signal(signal.SIGINT)
    async with asyncio.timeout(_SECONDS):
        await process.communicate()
    assert process.returncode == 0
    assert [child for child in children if child.is_running()] == []


async def test_the_tour_passes_and_nothing_is_left(server_directory: Path) -> None:
    """Start, tour, Ctrl-C: every stop passes, no child is left, and a second start has the data.

    The second start cannot open its last port: it names it, exits with 1 and leaves nothing either.
    """
    data = server_directory / "demo"
    tour = [sys.executable, "-m", "devstack.demo", "--data-dir", str(data)]
    async with devstack(data, *ports()) as process:
        said = await read_until(process, "Ctrl-C stops everything")
        assert f"{_SHOP} as organization 1" in said
        assert "appointments a second" in said
        toured = await run(tour)
        assert toured.code == 0, toured.out + toured.err
        for seen in (
            "SOURCE_NEAR",
            "SLOT_TAKEN",
            "booked without it; cache_applied: True",
            "Redis is back",
            "That was the tour.",
        ):
            assert seen in toured.out
        await interrupt(process)
    toured = await run(tour)
    assert toured.code == 1  # the control: nothing runs, and it says so
    assert "Nothing runs here" in toured.out
    address = f"unix:{data}/nowhere/booking"
    async with devstack(data, *ports(booking=address)) as process:
        said = await read_until(process, "ok Cache service")
        children = psutil.Process(process.pid).children(recursive=True)
        assert any("postgres" in child.name() for child in children)
        assert f"Data: {_SHOP}" in said
        assert "appointments a second" not in said  # nothing was loaded again
        assert process.stdout is not None
        async with asyncio.timeout(_SECONDS):
            said += (await process.stdout.read()).decode()
            assert await process.wait() == 1
    assert f"{address} cannot be bound; is it in use?" in said
    assert [child for child in children if child.is_running()] == []
    assert not (data / "state.json").exists()
