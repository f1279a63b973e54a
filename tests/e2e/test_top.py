"""`python -m cache_service top`, of real processes."""

import asyncio
import re
import sys
import time
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from cache_service.commands.scraped import scrape
from cache_service.commands.tools import CommandError
from cache_service.commands.top import run_top, show_once
from cache_service.edge.declared import discover
from chairside.cache.v1 import cache_service_pb2 as pb
from chairside.cache.v1.cache_service_pb2_grpc import CacheServiceStub
from devstack.ports import free_port
from devstack.services import environment
from tests.e2e.programs import Ran, run
from tests.support.stack import System
from tests.support.steady import undisturbed

CALLS = 200
"""More than the other tests of the same system make of a method: a table has the first eight."""


async def top(*arguments: str, **variables: str) -> Ran:
    """Run it."""
    command = [sys.executable, "-m", "cache_service", "top", *arguments]
    return await run(command, environment({**variables, "COLUMNS": "120"}))


async def test_once_shows_parts_calls_and_queries(town: System) -> None:
    """Health of each part; of calls and loads what was counted since the start."""
    stub: Any = CacheServiceStub(town.cache_channel)
    for _ in range(CALLS):
        await stub.ListBarbers(pb.ListBarbersRequest(organization_id=1))
    listen = f"0.0.0.0:{town.cache.metrics_port}"

    async def shown_once() -> dict[str, str]:
        shown = await top("--once", CHAIRSIDE_CACHE_METRICS_LISTEN=listen)
        assert shown.code == 0, shown.err
        rows = dict(re.findall(r"│ ([\w ]+?) +│ (.+?) +│$", shown.out, re.MULTILINE))
        assert rows["lease"] == "held: hits are served"
        assert rows["workers"].startswith("2 run, 0 silent")
        assert re.search(r"│ ListBarbers +│ +[\d.,e-]+ │ +0\.0% │ +[\d.]+ (µ|m)?s", shown.out)
        queries = re.findall(r"│ (\w+) +│ +(?:[\d.]+%|-) │ +[\d.,e-]+ │ +[\d.,e-]+ │", shown.out)
        # Which were loaded the most depends on what other tests of the same system asked.
        assert queries
        assert {*queries} <= {query.name for query in discover()}
        assert re.search(r"Reads: [\d.]+% hits", shown.out)
        return rows

    rows = await undisturbed(shown_once)
    assert rows["redis"].startswith("connected")
    assert rows["auditor"].split()[0].isdigit()
    assert {"relay", "loads", "memory", "event loop", "pool loads", "pool lease"} <= rows.keys()


async def test_of_the_booking_service_it_shows_what_that_has(town: System) -> None:
    """Its pools and calls, and nothing of a cache."""
    output = StringIO()
    target = f"127.0.0.1:{town.booking.metrics_port}"
    await asyncio.to_thread(show_once, target, Console(file=output, width=120), time.time)
    assert "pool calls" in output.getvalue()
    assert "lease" not in output.getvalue()


async def test_it_goes_on_until_it_is_interrupted(town: System) -> None:
    """Pictures of the time in between follow that of all time."""
    target = f"127.0.0.1:{town.cache.metrics_port}"

    async def shown_until_interrupted() -> None:
        output = StringIO()
        turns = 0

        def pause(seconds: float) -> None:
            nonlocal turns
            assert seconds == 0.5
            turns += 1
            if turns == 3:
                raise KeyboardInterrupt

        console = Console(file=output, force_terminal=True, width=120, height=80)
        with pytest.raises(KeyboardInterrupt):
            await asyncio.to_thread(run_top, target, console, 0.5, time.time, pause)
        assert output.getvalue().count("held: hits are served") == 3

    await undisturbed(shown_until_interrupted)


async def test_where_nothing_or_something_else_answers_there_is_one_line(town: System) -> None:
    """And the exit code 2."""
    nothing = f"127.0.0.1:{free_port()}"
    ran = await top("--once", "--target", nothing)
    assert ran.code == 2
    assert ran.err.startswith(f"{nothing}: nothing answers: ")
    assert ran.err.count("\n") == 1
    other = town.cache.address  # which speaks gRPC
    with pytest.raises(CommandError, match=re.escape(other)):
        await asyncio.to_thread(scrape, other, time.time())
