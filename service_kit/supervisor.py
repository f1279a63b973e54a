"""Serve with several worker processes on one port.

Each is the program itself, started anew, with all that a process has: its memory, its
connections, its health. The kernel spreads the connections over those that listen
(SO_REUSEPORT). The supervisor serves nothing but the metrics of all, added up: it
holds the port, replaces a worker that dies, and has all drain when it is told to end.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack

import structlog
from prometheus_client.core import Metric

from service_kit import common_measures
from service_kit.adding_up import AddedUp, OverWorkers
from service_kit.metrics import text_of
from service_kit.settings import ProcessSettings, describe
from service_kit.shared_port import hold
from service_kit.starting import before, cannot_listen, open_metrics, stop_signal
from service_kit.supervised import Supervised

__all__ = ["cores", "supervise"]

_MARGIN = 8.0  # beyond the grace for calls: what else a worker's end may take
_ANSWER_SECONDS = 0.5
_SOON, _FIRST_PAUSE, _LONGEST_PAUSE = 10.0, 0.5, 10.0


def cores() -> int:
    """Return how many cores this process may use; 1 where connections are not spread."""
    # Elsewhere than on Linux, one of the processes on a port may get all connections.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1


async def supervise(
    name: str, settings: ProcessSettings, count: int, over_workers: OverWorkers
) -> None:
    """Run so many workers until SIGTERM or SIGINT; then have them drain.

    A worker is this program with `--line`, the descriptor of its line to us, added to its
    arguments. Raises StartError if a port cannot be bound, or a worker cannot start.
    """
    log = structlog.get_logger(f"{name}.supervisor")
    async with AsyncExitStack() as stack:
        stop = stop_signal(stack)
        log.info("settings", service=name, **describe(settings))
        try:
            listen = stack.enter_context(hold(settings.listen))
        except OSError:
            raise cannot_listen(settings) from None
        workers = _Workers(
            name,
            [sys.executable, *sys.orig_argv[1:], "--line"],
            {**os.environ, f"{settings.prefix}LISTEN": listen},
            over_workers,
        )
        metrics_port = await open_metrics(stack, workers.render, settings)
        try:
            if not await before(stop, workers.start(count)):
                return
            log.info(
                "serving", service=name, listen=listen, metrics_port=metrics_port, workers=count
            )
            await before(stop, workers.keep())
        finally:
            log.info("draining", service=name, seconds=settings.drain)
            await workers.end(settings.drain + _MARGIN)
            log.info("stopped", service=name)


class _Workers:
    """The workers of a service, and what they counted."""

    def __init__(
        self, name: str, command: Sequence[str], environ: Mapping[str, str], over: OverWorkers
    ) -> None:
        self._command = command
        self._environ = environ
        self._log = structlog.get_logger(f"{name}.supervisor")
        self._workers: list[Supervised] = []
        self._added_up = AddedUp({**common_measures.OVER_WORKERS, **over})
        self._restarts = 0

    async def start(self, count: int) -> None:
        """Start so many, and wait until they serve; StartError if one ends before."""
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(count):
                    group.create_task((await self._start()).ready())
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None

    async def keep(self) -> None:
        """Replace each that ends, until this is cancelled."""
        async with asyncio.TaskGroup() as group:
            for worker in self._workers:
                group.create_task(self._keep(worker))

    async def end(self, seconds: float) -> None:
        """Have all drain; kill those that have not ended after so many seconds."""
        left = {asyncio.create_task(worker.ended()) for worker in self._workers}
        for number, patience in ((signal.SIGTERM, seconds), (signal.SIGKILL, None)):
            for worker in self._workers:
                worker.signal(number)
            if left:
                _, left = await asyncio.wait(left, timeout=patience)
            if left:
                self._log.warning("killing workers that do not end", workers=len(left))

    async def render(self) -> bytes:
        """Return the metrics of all, added up, in Prometheus' text format."""
        asked = tuple(self._workers)
        answers = await asyncio.gather(*(worker.answers(_ANSWER_SECONDS) for worker in asked))
        present = {worker for worker, answered in zip(asked, answers, strict=True) if answered}
        silent = [worker for worker in self._workers if worker not in present]
        metrics = self._added_up.total(
            (worker.metrics for worker in self._workers if worker in present),
            (worker.metrics for worker in silent),
        )
        return text_of([*metrics, *self._own(len(silent))])

    def _own(self, silent: int) -> list[Metric]:
        return [
            common_measures.RUNNING.of(len(self._workers)),
            common_measures.SILENT.of(silent),
            common_measures.RESTARTS.of(self._restarts),
        ]

    async def _keep(self, worker: Supervised) -> None:
        pause = 0.0
        while True:
            code = await worker.ended()
            self._workers.remove(worker)
            self._added_up.depart(worker.metrics)
            soon = worker.age < _SOON
            pause = min(max(2 * pause, _FIRST_PAUSE), _LONGEST_PAUSE) if soon else 0.0
            self._log.warning(
                "worker ended", pid=worker.pid, code=code, reason=worker.reason, again_in=pause
            )
            worker = await self._replaced(pause)

    async def _replaced(self, pause: float) -> Supervised:
        while True:
            await asyncio.sleep(pause)
            try:
                worker = await self._start()
            except OSError as error:
                self._log.exception("a worker cannot be started", exc_info=error)
                pause = _LONGEST_PAUSE
            else:
                self._restarts += 1
                return worker

    async def _start(self) -> Supervised:
        worker = await Supervised.start(self._command, self._environ)
        self._workers.append(worker)
        self._log.info("worker started", pid=worker.pid)
        return worker
