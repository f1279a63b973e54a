"""What an operator sees of a service: the health of its parts, rates, times, slow queries."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from cache_service.coherence.outcome import Outcome
from cache_service.commands.scraped import Between

__all__ = ["picture"]

_MOST_ROWS = 8
_LATE_SECONDS = 1.0
_WHOLE = 100
_MB = 1_000_000
_GOOD, _BAD = "green", "bold red"
_READS, _CALLS = "chairside_cache_reads_total", "grpc_server_handled_total"
_HITS = frozenset({Outcome.NEAR.value, Outcome.HIT.value})


def picture(target: str, seen: Between) -> RenderableType:
    """Draw a picture of what was seen; of a part that the process has not, nothing."""
    version = next((one.labels["version"] for one in seen.now.series("chairside_build_info")), "?")
    title = Text(f"Chairside {version} at {target}, of {_span(seen.seconds)}", "bold")
    parts: list[RenderableType] = [title, _health(seen), _methods(seen)]
    if _READS in seen.now:
        parts += [_outcomes(seen), _queries(seen)]
    return Group(*parts)


def _health(seen: Between) -> Table:
    table = Table("part", "health", title="Parts")
    for name, good, told in _parts(seen):
        table.add_row(name, Text(told, _GOOD if good else _BAD))
    return table


def _parts(seen: Between) -> Iterator[tuple[str, bool, str]]:
    """Give each part's name, whether it is well, and what it does."""
    now = seen.now

    def value(name: str) -> int:
        return int(now.value(f"chairside_{name}") or 0)

    if "chairside_cache_lease_held" in now:
        held, connected = value("cache_lease_held"), value("cache_redis_connected")
        yield "lease", bool(held), "held: hits are served" if held else "LOST: no hits are served"
        told = "connected" if connected else "AWAY: reads come from the database"
        yield "redis", bool(connected), f"{told}, lost {value('cache_redis_lost_total')} times"
        age = now.value("chairside_cache_outbox_age_seconds") or 0.0
        relayed = value("cache_relayed_events_total")
        waits = f"oldest waits {_span(age)}" if age else "nothing waits"
        yield "relay", age < _LATE_SECONDS, f"{waits}, {relayed:,} events relayed"
        wrong, checked = value("cache_audit_mismatched_total"), value("cache_audit_checked_total")
        yield "auditor", not wrong, f"{wrong:,} WRONG" * bool(wrong) + f" {checked:,} hits checked"
        running, waiting = value("cache_loads_running"), value("cache_loads_waiting")
        yield "loads", not waiting, f"{running} running, {waiting} waiting"
        kept = (value("cache_memory_bytes") + value("cache_near_response_bytes")) / _MB
        yield "memory", True, f"{value('cache_memory_entries'):,} entries, {kept:,.1f} MB"
    if "chairside_workers" in now:
        silent, ended = value("workers_silent"), value("worker_restarts_total")
        told = f"{value('workers')} run, {silent} silent, {ended} replaced"
        yield "workers", not silent, told
    limits = {one.labels["pool"]: one.value for one in now.series("chairside_pool_limit")}
    for one in now.series("chairside_pool_in_use"):
        name = one.labels["pool"]
        # The lease has one connection, which is in use whenever it is renewed.
        full = name != "lease" and one.value >= limits[name]
        yield f"pool {name}", not full, f"{one.value:g} of {limits[name]:g} in use"
    late = seen.quantile(0.99, "asyncio_loop_lag_seconds")
    if late is not None:
        yield "event loop", late < _LATE_SECONDS, f"99 of 100 times less than {_span(late)} late"


def _methods(seen: Between) -> Table:
    table = _figures("Calls", "method", "a second", "errors", "p50", "p99")
    calls = seen.counted(_CALLS, "grpc_method")
    well = seen.counted(_CALLS, "grpc_method", grpc_code="OK")
    for (name,), count in _greatest(calls):
        seconds = "grpc_server_handling_seconds"
        times = [seen.quantile(share, seconds, grpc_method=name) for share in (0.5, 0.99)]
        share = 1 - well[name,] / count
        table.add_row(name, _rate(count / seen.seconds), f"{share:.1%}", *map(_span, times))
    return table


def _outcomes(seen: Between) -> Table:
    counted = seen.counted(_READS, "outcome")
    total = sum(counted.values())
    ratio = f"{_hit_ratio(counted)} hits" if total else "no reads"
    table = _figures(f"Reads: {ratio}", "outcome", "a second", "share")
    for (outcome,), count in _greatest(counted):
        table.add_row(outcome, _rate(count / seen.seconds), f"{count / total:.1%}")
    return table


def _queries(seen: Between) -> Table:
    title = "Queries, by the time that their loads take"
    table = _figures(title, "query", "hits", "loads a second", "busy", "p50", "p99")
    loads = seen.counted("chairside_cache_load_seconds_count", "query")
    busy = seen.counted("chairside_cache_load_seconds_sum", "query")
    for (query,), seconds in _greatest(busy):
        times = [
            seen.quantile(share, "chairside_cache_load_seconds", query=query)
            for share in (0.5, 0.99)
        ]
        table.add_row(
            query,
            _hit_ratio(seen.counted(_READS, "outcome", query=query)),
            _rate(loads[query,] / seen.seconds),
            _rate(seconds / seen.seconds),
            *map(_span, times),
        )
    return table


def _figures(title: str, first: str, *others: str) -> Table:
    table = Table(first, title=title)
    for name in others:
        table.add_column(name, justify="right")
    return table


def _hit_ratio(reads: dict[tuple[str, ...], float]) -> str:
    """Tell which part of reads, by outcome, were hits."""
    total = sum(reads.values())
    hits = sum(count for (outcome,), count in reads.items() if outcome in _HITS)
    return f"{hits / total:.1%}" if total else "-"


def _greatest(counted: dict[tuple[str, ...], float]) -> Iterable[tuple[tuple[str, ...], float]]:
    found = [(key, value) for key, value in counted.items() if value > 0]
    return sorted(found, key=lambda one: -one[1])[:_MOST_ROWS]


def _rate(number: float) -> str:
    return f"{number:,.0f}" if number >= _WHOLE else f"{number:.3g}"


def _span(seconds: float | None) -> str:
    """Tell a span in the unit that fits."""
    if seconds is None:
        return "-"
    for unit, size in (("h", 3600), ("min", 60), ("s", 1), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e6:.3g} µs"
