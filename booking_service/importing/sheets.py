"""Read one comma-separated file of the books, and say of every row what is wrong with it."""

import csv
import io
from collections.abc import Callable, Iterator
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TypeVar

from booking_service.importing.problems import Problem

__all__ = ["Row", "Sheet"]

T = TypeVar("T")

_MOST_MONEY = Decimal("9999999999.99")
_MOST_TEXT = 200
_YEARS = range(1900, 2201)


class Row:
    """One row: reads its columns, and notes what is wrong with them.

    A reading method returns a harmless value of its type where the column is wrong; `sound`
    tells at the end whether all that was read was right.
    """

    def __init__(
        self, file: str, line: int, cells: dict[str, str], problems: list[Problem]
    ) -> None:
        self.line = line
        self.sound = True
        self._file = file
        self._cells = cells
        self._problems = problems

    def wrong(self, reason: str) -> None:
        """Note a problem of this row."""
        self.sound = False
        self._problems.append(Problem(self._file, self.line, reason))

    def text(self, column: str, *, required: bool = True) -> str:
        """Read text, outer blanks dropped; at most 200 characters, none of them a control."""
        value = self._cells[column].strip()
        if required and not value:
            self.wrong(f"{column} is empty")
        elif len(value) > _MOST_TEXT:
            self.wrong(f"{column} is longer than {_MOST_TEXT} characters")
        elif not value.isprintable():
            self.wrong(f"{column} has control characters")
        return value

    def day(self, column: str) -> date:
        """Read a day, mm/dd/yyyy, of the years 1900 to 2200."""

        def convert(value: str) -> date:
            day = datetime.strptime(value, "%m/%d/%Y").date()  # noqa: DTZ007 - a calendar day
            if day.year not in _YEARS:
                raise ValueError
            return day

        return self._read(column, convert, date.min, "a day (mm/dd/yyyy)")

    def clock(self, column: str, form: str, example: str) -> int:
        """Read a time of day by a strptime `form`, in minutes after midnight."""

        def convert(value: str) -> int:
            at: time = datetime.strptime(value, form).time()  # noqa: DTZ007 - a wall clock's time
            if at.second:
                raise ValueError
            return at.hour * 60 + at.minute

        return self._read(column, convert, 0, f"a time ({example})")

    def whole(self, column: str, least: int, most: int) -> int:
        """Read a whole number of `least` to `most`."""

        def convert(value: str) -> int:
            number = int(value)
            if not least <= number <= most:
                raise ValueError
            return number

        return self._read(column, convert, least, f"a whole number of {least} to {most}")

    def money(self, column: str, *, negative: bool = False) -> Decimal:
        """Read an amount in whole cents, exactly as written."""

        def convert(value: str) -> Decimal:
            amount = Decimal(value)
            if not amount.is_finite() or abs(amount) > _MOST_MONEY or (amount < 0 and not negative):
                raise ValueError
            if amount != (cents := amount.quantize(Decimal("0.01"))):
                raise ValueError
            return cents

        kind = "an amount" if negative else "an amount of at least 0"
        return self._read(column, convert, Decimal(0), f"{kind} in whole cents")

    def boolean(self, column: str) -> bool:
        """Read TRUE or FALSE, in any case."""
        known = {"TRUE": True, "FALSE": False}
        return self._read(
            column, lambda value: known[value.upper()], harmless=False, kind="TRUE or FALSE"
        )

    def _read(self, column: str, convert: Callable[[str], T], harmless: T, kind: str) -> T:
        value = self._cells[column].strip()
        try:
            return convert(value)
        except (ValueError, KeyError, InvalidOperation):
            self.wrong(f"{column} {value[:_MOST_TEXT]!r} is not {kind}")
            return harmless


class Sheet:
    """One file, opened by name in a folder; its problems go where those of all files go."""

    def __init__(self, folder: Path, name: str, problems: list[Problem]) -> None:
        self.name = name
        self._path = folder / name
        self._problems = problems

    def rows(self, *columns: str) -> Iterator[Row]:
        """Iterate over the rows that have all their cells; blank lines are passed over.

        Line ends may be CRLF or LF, the last one may be missing, further columns are ignored.
        """
        text = self._text()
        if text is None:
            return
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        try:
            heading = [cell.strip() for cell in next(reader, [])]
            missing = [column for column in columns if column not in heading]
            twice = [column for column in columns if heading.count(column) > 1]
            for column in missing:
                self._wrong(1, f"column {column} is missing")
            for column in twice:
                self._wrong(1, f"column {column} comes twice")
            if missing or twice:
                return
            for cells in reader:
                if not cells:
                    continue
                if len(cells) != len(heading):
                    self._wrong(
                        reader.line_num, f"has {len(cells)} columns, the heading {len(heading)}"
                    )
                    continue
                named = dict(zip(heading, cells, strict=True))
                yield Row(self.name, reader.line_num, named, self._problems)
        except csv.Error as error:
            self._wrong(reader.line_num, f"is not comma-separated text: {error}")

    def _text(self) -> str | None:
        try:
            raw = self._path.read_bytes()
        except OSError as error:
            self._wrong(0, f"cannot be read: {error.strerror}")
            return None
        try:
            return raw.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            self._wrong(raw.count(b"\n", 0, error.start) + 1, "is not UTF-8 text")
            return None

    def _wrong(self, line: int, reason: str) -> None:
        self._problems.append(Problem(self.name, line, reason))
