"""Show a report as one page of HTML that needs nothing beside itself."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from booking_service.reporting.blocks import DASH, Absent, Figures, Report
from booking_service.reporting.plots import plot

__all__ = ["render_page"]


def render_page(report: Report) -> str:
    """Return the page; whatever the books hold is escaped."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.tests["absent"] = lambda value: isinstance(value, Absent)
    environment.tests["figures"] = lambda block: isinstance(block, Figures)
    environment.globals["dash"] = DASH
    template = environment.get_template("page.html.jinja")
    return template.render(report=report, plot=plot) + "\n"
