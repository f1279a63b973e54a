"""What is wrong with a folder of books, all of it at once."""

from typing import NamedTuple

__all__ = ["BadBooks", "Problem"]


class Problem(NamedTuple):
    """One thing wrong: the file's name, its line (1 is the heading; 0: the file as a whole)."""

    file: str
    line: int
    reason: str

    def __str__(self) -> str:
        """Read as `file:line: reason`, the form that editors jump to."""
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.reason}"


class BadBooks(Exception):
    """Say that books were refused, and nothing of them written."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = sorted(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))
