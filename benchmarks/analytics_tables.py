"""What was measured of reports on a long history, as sections of the document."""

from collections.abc import Sequence

from benchmarks.long_history import BARBERS, LongHistory
from benchmarks.misses import MONTHLY, SHOP, Times
from benchmarks.plain import Plain
from benchmarks.report import Bound, Section
from benchmarks.totals_cost import Cost

__all__ = ["CLIENTS", "OF_A_YEAR", "RECENT_MONTHS", "cost", "growth", "misses", "past", "year"]

RECENT_MONTHS = 6
CLIENTS = ("retention", "lifetime_value")
"""What looks at all clients, and at all that they ever did."""
OF_A_YEAR = ("six_figure", "dashboard")
_RECENT, _WHOLE, _AGAIN = range(3)
_OVER_A_MONTH = (*MONTHLY, "comparison")
_MONTH_GROWS, _CLIENTS_GROW = 1.3, 1.5
_FASTER = 10.0
_DEARER = 1.15


def misses(history: LongHistory, times: Sequence[Times], plain: Plain, command: str) -> Section:
    """Tell every report's miss, and how much faster it is than plain Python."""
    shop = {one.question.report: one for one in times if one.question.barber_id == SHOP}
    barber = {one.question.report: one for one in times if one.question.barber_id != SHOP}

    def own_rows(one: Times) -> float:
        return 1000 * plain.own_rows[one.question] / one.milliseconds(_WHOLE)

    faster = {
        report: (plain.reading + plain.working[one.question]) / one.milliseconds(_WHOLE) * 1000
        for report, one in shop.items()
    }
    slow = [
        f"{report} {who} ({own_rows(one):.1f})"
        for who, side in (("of the shop", shop), ("of a barber", barber))
        for report, one in side.items()
        if own_rows(one) < _FASTER
    ]
    return Section(
        title="A report's miss on a long history",
        command=command,
        about=(
            f"A shop of {BARBERS} barbers and {len(history.shop.clients):,} clients with\n"
            f"{history.appointments:,} appointments in five years, and their money. A miss\n"
            "is what the cache service does for one, without gRPC and Redis: in one process, a\n"
            "snapshot and the loader's statement in one transaction, and the response; Postgres\n"
            "shares the cores. Ranges are the last whole month, as_of is today. Plain Python is\n"
            "the tests' own calculation of the same report, row by row: it fetches all rows of\n"
            f"the shop, which took {plain.reading:.1f} s and is counted for each report, and\n"
            "works it out. The last columns say how it fares if it fetches by the indexes just\n"
            "the rows that the report needs, of a month mostly, and how much faster the loader is\n"
            "than that. Each was compared with the answer: all figures were the same.\n"
            f"Less than {_FASTER:.0f} times faster than with its own rows alone: "
            f"{', '.join(slow) or 'none'}."
        ),
        columns=(
            *("Report", "Shop", "One barber", "Plain Python works", "Times faster, shop"),
            *("Own rows, shop", "Times faster", "Own rows, barber", "Times faster"),
        ),
        rows=[
            (
                report,
                _shown(one.milliseconds(_WHOLE)),
                _shown(barber[report].milliseconds(_WHOLE)),
                _shown(1000 * plain.working[one.question]),
                f"{faster[report]:,.0f}",
                _shown(1000 * plain.own_rows[one.question]),
                f"{own_rows(one):,.1f}",
                _shown(1000 * plain.own_rows[barber[report].question]),
                f"{own_rows(barber[report]):,.1f}",
            )
            for report, one in shop.items()
        ],
        bounds=[
            Bound.at_least(
                "times faster than plain Python, the least", _FASTER, min(faster.values())
            )
        ],
    )


def growth(times: Sequence[Times], command: str) -> Section:
    """Tell what misses cost with the whole history, against its last months."""
    return Section(
        title="Reports as history grows from 6 to 60 months",
        command=command,
        about=(
            "The same misses of the same shop in two databases, both vacuumed and analyzed: one\n"
            f"has its last {RECENT_MONTHS} months only, and the same clients. Ratios are medians\n"
            "of rounds in which the sides took turns; the last column is the short history once\n"
            "more, the noise. six_figure and with it the dashboard look a year back, of which\n"
            "the short history has half: for them see the next table."
        ),
        columns=("Report", "Of", "6 months", "60 months", "Ratio", "6 months again"),
        rows=_grown(times),
        bounds=[
            Bound.at_most(
                "a month's report, the worst", _MONTH_GROWS, _worst(times, _OVER_A_MONTH)
            ),
            Bound.at_most(
                "retention and lifetime_value as of today, the worst",
                _CLIENTS_GROW,
                _worst(times, CLIENTS),
            ),
        ],
    )


def year(times: Sequence[Times], command: str) -> Section:
    """Tell what reports that look a year back cost with more history than that year."""
    return Section(
        title="Reports of a year as history grows from 12 to 60 months",
        command=command,
        about=(
            "The same once more with a whole year in the short history, for those that look a\n"
            "year back, and at all clients beside."
        ),
        columns=("Report", "Of", "12 months", "60 months", "Ratio", "12 months again"),
        rows=_grown(times),
        bounds=[Bound.at_most("as of today, the worst", _CLIENTS_GROW, _worst(times, OF_A_YEAR))],
    )


def past(today: Sequence[Times], times: Sequence[Times], command: str) -> Section:
    """Tell what it costs to look back from days of the past."""
    base = {
        (one.question.report, one.question.barber_id): one.milliseconds(_WHOLE) for one in today
    }
    last = today[0].question.as_of
    return Section(
        title="Reports on clients as of past days",
        command=command,
        about=(
            "The whole history. What happened since the day is taken off the totals of all time,\n"
            "client by client: the further back, the more."
        ),
        columns=("Report", "Of", "Days ago", "Miss", "Of today's"),
        rows=[
            (
                one.question.report,
                _who(one),
                f"{(last - one.question.as_of).days:,}",
                _shown(one.milliseconds(0)),
                f"{one.milliseconds(0) / base[one.question.report, one.question.barber_id]:.1f}",
            )
            for one in times
        ],
        bounds=(),
    )


def cost(costs: Sequence[Cost], command: str) -> Section:
    """Tell what mutations pay for the totals."""
    return Section(
        title="What a mutation pays for the totals",
        command=command,
        about=(
            "Mutations a second of 8 callers on the whole history, on a Postgres with fsync:\n"
            "on the booking service's own path, from its use cases to the commit, events read and\n"
            "deleted; without gRPC, and nobody is told. A correction is a completion that SQL\n"
            "takes away again before the commit: no method does, it has no bound. The triggers\n"
            "of the totals were switched off and on between turns of half a second; ratios are\n"
            "medians of turns. The last column is what the same costs once more: the noise."
        ),
        columns=("Mutation", "Without totals", "With totals", "Times as long", "Without again"),
        rows=[
            (
                one.mutation,
                f"{one.rate(one.without):,.0f}",
                f"{one.rate(one.kept):,.0f}",
                f"{one.ratio:.2f}",
                f"{one.noise:.2f}",
            )
            for one in costs
        ],
        bounds=[
            Bound.at_most(f"a {one.mutation}'s time of that without", _DEARER, one.ratio)
            for one in costs
            if one.mutation != "correction"
        ],
    )


def _grown(times: Sequence[Times]) -> list[tuple[str, ...]]:
    return [
        (
            one.question.report,
            _who(one),
            _shown(one.milliseconds(_RECENT)),
            _shown(one.milliseconds(_WHOLE)),
            f"{one.ratio(_WHOLE, _RECENT):.2f}",
            f"{one.ratio(_AGAIN, _RECENT):.2f}",
        )
        for one in times
    ]


def _worst(times: Sequence[Times], reports: Sequence[str]) -> float:
    return max(one.ratio(_WHOLE, _RECENT) for one in times if one.question.report in reports)


def _who(one: Times) -> str:
    return "shop" if one.question.barber_id == SHOP else "a barber"


def _shown(milliseconds: float) -> str:
    return f"{milliseconds:,.1f} ms"
