"""The metrics that both services have: every name of them, in one file."""

from __future__ import annotations

from service_kit.measures import SECONDS, counter, gauge, histogram, what_becomes

__all__ = ["COMMON", "OVER_WORKERS", "WORKERS"]

# As go-grpc-prometheus names them, so that existing dashboards fit.
CALLS = counter(
    "grpc_server_handled_total",
    "calls",
    "Calls finished, by status code.",
    "grpc_service",
    "grpc_method",
    "grpc_code",
)
CALL_SECONDS = histogram(
    "grpc_server_handling_seconds",
    "Time from a call's start to its end.",
    "grpc_service",
    "grpc_method",
)
OPEN_CALLS = gauge("grpc_server_open_calls", "calls", "Calls being handled.")
TASKS = gauge(
    "asyncio_tasks", "tasks", "Tasks of the event loop: what grows there without end leaks."
)
LOOP_LAG = histogram(
    "asyncio_loop_lag_seconds",
    "How late the event loop was at what it was to do at a set time, four times a second.",
)
LINES_DROPPED = counter(
    "chairside_access_log_dropped_total",
    "lines",
    "Lines of calls that were not written, since 50,000 waited.",
)
FILES_REFUSED = gauge(
    "chairside_files_refused",
    "files",
    "Files of certificates or callers that were replaced by what cannot be used: the former hold.",
    over_workers=max,
)
POOL_LIMIT = gauge(
    "chairside_pool_limit", "connections", "Connections to Postgres at most, by pool.", "pool"
)
POOL_IN_USE = gauge(
    "chairside_pool_in_use", "connections", "Connections to Postgres in use, by pool.", "pool"
)
BUILD = gauge(
    "chairside_build_info",
    "one",
    "1, with the version that runs and that of Python.",
    "version",
    "python",
    over_workers=max,
)

COMMON = (
    CALLS,
    CALL_SECONDS,
    OPEN_CALLS,
    TASKS,
    LOOP_LAG,
    LINES_DROPPED,
    FILES_REFUSED,
    POOL_LIMIT,
    POOL_IN_USE,
    BUILD,
)

RUNNING = gauge("chairside_workers", "processes", "Worker processes that run.")
SILENT = gauge(
    "chairside_workers_silent",
    "processes",
    "Workers that did not answer now: of them only counts are in here, the last known.",
)
RESTARTS = counter(
    "chairside_worker_restarts_total", "processes", "Workers started in place of one that ended."
)

WORKERS = (RUNNING, SILENT, RESTARTS)
"""What a supervisor adds to the metrics of its workers."""

# prometheus_client's own.
_PROCESS = (
    gauge("process_start_time_seconds", SECONDS, "", over_workers=min),
    gauge("process_max_fds", "files", "", over_workers=min),
)

OVER_WORKERS = what_becomes((*COMMON, *_PROCESS))
