"""Half-open intervals of instants, sorted and disjoint: union and difference."""

from collections.abc import Iterable
from datetime import datetime

__all__ = ["Interval", "merge", "subtract"]

Interval = tuple[datetime, datetime]
"""Start and end of a half-open span, both aware and in UTC."""


def merge(intervals: Iterable[Interval]) -> list[Interval]:
    """Unite intervals that meet or abut; sorted by start, empty ones dropped."""
    merged: list[Interval] = []
    for start, end in sorted(intervals):
        if end <= start:
            continue
        if merged and start <= merged[-1][1]:
            if end > merged[-1][1]:
                merged[-1] = (merged[-1][0], end)
        else:
            merged.append((start, end))
    return merged


def subtract(intervals: list[Interval], cuts: list[Interval]) -> list[Interval]:
    """Take `cuts` out of `intervals`; both must be as `merge` returns them. One sweep."""
    if not cuts:
        return intervals
    left: list[Interval] = []
    first = 0
    for start, end in intervals:
        at = start
        while first < len(cuts) and cuts[first][1] <= start:
            first += 1
        index = first
        while index < len(cuts) and cuts[index][0] < end:
            cut_start, cut_end = cuts[index]
            if cut_start > at:
                left.append((at, cut_start))
            at = max(at, cut_end)
            index += 1
        if at < end:
            left.append((at, end))
    return left
