"""Metrics as they are read from a process's port, and what became of them between two reads."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from http.client import HTTPConnection, HTTPException
from itertools import pairwise
from math import inf, isnan
from typing import NamedTuple

from prometheus_client.parser import text_string_to_metric_families

from cache_service.commands.tools import CommandError
from service_kit.settings import split_address

__all__ = ["Between", "Scraped", "scrape"]

_SECONDS = 5.0
_OK = 200
_ANY_INTERFACE = {"0.0.0.0": "127.0.0.1", "::": "::1"}


class Series(NamedTuple):
    """One value's labels."""

    labels: Mapping[str, str]
    value: float


class Scraped:
    """All series of one moment, by name. `at` is in seconds since the epoch."""

    def __init__(self, text: str, at: float) -> None:
        self.at = at
        self._series: dict[str, list[Series]] = defaultdict(list)
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                self._series[sample.name].append(Series(sample.labels, sample.value))

    def __contains__(self, name: str) -> bool:
        return name in self._series

    def series(self, name: str) -> list[Series]:
        """Return every series of a name; none if there is no such."""
        return self._series.get(name, [])

    def value(self, name: str) -> float | None:
        """Return the sum of a name's series; None if there is none."""
        return sum(one.value for one in self._series[name]) if name in self else None


class Between:
    """What was counted between two moments; `before` None: since the process started."""

    def __init__(self, now: Scraped, before: Scraped | None = None) -> None:
        self.now = now
        self._before = before
        started = now.value("process_start_time_seconds")
        since = before.at if before else (now.at if started is None else started)
        self.seconds = max(now.at - since, 0.001)

    def counted(self, name: str, *by: str, **where: str) -> dict[tuple[str, ...], float]:
        """Return the growth of a count by the values of labels, of the series with others."""
        grown = _added(self.now, name, by, where)
        if self._before is not None:
            for key, value in _added(self._before, name, by, where).items():
                if value <= grown.get(key, 0.0):  # else it began anew in between
                    grown[key] -= value
        return grown

    def total(self, name: str, **where: str) -> float:
        """Return the growth of all of it."""
        return sum(self.counted(name, **where).values())

    def quantile(self, share: float, name: str, **where: str) -> float | None:
        """Return what so great a share of a histogram's durations stayed under, in seconds.

        None if there were none; within its bucket it is guessed, as Prometheus does.
        """
        counted = self.counted(f"{name}_bucket", "le", **where)
        buckets = sorted((float(bound), count) for (bound,), count in counted.items())
        if not buckets or not buckets[-1][1]:
            return None
        wanted = share * buckets[-1][1]
        for (low, below), (high, count) in pairwise([(0.0, 0.0), *buckets]):
            if count >= wanted:
                return (
                    low if high == inf else low + (high - low) * (wanted - below) / (count - below)
                )
        return None


def _added(
    scraped: Scraped, name: str, by: tuple[str, ...], where: Mapping[str, str]
) -> dict[tuple[str, ...], float]:
    added: dict[tuple[str, ...], float] = defaultdict(float)
    for labels, value in _matching(scraped, name, where):
        added[tuple(labels.get(label, "") for label in by)] += value
    return added


def _matching(scraped: Scraped, name: str, where: Mapping[str, str]) -> Iterator[Series]:
    for one in scraped.series(name):
        if not isnan(one.value) and where.items() <= one.labels.items():
            yield one


def scrape(target: str, at: float) -> Scraped:
    """Read the metrics of `host:port`; CommandError, in one line, if that has none."""
    try:
        host, port = split_address(target)
    except ValueError as error:
        message = f"{target}: {error}"
        raise CommandError(message) from None
    connection = HTTPConnection(_ANY_INTERFACE.get(host, host), port, timeout=_SECONDS)
    try:
        connection.request("GET", "/metrics")
        answer = connection.getresponse()
        text = answer.read().decode()
        if answer.status != _OK:
            message = f"{target}: there are no metrics; it answers with {answer.status}"
            raise CommandError(message)
        scraped = Scraped(text, at)
    except (OSError, HTTPException) as error:
        message = f"{target}: nothing answers: {error or type(error).__name__}"
        raise CommandError(message) from None
    except ValueError:
        message = f"{target}: what answers are no metrics"
        raise CommandError(message) from None
    finally:
        connection.close()
    if "grpc_server_open_calls" not in scraped:
        message = f"{target}: what answers are not the metrics of a service of Chairside"
        raise CommandError(message)
    return scraped
