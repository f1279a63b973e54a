"""Fill a fresh database: with a salon's books, or with a generated shop."""

import json
import sys
from dataclasses import asdict, dataclass

from devstack import databases
from devstack.children import Child, ChildError
from devstack.options import BOOKS_CLOCK_START, Options
from devstack.services import environment

__all__ = ["Loaded", "load"]


@dataclass(frozen=True, slots=True)
class Loaded:
    """What the database holds, and the clock that goes with it ("": the real one)."""

    source: str
    clock_start: str


async def load(url: str, options: Options) -> Loaded:
    """Load what was asked for, unless the database holds a shop already; say what it holds.

    `url` is that of the tables' owner. ChildError if the loader fails; it leaves nothing.
    """
    note = options.shop_data / "loaded.json"
    if not await databases.is_empty(url):
        # In a server that is not ours this may be another shop than was asked for.
        unknown = asdict(Loaded("a shop that was there before", ""))
        kept = json.loads(note.read_text()) if note.exists() else unknown
        return Loaded(**kept)
    if options.salon is not None:
        arguments = ["import-salon", str(options.salon.resolve())]
        clock_start = BOOKS_CLOCK_START
    else:
        arguments = [
            "generate",
            *("--barbers", str(options.barbers)),
            *("--months", str(options.months)),
            *("--seed", str(options.seed)),
        ]
        clock_start = ""
    loader = Child(
        f"booking_service {arguments[0]}",
        [sys.executable, "-m", "booking_service", *arguments],
        log_path=options.data / "logs" / "loader.log",
        environ=environment({"CHAIRSIDE_BOOKING_DATABASE_URL": url}),
        inherit_output=True,  # it has a progress bar, and names every wrong row
    )
    async with loader:
        code = await loader.wait()
    if code != 0:
        message = f"{loader.name} ended with code {code}; nothing was loaded"
        raise ChildError(message)
    loaded = Loaded(options.shop, clock_start)
    note.parent.mkdir(parents=True, exist_ok=True)
    note.write_text(json.dumps(asdict(loaded)))
    return loaded
