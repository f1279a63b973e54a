"""Drivers and attackers as processes of their own: given a job, they print what they found."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import asdict
from typing import Any

from benchmarks.attacks import Attack
from benchmarks.errors import BenchmarkError
from benchmarks.open_loop import Job

__all__ = ["run"]

_SLACK = 30.0
"""Seconds for a program to start and to end, besides those of its job."""


async def run(program: str, job: Job | Attack) -> dict[str, Any]:
    """Run the module `program` with its job. Raises BenchmarkError if it fails."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", program, json.dumps(asdict(job))),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(job.seconds + _SLACK):
            output, errors = await process.communicate()
    except BaseException:
        process.kill()
        raise
    if process.returncode != 0:
        raise BenchmarkError(errors.decode())
    found: dict[str, Any] = json.loads(output)
    return found
