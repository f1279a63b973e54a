"""The composition root of the booking service: the one place that knows every part."""

import asyncio
import random
from collections.abc import Iterable
from contextlib import AsyncExitStack, suppress
from functools import partial

import structlog
from prometheus_client.core import Metric
from sqlalchemy.exc import SQLAlchemyError

from booking_service import measures
from booking_service.edge.cache_gateway import CacheGateway, CacheTokens
from booking_service.edge.rights import RIGHTS
from booking_service.edge.servicer import BookingServicer
from booking_service.postgres.engine import make_engine
from booking_service.postgres.outbox import OutboxCleaner
from booking_service.postgres.revision import REVISION, until_migrated
from booking_service.postgres.unit_of_work import UnitOfWork, UnitsOfWork
from booking_service.settings import Settings
from booking_service.tracing import TracedGateway, TracedUnit
from booking_service.use_cases import idempotency
from booking_service.use_cases.mutations import Mutations
from booking_service.use_cases.ports import Units
from booking_service.use_cases.reading import Reads
from booking_service.use_cases.transaction import Transaction
from cache_service.client import CacheClient
from chairside.booking.v1 import booking_service_pb2
from service_kit.calls import forwarded
from service_kit.clock import Clock
from service_kit.errors import ServiceError
from service_kit.postgres import collect_pools
from service_kit.process import Application, Runtime
from service_kit.tracing import traced

__all__ = ["SERVICE", "build"]

SERVICE = booking_service_pb2.DESCRIPTOR.services_by_name["BookingService"]

_BEHIND = 1  # connections of the outbox's cleaner, apart from the mutations'
_FAULTS = (SQLAlchemyError, OSError, ServiceError)


async def build(settings: Settings, stack: AsyncExitStack, runtime: Runtime) -> Application:
    """Build the service; what must be closed enters the stack, in the order of need."""
    tracing, tls = runtime.tracing, settings.cache_tls
    client = await stack.enter_async_context(
        CacheClient(
            settings.cache_target,
            near_bytes=settings.near_bytes,
            tls=tls,
            token="" if settings.cache_token is None else settings.cache_token.get_secret_value(),
            metadata=forwarded if tracing is None else tracing.headers,
        )
    )
    engines = {
        name: make_engine(
            settings.database_url,
            application_name="chairside-booking",
            pool_size=size,
            pool_timeout=settings.pool_timeout,
            statement_timeout=settings.statement_timeout,
        )
        for name, size in (("calls", settings.pool_size), ("outbox", _BEHIND))
    }
    for engine in engines.values():
        stack.push_async_callback(engine.dispose)
        if tracing is not None:
            tracing.follow(engine)
    runtime.metrics.add(partial(collect_pools, engines))
    cleaner = await stack.enter_async_context(OutboxCleaner(engines["outbox"]))
    unit = traced(UnitOfWork, TracedUnit, tracing)
    units = UnitsOfWork(engines["calls"], cleaner.applied, unit)
    tokens, gateway = CacheTokens(), traced(CacheGateway, TracedGateway, tracing)(client)
    runtime.metrics.add(gateway.collect)
    mutations = Mutations(
        units=units,
        notifier=gateway,
        tokens=tokens,
        acknowledged=cleaner.acknowledged,
        clock=runtime.clock,
        sleep=asyncio.sleep,
        jitter=random.random,
        cache_timeout=settings.cache_timeout,
    )
    runtime.metrics.add(partial(_collect, mutations, cleaner, client))
    stack.push_async_callback(mutations.drain, settings.drain)
    purging = asyncio.create_task(_purge(units, runtime.clock, settings.purge_interval))
    stack.push_async_callback(_cancelled, purging)

    async def revision() -> str | None:
        async with units() as unit:
            found: str | None = await unit.connection.scalar(REVISION)
            return found

    async def ready() -> None:
        """Wait until the database answers and has the schema of this version."""
        await until_migrated(revision, structlog.get_logger("booking_service.app"))

    servicer = BookingServicer(mutations, Reads(units, tokens, runtime.clock), client)
    files = () if tls is None else (tls,)
    return Application([(SERVICE, servicer)], ready, RIGHTS, files=files)


def _collect(mutations: Mutations, cleaner: OutboxCleaner, client: CacheClient) -> Iterable[Metric]:
    """Give Prometheus what this process does."""
    made = (("made",), mutations.made), (("repeated",), mutations.repeated)
    yield measures.MUTATIONS.by(made)
    yield measures.RETRIES.of(mutations.retried)
    yield measures.RUNNING.of(mutations.running)
    yield measures.OUTBOX_KEPT.of(len(cleaner.applied()))
    yield measures.NEAR_ENTRIES.of(client.near_entries)


async def _purge(units: Units, clock: Clock, interval: float) -> None:
    log = structlog.get_logger("booking_service.app")
    while True:
        await asyncio.sleep(interval)
        try:
            async with units() as unit:
                forgotten = await idempotency.purge(Transaction(unit.connection, clock.now()))
                await unit.commit()
        except _FAULTS as error:
            log.warning("old requests stay for now", error=type(error).__name__)
        else:
            log.debug("old requests forgotten", requests=forgotten)


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
