"""What is measured: of every metric the name, the kind, the unit and the meaning, said once.

A process counts in plain attributes. When somebody asks, a `Measure` makes Prometheus'
metric of them, so that name and help cannot differ from one place to the next.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from prometheus_client.core import Metric

__all__ = ["SECONDS", "Histogram", "Measure", "counter", "gauge", "histogram", "what_becomes"]

SECONDS = "seconds"

_SOME_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Histogram:
    """Count durations by upper bounds in seconds; what is above the last is counted, too."""

    __slots__ = ("bounds", "counts", "seconds")

    def __init__(self, bounds: Sequence[float] = _SOME_SECONDS) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.seconds = 0.0

    def observe(self, seconds: float) -> None:
        """Count one."""
        self.counts[bisect_left(self.bounds, seconds)] += 1
        self.seconds += seconds


Value = float | Histogram
Over = Callable[[Iterable[float]], float]


@dataclass(frozen=True, slots=True)
class Measure:
    """One metric. `over_workers` makes one value of a gauge's several; others are added."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    unit: str
    text: str
    labels: tuple[str, ...] = ()
    over_workers: Over = sum

    def of(self, value: Value) -> Metric:
        """Make the metric, without labels."""
        return self.by([((), value)])

    def by(self, values: Iterable[tuple[Sequence[str], Value]]) -> Metric:
        """Make the metric of the values by their labels' values."""
        metric = Metric(self.name.removesuffix("_total"), self.text, self.kind)
        for told, value in values:
            labels = dict(zip(self.labels, told, strict=True))
            if isinstance(value, Histogram):
                self._add(metric, labels, value)
            else:
                metric.add_sample(self.name, labels, float(value))
        return metric

    def _add(self, metric: Metric, labels: dict[str, str], value: Histogram) -> None:
        total = 0
        for bound, count in zip((*map(str, value.bounds), "+Inf"), value.counts, strict=True):
            total += count
            metric.add_sample(f"{self.name}_bucket", {**labels, "le": bound}, float(total))
        metric.add_sample(f"{self.name}_count", labels, float(total))
        metric.add_sample(f"{self.name}_sum", labels, value.seconds)


def counter(name: str, unit: str, text: str, *labels: str) -> Measure:
    """Make a measure of what only grows; its name ends with `_total`."""
    return Measure(name, "counter", unit, text, labels)


def gauge(name: str, unit: str, text: str, *labels: str, over_workers: Over = sum) -> Measure:
    """Make a measure of what is now."""
    return Measure(name, "gauge", unit, text, labels, over_workers)


def histogram(name: str, text: str, *labels: str) -> Measure:
    """Make a measure of durations; its name ends with `_seconds`."""
    return Measure(name, "histogram", SECONDS, text, labels)


def what_becomes(measures: Iterable[Measure]) -> dict[str, Over]:
    """Return what makes one value of a gauge's several, by name, where that is not the sum."""
    return {one.name: one.over_workers for one in measures if one.over_workers is not sum}
