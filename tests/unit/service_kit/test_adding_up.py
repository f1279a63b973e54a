"""The metrics of several processes as those of one."""

from collections.abc import Iterable, Sequence

from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families

from service_kit.adding_up import AddedUp
from service_kit.metrics import Metrics, text_of

OVER = {"held": min, "oldest": max}


def worker(calls: int, gauge: float, kind: str = "a") -> list[Metric]:
    """Return what a worker tells, as the supervisor reads it."""
    return list(
        text_string_to_metric_families(
            f"# HELP calls_total Calls.\n# TYPE calls_total counter\n"
            f'calls_total{{kind="{kind}"}} {calls}\n'
            f"# TYPE seconds histogram\n"
            f'seconds_bucket{{le="0.1"}} {calls}\nseconds_bucket{{le="+Inf"}} {calls + 1}\n'
            f"seconds_count {calls + 1}\nseconds_sum {calls / 2}\n"
            + "".join(f"# TYPE {name} gauge\n{name} {gauge}\n" for name in (*OVER, "entries"))
        )
    )


def values(families: Iterable[Metric]) -> dict[str, float]:
    """Return the values by name and labels, as a scrape would show them."""
    lines = text_of(families).decode().splitlines()
    parts = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    return {name: float(value) for name, value in parts}


def total(
    added: AddedUp, *answers: Sequence[Metric], silent: Sequence[Sequence[Metric]] = ()
) -> dict[str, float]:
    """Add up."""
    return values(added.total(answers, silent))


def test_counts_are_added_and_gauges_are_what_they_mean() -> None:
    """Labels apart; a gauge of which nothing is said is added, too."""
    told = total(AddedUp(OVER), worker(3, 1), worker(4, 0), worker(5, 7, kind="b"))
    assert told == {
        'calls_total{kind="a"}': 7,
        'calls_total{kind="b"}': 5,
        'seconds_bucket{le="0.1"}': 12,
        'seconds_bucket{le="+Inf"}': 15,
        "seconds_count": 15,
        "seconds_sum": 6,
        "held": 0,
        "oldest": 7,
        "entries": 8,
    }


def test_who_has_departed_stays_counted_but_has_no_gauges() -> None:
    """Counts never go backwards, however many ended and whoever came after them."""
    added = AddedUp(OVER)
    first = total(added, worker(3, 1), worker(4, 9))
    added.depart(worker(4, 9))
    added.depart(worker(10, 5))
    told = total(added, worker(3, 1))
    assert told['calls_total{kind="a"}'] == 17 >= first['calls_total{kind="a"}']
    assert told["seconds_sum"] == 8.5
    assert (told["held"], told["oldest"], told["entries"]) == (1, 1, 1)


def test_who_is_silent_has_counts_only() -> None:
    """Of one that does not answer the last counts are known, its gauges are not."""
    told = total(AddedUp(OVER), worker(3, 1), silent=[worker(4, 0), []])
    assert told['calls_total{kind="a"}'] == 7
    assert (told["held"], told["entries"]) == (1, 1)


def test_one_workers_metrics_stay_as_they_are() -> None:
    """What a process exports is, read and added up, the same text."""
    metrics = Metrics()
    metrics.counter("a.B", "Get").count(0, 0.003)
    text = metrics.render()
    families = list(text_string_to_metric_families(text.decode()))
    assert text_of(AddedUp({}).total([families], [])) == text
