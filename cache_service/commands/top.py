"""Top: the live picture of a running service, in a terminal."""

from __future__ import annotations

from collections.abc import Callable

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from cache_service.commands.picture import picture
from cache_service.commands.scraped import Between, Scraped, scrape
from cache_service.commands.tools import CommandError

__all__ = ["run_top", "show_once"]


def show_once(target: str, console: Console, time: Callable[[], float]) -> None:
    """Print one picture, of all time since the process started. Raises CommandError."""
    console.print(picture(target, Between(scrape(target, time()))))


def run_top(
    target: str,
    console: Console,
    every: float,
    time: Callable[[], float],
    sleep: Callable[[float], None],
) -> None:
    """Show the picture until it is interrupted, anew every so many seconds.

    Raises CommandError if nothing answers at first; a process that goes away later is waited
    for.
    """
    before = scrape(target, time())
    shown: RenderableType = picture(target, Between(before))
    with Live(shown, console=console, screen=True, auto_refresh=False) as live:
        while True:
            sleep(every)
            try:
                now = scrape(target, time())
            except CommandError as error:
                live.update(Group(Text(str(error), "bold red"), shown), refresh=True)
                continue
            shown = picture(target, Between(now, _same(before, now)))
            before = now
            live.update(shown, refresh=True)


def _same(before: Scraped, now: Scraped) -> Scraped | None:
    """Return what was read before, unless that was of a process that has ended since."""
    started = "process_start_time_seconds"
    return before if before.value(started) == now.value(started) else None
