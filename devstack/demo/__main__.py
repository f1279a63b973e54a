"""Take the tour against the system that `make run` runs."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Annotated

import grpc
import typer
from rich.console import Console

from devstack.demo.caller import Caller
from devstack.demo.tour import STOPS, Tour

__all__: list[str] = []

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    data_dir: Annotated[Path, typer.Option(help="Of the running system.")] = Path(".devstack"),
    organization: Annotated[int, typer.Option(help="Whose shop to visit.", min=1)] = 1,
) -> None:
    """Read, book, race, move, pay, and pull out Redis; every step says what it saw."""
    console = Console(highlight=False, soft_wrap=True)
    try:
        state = json.loads((data_dir / "state.json").read_text())
    except FileNotFoundError:
        console.print("[red]Nothing runs here: start it with `make run` in another terminal.[/]")
        sys.exit(1)
    sys.exit(asyncio.run(_tour(console, state, organization)))


async def _tour(console: Console, state: dict[str, str], organization: int) -> int:
    async with Caller(state["cache"], state["booking"], organization) as caller:
        tour = Tour(caller, state["redis_url"], console.print)
        try:
            for number, (title, stop) in enumerate(STOPS, 1):
                console.print(f"\n[bold]{number}. {title}[/]")
                await stop(tour)
        except (grpc.aio.AioRpcError, AssertionError) as error:
            text = error.details() if isinstance(error, grpc.aio.AioRpcError) else error
            console.print(f"[red]{text}[/]")
            return 1
    console.print("\n[green]That was the tour.[/]")
    return 0


if __name__ == "__main__":
    app()
