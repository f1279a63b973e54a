"""The pieces of the benchmarks that could lie: ratios, plots, and where they are written."""

import re
from pathlib import Path

import pytest

from benchmarks.plots import Bar, Bars, Line, Plot, ticks
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
