"""Tell how far an import is: a bar on a terminal, plain lines anywhere else."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

__all__ = ["Advance", "reporting"]

_LINES = 10


class Advance(Protocol):
    """Say that so many more are done."""

    def __call__(self, done: int) -> None:
        """Count `done` more."""
        ...


@contextmanager
def reporting(console: Console, what: str, total: int) -> Iterator[Advance]:
    """Show the progress of about `total` of `what`; yields what to call as they are done.

    Off a terminal it writes about ten lines, however many steps there are.
    """
    if console.is_terminal:
        with Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
        ) as progress:
            task = progress.add_task(what, total=total)
            yield lambda done: progress.advance(task, done)
            progress.update(task, total=progress.tasks[0].completed)
        return
    count, told = 0, 0

    def advance(done: int) -> None:
        nonlocal count, told
        count += done
        if (count - told) * _LINES >= total:
            told = count
            console.print(f"{what}: {count:,}", highlight=False)

    yield advance
    if told < count:
        console.print(f"{what}: {count:,}", highlight=False)
