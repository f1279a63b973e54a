"""The local days that a request asks for."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from service_kit.validation import Violations

__all__ = ["days_from", "required_range"]


def days_from(
    found: Violations,
    request: Any,  # noqa: ANN401 - of several methods
    today: date | None,
    *,
    most: int,
) -> tuple[date, date]:
    """Read start_date (unset: today) and end_date (unset: one day): at most `most` days."""
    start = found.date("start_date", request.start_date, has=request.HasField("start_date"))
    if not request.HasField("start_date"):
        start = today
    end = found.date("end_date", request.end_date, has=request.HasField("end_date"))
    if start is not None and not request.HasField("end_date"):
        end = start + timedelta(days=1)
    return _checked(found, start, end, most)


def required_range(found: Violations, request: Any, *, most: int) -> tuple[date, date]:  # noqa: ANN401 - of several methods
    """Read start_date and end_date, both required: at most `most` days."""
    start, end = (
        found.date(name, getattr(request, name), has=request.HasField(name), required=True)
        for name in ("start_date", "end_date")
    )
    return _checked(found, start, end, most)


def _checked(
    found: Violations, start: date | None, end: date | None, most: int
) -> tuple[date, date]:
    if start is None or end is None:
        return date.min, date.min  # a violation was recorded
    if end <= start:
        found.add("end_date", "must be after start_date")
    elif (end - start).days > most:
        found.add("end_date", f"must be at most {most:,} days after start_date")
    return start, end
