"""What an audit found, as a table and as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field

from rich.console import RenderableType
from rich.table import Table

__all__ = ["AuditReport", "Found", "Tally"]


@dataclass(slots=True)
class Tally:
    """Entries of one query; `skipped` by why: expired, invalidated or unreadable."""

    entries: int = 0
    matching: int = 0
    mismatched: int = 0
    skipped: Counter[str] = field(default_factory=Counter)

    @property
    def checked(self) -> int:
        """Entries that were compared to the end."""
        return self.matching + self.mismatched


@dataclass(frozen=True, slots=True)
class Found:
    """A mismatch: digests of what the entry says and of what the database says.

    `loaded` is empty if the database says that there is no such answer.
    """

    key: str
    nonces: list[str]
    snapshot: str
    entry: str
    loaded: str


@dataclass(slots=True)
class AuditReport:
    """The audit of an organization; `era` is None if the cache is off.

    `unknown` counts entries of no query of this version.
    """

    organization_id: int
    era: str | None
    queries: dict[str, Tally] = field(default_factory=dict)
    mismatches: list[Found] = field(default_factory=list)
    unknown: int = 0

    def of(self, query: str) -> Tally:
        """Return the tally of a query."""
        return self.queries.setdefault(query, Tally())

    def as_json(self) -> dict[str, object]:
        """Return all of it in plain values."""
        return {
            "organization_id": self.organization_id,
            "era": self.era,
            "queries": {
                name: {
                    "entries": tally.entries,
                    "checked": tally.checked,
                    "matching": tally.matching,
                    "mismatched": tally.mismatched,
                    "skipped": dict(sorted(tally.skipped.items())),
                }
                for name, tally in sorted(self.queries.items())
            },
            "unknown": self.unknown,
            "mismatches": [asdict(found) for found in self.mismatches],
        }

    def shown(self) -> Iterator[RenderableType]:
        """Give what an operator looks at: a table, and a paragraph for each mismatch."""
        if self.era is None:
            yield "The cache is off: no entry is in force."
            return
        table = Table(title=f"Entries of organization {self.organization_id}, era {self.era}")
        table.add_column("query")
        for name in ("entries", "checked", "matching", "mismatched"):
            table.add_column(name, justify="right")
        table.add_column("skipped")
        for name, tally in sorted(self.queries.items()):
            figures = (tally.entries, tally.checked, tally.matching, tally.mismatched)
            why = ", ".join(f"{count} {reason}" for reason, count in sorted(tally.skipped.items()))
            table.add_row(name, *map(str, figures), why)
        if self.unknown:
            table.add_row("(unknown)", str(self.unknown), "0", "0", "0", f"{self.unknown} unknown")
        yield table
        for found in self.mismatches:
            yield (
                f"MISMATCH {found.key}\n"
                f"  entry {found.entry} of snapshot {found.snapshot}, "
                f"database {found.loaded or 'has no such answer'}\n"
                f"  nonces {' '.join(found.nonces)}"
            )
