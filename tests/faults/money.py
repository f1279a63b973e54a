"""Judge sums of money: all that is due is in, and nothing that was never paid."""

from collections.abc import Callable, Iterator, Sequence

from tests.faults.history import Money, Read, Write
from tests.faults.timeline import Due

__all__ = ["judge_client_money", "judge_revenue"]

_MOST_SUBSETS = 4096
"""Above so many combinations only the bounds are checked."""

Finding = tuple[Read, str, str]
Item = tuple[int, int]
"""How many, and how much."""


def judge_revenue(reads: Sequence[Read], writes: Sequence[Write], due: Due) -> Iterator[Finding]:
    """Judge `(paid, payments, refunded, refunds)`, of reads in the order of their starts."""
    for refund in (False, True):
        own = [write for write in writes if write.money and write.money.refund == refund]
        what = "refunds" if refund else "payments"
        for read, certain, perhaps in _split(reads, own, due, lambda money: (1, money.cents)):
            paid, payments, refunded, refunds = read.answer  # type: ignore[misc]
            shown = (refunds, refunded) if refund else (payments, paid)
            if problem := _problem(shown, certain, perhaps):
                yield read, "stale", f"{what}: {problem}"


def judge_client_money(
    reads: Sequence[Read], writes: Sequence[Write], due: Due
) -> Iterator[Finding]:
    """Judge what a client spent: the first of `(spent, id, next)`."""

    def signed(money: Money) -> Item:
        return 0, -money.cents if money.refund else money.cents

    for read, certain, perhaps in _split(reads, writes, due, signed):
        shown = (0, read.answer[0])  # type: ignore[index]
        if problem := _problem(shown, certain, perhaps):
            yield read, "stale", f"spent: {problem}"


def _split(
    reads: Sequence[Read], writes: Sequence[Write], due: Due, item: Callable[[Money], Item]
) -> Iterator[tuple[Read, Item, list[Item]]]:
    """Give each read, what it must contain in sum, and what it may contain."""
    dated = sorted(
        ((due(write), write, item(write.money)) for write in writes if write.money),
        key=lambda one: one[0],
    )
    at, certain = 0, (0, 0)
    for read in reads:
        while at < len(dated) and dated[at][0] < read.started:
            one = dated[at][2]
            certain = certain[0] + one[0], certain[1] + one[1]
            at += 1
        perhaps = []
        least = certain
        for _, write, one in dated[at:]:
            if write is read.after:
                least = least[0] + one[0], least[1] + one[1]
            elif write.started < read.ended:
                perhaps.append(one)
        yield read, least, perhaps


def _problem(shown: Item, certain: Item, perhaps: Sequence[Item]) -> str:
    """Return what is wrong with a sum, or nothing."""
    number, cents = shown[0] - certain[0], shown[1] - certain[1]
    if len(perhaps) <= _MOST_SUBSETS.bit_length() - 1:
        sums = {(0, 0)}
        for one in perhaps:
            sums |= {(n + one[0], c + one[1]) for n, c in sums}
        fits = (number, cents) in sums
    else:
        least = sum(min(0, one[1]) for one in perhaps)
        most = sum(max(0, one[1]) for one in perhaps)
        fits = least <= cents <= most and 0 <= number <= sum(one[0] for one in perhaps)
    if fits:
        return ""
    return f"shown is {shown}, certain is {certain}, and perhaps {len(perhaps)} more"
