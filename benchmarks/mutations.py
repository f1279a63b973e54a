"""The figures of `benchmarks.mutation_cost`, for the report."""

import asyncio
import re
import sys

from benchmarks.h2load import DriverError
from benchmarks.report import Bound, Section

__all__ = ["measure"]

_SIDE = re.compile(r"^(\w[\w ]*?) +(\d+) commits/s \(median\)$", re.MULTILINE)
_RATIO = re.compile(r"^(\w[\w ]*) / bare: ([\d.]+) \(median", re.MULTILINE)


async def measure(rounds: int) -> list[Section]:
    """Run it in a process of its own, printing as it goes. Raises DriverError."""
    command = ("-m", "benchmarks.mutation_cost", "--rounds", str(rounds))
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command, stdout=asyncio.subprocess.PIPE
    )
    output = ""
    if process.stdout is not None:
        async for line in process.stdout:
            output += line.decode()
            print(line.decode(), end="", flush=True)
    code = await process.wait()
    ratios = {found[1]: float(found[2]) for found in _RATIO.finditer(output)}
    if code != 0 or "mutation" not in ratios:
        message = f"benchmarks.mutation_cost ended with code {code}"
        raise DriverError(message)
    return [
        Section(
            title="A mutation with its events against the bare insert",
            command=f"python {' '.join(command)}",
            about=(
                "Commits a second at 8 connections, on a Postgres with fsync: an appointment with\n"
                "triggers, outbox, the reading of its events and their deletion, against an\n"
                "insert into a table with the same columns, indexes and constraints and no\n"
                "trigger. Invalidate is not counted. `bare again` is the noise."
            ),
            columns=("", "Commits a second", "Of the bare insert"),
            rows=[
                (found[1], f"{int(found[2]):,}", f"{ratios.get(found[1], 1.0):.2f}")
                for found in _SIDE.finditer(output)
            ],
            bounds=(Bound.at_least("commits of the bare insert's", 0.65, ratios["mutation"]),),
        )
    ]
