"""`python -m tests.support.tiny_service FAULT serve`: a service without stores, for its life.

FAULT says what is wrong with each process that serves: `none`; `refuses`, as wrong
settings do; `crashes` while it starts; `starts slowly`; `crashes later`, once it has said that it
serves; `never ends` when it is told to.
"""

import asyncio
import os
import signal
import sys
from contextlib import AsyncExitStack
from functools import partial
from typing import ClassVar

from chairside.cache.v1 import cache_service_pb2
from service_kit import supervisor
from service_kit.cli import read_settings, supervised_cli
from service_kit.process import Application, Runtime, StartError
from service_kit.settings import HostPort, WorkerSettings

__all__: list[str] = []

SERVICE = cache_service_pb2.DESCRIPTOR.services_by_name["CacheService"]


class Settings(WorkerSettings):
    """A process on free ports, with no patience."""

    prefix: ClassVar[str] = "CHAIRSIDE_CACHE_"
    listen: HostPort = "127.0.0.1:0"
    metrics_listen: HostPort = "127.0.0.1:0"
    drain: float = 0.1


async def build(
    fault: str, _settings: Settings, _stack: AsyncExitStack, _runtime: Runtime
) -> Application:
    """Serve a service that has no methods, unless there is the fault."""
    if fault == "refuses":
        message = "CHAIRSIDE_CACHE_SOMETHING: is not as it should be"
        raise StartError(message)
    if fault == "crashes":
        os._exit(7)
    if fault == "never ends":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, int)

    async def ready() -> None:
        if fault == "starts slowly":
            await asyncio.sleep(30)
        if fault == "crashes later":
            asyncio.get_running_loop().call_later(1, os._exit, 8)

    return Application([(SERVICE, object())], ready)


async def problems_of(_settings: Settings) -> list[str]:
    """Find nothing wrong."""
    return []


if __name__ == "__main__":
    supervisor._MARGIN, supervisor._FIRST_PAUSE = 0.4, 0.1
    fault = sys.argv.pop(1)
    supervised_cli(
        "cache",
        partial(read_settings, Settings),
        partial(build, fault),
        problems_of=problems_of,
        over_workers={},
    )()
