"""The pieces of the benchmarks that could lie: arrivals, percentiles, ratios, plots."""

import re
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest

from benchmarks.http2 import frames
from benchmarks.open_loop import arrivals, percentile
from benchmarks.plots import Bar, Bars, Line, Plot, ticks
from benchmarks.queueing import Costs, most_per_second, waits
from benchmarks.report import Section, write
from benchmarks.turns import ratio, take_turns


def _plot(*, log: bool = False) -> Plot:
    lines = [Line("echo", [(1, 2.0), (10, 4.0)]), Line("a < b", [(1, 1.0), (10, 8.0)])]
    return Plot("name", "Title & more", "calls", "ms", lines, log_x=True, log_y=log)


async def test_every_side_runs_once_a_round_and_each_is_first_in_turn() -> None:
    """Another side begins each round, and what each found stays in the order of the rounds."""
    ran: list[str] = []

    def side(name: str):  # noqa: ANN202 - a closure
        async def turn() -> int:
            ran.append(name)
            return len(ran)

        return turn

    found = await take_turns("test", 4, {name: side(name) for name in "abc"})
    assert ran == list("abc" + "bca" + "cab" + "abc")
    assert found == {"a": [1, 6, 8, 10], "b": [2, 4, 9, 11], "c": [3, 5, 7, 12]}


def test_a_ratio_is_the_median_of_the_rounds_and_not_that_of_the_sides() -> None:
    """A round in which the machine was slow for both sides changes nothing."""
    assert ratio([10, 2, 30], [5, 1, 10]) == 2
    assert ratio([1, 9, 5], [2, 3, 5]) == 1


@pytest.mark.parametrize(
    ("values", "log", "expected"),
    [
        ([1, 100], True, [1, 10, 100]),
        ([3, 5], True, [1, 10]),
        ([0.02, 7], True, [0.01, 0.1, 1, 10]),
        ([4], False, [0, 1, 2, 3, 4]),
        ([1, 2600], False, [0, 1000, 2000, 3000]),
        ([0], False, [0, 0.2]),
    ],
)
def test_ticks_are_round_and_enclose_the_figures(
    values: list[float],
    log: bool,  # noqa: FBT001 - a parameter of the test
    expected: list[float],
) -> None:
    """The axis begins at 0, or at the power of ten below."""
    assert ticks(values, log=log) == pytest.approx(expected)


def test_what_has_no_logarithm_is_refused() -> None:
    """A figure of 0 cannot stand on a logarithmic axis, and is not moved somewhere else."""
    with pytest.raises(ValueError, match="no logarithm"):
        ticks([0, 1], log=True)


def test_a_point_stands_where_its_figure_is() -> None:
    """On a linear axis from 0 to 8, half of the highest figure is half as high."""
    heights = [float(height) for height in re.findall(r'cy="([\d.]+)"', _plot().svg())]
    base, top = 308.0, 44.0
    assert heights == pytest.approx(
        [base - (base - top) * value / 8 for value in (2, 4, 1, 8)], abs=0.1
    )


def test_a_bar_is_as_long_as_its_figure() -> None:
    """Half of the largest figure is half as long."""
    svg = Bars("name", "Title", "µs", [Bar("all", 8.0), Bar("half", 4.0, group=1)]).svg()
    widths = [float(width) for width in re.findall(r'<rect[^>]* width="([\d.]+)"', svg)]
    assert widths[0] == 2 * widths[1]


def test_plots_are_the_same_bytes_each_time_and_escape_what_is_written_on_them() -> None:
    """The same figures make no change in the repository."""
    assert _plot(log=True).svg() == _plot(log=True).svg()
    assert "Title &amp; more" in _plot().svg()
    assert "a &lt; b" in _plot().svg()


def test_a_section_is_replaced_and_its_plots_are_beside_the_document(tmp_path: Path) -> None:
    """Others stay; the document shows each plot by a path that exists."""
    document = tmp_path / "benchmarks.md"
    for title, cell in (("One", "old"), ("Two", "kept"), ("One", "new")):
        write(Section(title, "cmd", "about", ("head",), [(cell,)], (), (_plot(),)), document)
    text = document.read_text()
    assert "old" not in text
    assert text.count("## One") == 1
    assert "kept" in text
    (path,) = set(re.findall(r"!\[[^]]*\]\(([^)]*)\)", text))
    assert (tmp_path / path).read_text() == _plot().svg()


def test_arrivals_come_at_the_rate_and_without_memory() -> None:
    """Gaps are exponential: their spread is their mean, and one in e is longer than that."""
    due = arrivals(1000, 50, 1)
    gaps = [late - early for early, late in pairwise(due)]
    mean = sum(gaps) / len(gaps)
    assert all(0 < at < 50 for at in due)
    assert due == sorted(due)
    assert mean == pytest.approx(1 / 1000, rel=0.02)
    variance = sum((gap - mean) ** 2 for gap in gaps) / len(gaps)
    assert variance**0.5 == pytest.approx(mean, rel=0.03)
    assert sum(gap > mean for gap in gaps) / len(gaps) == pytest.approx(0.368, abs=0.01)


def test_arrivals_are_the_same_for_the_same_seed() -> None:
    """A run can be repeated; another seed gives other arrivals."""
    assert arrivals(100, 1, 1) == arrivals(100, 1, 1)
    assert arrivals(100, 1, 1) != arrivals(100, 1, 2)


@pytest.mark.parametrize(
    ("percent", "expected"), [(50, 500), (99, 990), (99.9, 999), (100, 1000), (0, 1)]
)
def test_a_percentile_is_a_value_that_so_many_do_not_exceed(percent: float, expected: int) -> None:
    """Of 1 to 1,000, in any order."""
    values = [number * 5 % 1001 for number in range(1, 1001)]
    assert percentile(values, percent) == expected


def test_the_highest_percentile_of_few_values_is_the_highest_of_them() -> None:
    """It is never a figure that nobody measured."""
    assert percentile([3.0, 1.0, 2.0], 99.9) == 3.0
    assert percentile([1.0], 50) == 1.0


def test_frames_are_read_wherever_the_bytes_are_cut() -> None:
    """What arrives byte by byte is read as what arrives at once, and nothing is lost."""
    wire = b"\0\0\x02\0\x01\0\0\0\x07ab" + b"\0\0\0\x04\x01\0\0\0\0"
    expected = [(0, 1, 7, b"ab"), (4, 1, 0, b"")]
    buffer, found = bytearray(), []
    for byte in wire:
        buffer.append(byte)
        found += list(frames(buffer))
    assert found == expected
    assert list(frames(bytearray(wire + wire[:5]))) == expected


_COSTS = Costs(script=8, tell=1, give_on=2, publish=16, hear=4, acknowledged=3, hop=32, look=0)


def _waits(processes: int, rate: float) -> list[float]:
    return waits(_COSTS, processes, rate, 500, Random(1))  # noqa: S311 - the same each time


def test_an_invalidation_alone_takes_as_long_as_its_way() -> None:
    """Publish, script, tell all, hear, give on, be told of the last; and its own is heard."""
    one = 16 + 32 + (8 + 1) + 32 + 4
    assert _waits(1, 1e-9) == pytest.approx([one] * 500)
    three = 16 + 32 + (8 + 3 * 1) + 32 + 4 + 32 + 2 + 32 + 3 + 3  # the last two meet there
    assert _waits(3, 1e-9) == pytest.approx([three] * 500)


def test_the_busiest_bounds_how_many_there_may_be() -> None:
    """Alone the process does most of the work, among many Redis does; more than that queue up."""
    assert most_per_second(_COSTS, 1, 0.5) == (0.5 / 20, "each process")
    assert most_per_second(_COSTS, 9, 0.5) == (0.5 / (8 + 9 + 16), "Redis")
    most, _ = most_per_second(_COSTS, 9, 1.0)
    calm, busy, over = (_waits(9, most * part) for part in (0.1, 0.7, 2))
    assert calm[250] < busy[250] < over[250] / 10
