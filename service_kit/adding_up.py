"""The metrics of several processes as those of one.

Counts are added, those of processes that have ended included, so that none goes
backwards. A gauge is what it means over processes; if nobody says, their sum.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

from prometheus_client.core import Metric
from prometheus_client.samples import Sample

__all__ = ["AddedUp", "OverWorkers"]

OverWorkers = Mapping[str, Callable[[Iterable[float]], float]]
"""What makes one value of a gauge's several, by its name, e.g. `min`."""

_COUNTS = {"counter", "histogram"}


class AddedUp:
    """Adds up metrics, and keeps the counts of processes that have ended."""

    def __init__(self, over_workers: OverWorkers) -> None:
        self._over_workers = over_workers
        self._departed: list[Metric] = []

    def depart(self, last: Sequence[Metric]) -> None:
        """Keep the last known counts of a process that has ended."""
        self._departed = self._one_of_all([self._departed, _counts(last)])

    def total(
        self, answers: Iterable[Sequence[Metric]], silent: Iterable[Sequence[Metric]]
    ) -> list[Metric]:
        """Return the metrics of all: of the `silent` ones, who did not answer now, their counts."""
        return self._one_of_all([self._departed, *answers, *map(_counts, silent)])

    def _one_of_all(self, parts: Iterable[Iterable[Metric]]) -> list[Metric]:
        families: dict[str, Metric] = {}
        values: dict[str, dict[tuple[str, frozenset[tuple[str, str]]], list[Sample]]] = {}
        for family in (one for part in parts for one in part):
            families.setdefault(family.name, family)
            samples = values.setdefault(family.name, {})
            for sample in family.samples:
                key = (sample.name, frozenset(sample.labels.items()))
                samples.setdefault(key, []).append(sample)
        return [self._made(families[name], samples.values()) for name, samples in values.items()]

    def _made(self, family: Metric, samples: Iterable[list[Sample]]) -> Metric:
        of_several = sum if family.type in _COUNTS else self._over_workers.get(family.name, sum)
        made = Metric(family.name, family.documentation, family.type)
        for same in samples:
            made.add_sample(
                same[0].name, same[0].labels, of_several(sample.value for sample in same)
            )
        return made


def _counts(families: Iterable[Metric]) -> list[Metric]:
    return [family for family in families if family.type in _COUNTS]
