"""`python -m devstack`: the whole system on this machine, until Ctrl-C."""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.markup import escape

from devstack.addresses import AddressError, check_free
from devstack.binaries import MissingServerError
from devstack.children import ChildError
from devstack.options import Options, environment_urls
from devstack.stack import Stack, start

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(  # noqa: PLR0917 - typer calls it by name
    salon: Annotated[
        Path | None,
        typer.Option(help="A salon's books; a fresh database loads them.", exists=True),
    ] = None,
    clock: Annotated[
        Literal["data", "now"],
        typer.Option(help="Start the clock where the data is, or at the real time."),
    ] = "data",
    barbers: Annotated[int, typer.Option(help="Of a generated shop.", min=1)] = 6,
    months: Annotated[int, typer.Option(help="Of a generated shop.", min=1)] = 6,
    seed: Annotated[int, typer.Option(help="Of a generated shop.")] = 1,
    data_dir: Annotated[Path, typer.Option(help="Kept between runs.")] = Path(".devstack"),
    cache: Annotated[str, typer.Option(help="host:port")] = "127.0.0.1:50051",
    booking: Annotated[str, typer.Option(help="host:port")] = "127.0.0.1:50052",
    cache_metrics: Annotated[str, typer.Option(help="host:port")] = "127.0.0.1:9101",
    booking_metrics: Annotated[str, typer.Option(help="host:port")] = "127.0.0.1:9102",
) -> None:
    """Start Postgres, Valkey and both services, with data; stop them on Ctrl-C.

    CHAIRSIDE_DEVSTACK_POSTGRES_URL and CHAIRSIDE_DEVSTACK_REDIS_URL name servers to
    use instead of our own.
    """
    postgres_url, redis_url = environment_urls(os.environ)
    options = Options(
        data=data_dir,
        salon=salon,
        barbers=barbers,
        months=months,
        seed=seed,
        real_clock=clock == "now",
        cache=cache,
        booking=booking,
        cache_metrics=cache_metrics,
        booking_metrics=booking_metrics,
        postgres_url=postgres_url,
        redis_url=redis_url,
    )
    console = Console(highlight=False, soft_wrap=True)
    sys.exit(asyncio.run(_run(options, console)))


async def _run(options: Options, console: Console) -> int:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    work = asyncio.ensure_future(_serve(options, console))

    def stop() -> None:
        # Once: a second Ctrl-C must not interrupt the orderly end.
        if not stopping.is_set():
            stopping.set()
            console.print("Stopping ...")
            work.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    try:
        await work
    except asyncio.CancelledError:
        console.print("Stopped.")
        return 0
    except (AddressError, ChildError, MissingServerError) as error:
        console.print(f"[red]{escape(str(error))}[/]")
        return 1
    return 0


async def _serve(options: Options, console: Console) -> None:
    check_free(options)
    async with start(options, console) as stack:
        _tell(stack, options, console)
        await stack.watch(console)


def _tell(stack: Stack, options: Options, console: Console) -> None:
    at = stack.addresses
    grpcurl = Path(sys.executable).with_name("grpcurl")
    if grpcurl.is_relative_to(Path.cwd()):
        grpcurl = grpcurl.relative_to(Path.cwd())
    program = str(grpcurl) if grpcurl.exists() else "grpcurl"
    console.print(f"""
[bold]Chairside is running[/] with {escape(stack.loaded.source)} as organization 1.
  cache service    {at.cache}   metrics http://{at.cache_metrics}/metrics
  booking service  {at.booking}   metrics http://{at.booking_metrics}/metrics
  Postgres         {at.postgres_url}
  Valkey           {at.redis_url}
  logs             {options.data / "logs"}
Try:
  {program} -plaintext -d '{{"organization_id": 1}}' {at.cache} \
chairside.cache.v1.CacheService/ListServices
Ctrl-C stops everything; the data stays in {options.data}.""")


if __name__ == "__main__":
    app()
