"""The metrics and labels that a PromQL expression names, as far as ours use the language."""

import re
from collections.abc import Iterator
from typing import NamedTuple

__all__ = ["Named", "named"]

_OPERATORS = frozenset(("and", "avg", "count", "max", "min", "or", "sum"))
_FUNCTIONS = frozenset(("histogram_quantile", "increase", "rate", "vector"))
_MATCHER = re.compile(r'\s*(\w+)\s*(?:=~|!~|!=|=)\s*"([^"]*)"\s*,?')
_PARTS = re.compile(
    r"""by\s*\((?P<by>[\w,\s]*)\)"""
    r"""|(?P<name>[a-zA-Z_:][\w:]*)(?:\{(?P<matchers>(?:[^"}]|"[^"]*")*)\})?"""
    r"""|\[[^\]]*\]|[\d.]+|.""",
    re.DOTALL | re.VERBOSE,
)


class Named(NamedTuple):
    """A metric with the labels that are asked of it, and of their values those written out."""

    metric: str
    labels: frozenset[str]
    values: frozenset[tuple[str, str]]


def named(expression: str) -> Iterator[Named]:
    """Find them; what `by` groups by counts as asked of every metric of the expression."""
    grouped: set[str] = set()
    found: list[tuple[str, list[tuple[str, str]]]] = []
    for part in _PARTS.finditer(expression):
        if part["by"] is not None:
            grouped |= {label.strip() for label in part["by"].split(",")}
        elif part["name"] and part["name"] not in _OPERATORS | _FUNCTIONS:
            found.append((part["name"], _MATCHER.findall(part["matchers"] or "")))
    for metric, matchers in found:
        values = {
            (label, value)
            for label, text in matchers
            for value in text.split("|")
            if re.fullmatch(r"\w+", value)
        }
        yield Named(
            metric, frozenset(grouped | {label for label, _ in matchers}), frozenset(values)
        )
