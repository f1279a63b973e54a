"""What became of metrics between two reads."""

import pytest

from cache_service.commands.scraped import Between, Scraped, scrape
from cache_service.commands.tools import CommandError

BOUNDS = ("0.1", "1.0", "+Inf")


def text(hits: int, misses: int, *buckets: int, started: int = 100) -> str:
    """Return what a process tells."""
    lines = [
        "# TYPE reads_total counter",
        f'reads_total{{query="a",outcome="hit"}} {hits}',
        'reads_total{query="b",outcome="hit"} 1',
        f'reads_total{{query="a",outcome="miss"}} {misses}',
        "# TYPE took_seconds histogram",
        *(
            f'took_seconds_bucket{{query="a",le="{bound}"}} {count}'
            for bound, count in zip(BOUNDS, buckets, strict=False)
        ),
        f"process_start_time_seconds {started}",
    ]
    return "\n".join(lines) + "\n"


def test_counts_since_the_start_and_since_the_last_time() -> None:
    """By any label, of the series that have others; the seconds are those in between."""
    first, second = Scraped(text(10, 2), 150.0), Scraped(text(40, 2), 160.0)
    since_start, since = Between(first), Between(second, first)
    assert (since_start.seconds, since.seconds) == (50.0, 10.0)
    assert since_start.counted("reads_total", "outcome") == {("hit",): 11, ("miss",): 2}
    assert since.counted("reads_total", "outcome") == {("hit",): 30, ("miss",): 0}
    assert since.counted("reads_total", "query", outcome="hit") == {("a",): 30, ("b",): 0}
    assert since.total("reads_total") == 30
    assert since.total("no_such_total") == 0


def test_a_count_that_began_anew_is_not_negative() -> None:
    """A process that was restarted in between has counted what it tells."""
    before, now = Scraped(text(50, 9), 150.0), Scraped(text(3, 9, started=155), 160.0)
    assert Between(now, before).counted("reads_total", "outcome") == {("hit",): 4, ("miss",): 0}


@pytest.mark.parametrize(
    ("buckets", "share", "expected"),
    [
        ((100, 100, 100), 0.5, 0.05),
        ((50, 100, 100), 0.5, 0.1),
        ((0, 100, 100), 0.5, 0.55),
        ((0, 0, 100), 0.5, 1.0),
        ((98, 100, 100), 0.99, 0.55),
        ((0, 0, 0), 0.5, None),
        ((), 0.5, None),
    ],
)
def test_a_share_of_durations(
    buckets: tuple[int, ...], share: float, expected: float | None
) -> None:
    """As Prometheus guesses it; above the last bound it is that; of none there is none."""
    found = Between(Scraped(text(0, 0, *buckets), 150.0)).quantile(share, "took_seconds")
    assert found == (None if expected is None else pytest.approx(expected))


def test_a_wrong_target_is_told() -> None:
    """In one line, before anything is asked."""
    with pytest.raises(CommandError, match="nonsense: must be host:port"):
        scrape("nonsense", 0.0)
