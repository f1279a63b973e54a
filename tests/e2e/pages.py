"""The pages of documentation, and the commands that stand in them."""

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.programs import ROOT, Ran, run
from tests.support.stack import System

__all__ = ["Example", "covers", "examples"]


@dataclass(frozen=True, slots=True)
class Example:
    """A command of a fenced console block, and what the page says it prints."""

    command: str
    output: str

    async def run(self, system: System) -> Ran:
        """Run it with the programs of this installation and the ports of this system."""
        command = (
            self.command.replace(".venv/bin/", f"{Path(sys.executable).parent}/")
            .replace("127.0.0.1:50051", system.cache.address)
            .replace("127.0.0.1:50052", system.booking.address)
        )
        return await run(["sh", "-c", command])


def examples(page: str) -> Iterator[Example]:
    """Read a page's; a backslash at a line's end continues the command, and so does a quote."""
    text = (ROOT / page).read_text()
    for block in re.findall(r"```console\n(.*?)```", text, re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.replace("\\\n", " ").partition("\n")
            while command.count("'") % 2:
                line, _, output = output.partition("\n")
                command = f"{command}\n{line}"
            yield Example(command, output.strip())


def covers(actual: Any, told: Any, *, words: bool = False) -> bool:
    """True if every key of what was told is there, with the same kind of value.

    With `words`, names of enums are the same ones, too.
    """
    if isinstance(told, dict):
        return all(key in actual and covers(actual[key], told[key], words=words) for key in told)
    if isinstance(told, list):
        return isinstance(actual, list) and all(
            any(covers(found, one, words=words) for found in actual) for one in told
        )
    if words and re.fullmatch(r"[A-Z]+_[A-Z_]+", str(told)):
        return bool(actual == told)
    return type(actual) is type(told)
