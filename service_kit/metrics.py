"""Count calls in plain integers, and show them to Prometheus when it asks.

Labelled prometheus_client counters cost 5 % of a bare call; a list index costs
nothing one can measure. Names and labels are the conventional ones of
go-grpc-prometheus, so that existing dashboards fit.
"""

import asyncio
import platform
from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from service_kit.common_measures import BUILD, CALL_SECONDS, CALLS, OPEN_CALLS, TASKS
from service_kit.measures import Histogram
from service_kit.version import VERSION

__all__ = ["CODES", "CallCounter", "Metrics", "collect_process", "text_of"]

# By number: the names that gRPC gives its status codes in metrics.
CODES = (
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
)

# Upper bounds in seconds: from a hit in memory to the longest deadline.
_BOUNDS = (0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0)


class CallCounter:
    """Count one method's calls by status code and by duration."""

    __slots__ = ("codes", "method", "path", "seconds", "service")

    def __init__(self, service: str, method: str) -> None:
        self.path = f"/{service}/{method}"
        self.service = service
        self.method = method
        self.codes = [0] * len(CODES)
        self.seconds = Histogram(_BOUNDS)

    def count(self, code: int, seconds: float) -> None:
        """Count a finished call by the number of its status code and its duration."""
        self.codes[code] += 1
        self.seconds.observe(seconds)


class _Callback(Collector):
    def __init__(self, collect: Callable[[], Iterable[Metric]]) -> None:
        self._collect = collect

    def collect(self) -> Iterable[Metric]:
        return self._collect()

    def describe(self) -> Iterable[Metric]:
        # Nothing is collected at registration: what is counted may not be there yet.
        return ()


def text_of(families: Iterable[Metric]) -> bytes:
    """Return metrics in Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(_Callback(lambda: families))
    return generate_latest(registry)


def collect_process() -> Iterable[Metric]:
    """Give Prometheus what this process is: its version, memory, files and tasks."""
    yield BUILD.by([((VERSION, platform.python_version()), 1)])
    yield TASKS.of(len(asyncio.all_tasks()))
    yield from ProcessCollector(registry=None).collect()


class Metrics:
    """Hold the metrics of one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.open_calls = 0
        self.open_watches = 0
        self.count_late: list[Callable[[], None]] = []
        """What counts that which is counted many at a time; done before each scrape."""
        self._counters: list[CallCounter] = []
        self.add(self._collect)

    def add(self, collect: Callable[[], Iterable[Metric]]) -> None:
        """Have `collect` make more metrics at each scrape, on the event loop's thread."""
        self.registry.register(_Callback(collect))

    def counter(self, service: str, method: str) -> CallCounter:
        """Make the counter of a method; once for each."""
        counter = CallCounter(service, method)
        self._counters.append(counter)
        return counter

    def render(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self.registry)

    async def rendered(self) -> bytes:
        """Return them as `render` does, for who waits for metrics that come from elsewhere."""
        return self.render()

    def _collect(self) -> Iterable[Metric]:
        for count in self.count_late:
            count()
        counters = self._counters
        yield CALLS.by(
            ((counter.service, counter.method, code), number)
            for counter in counters
            for code, number in zip(CODES, counter.codes, strict=True)
            # OK always, so that a rate has a start; errors once they happened.
            if number or code == "OK"
        )
        yield CALL_SECONDS.by(
            ((counter.service, counter.method), counter.seconds) for counter in counters
        )
        yield OPEN_CALLS.of(self.open_calls)
