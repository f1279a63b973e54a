"""Read a page of HTML strictly enough to hold it to what it should be."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

__all__ = ["Page", "read_page"]

_VOID = {"meta", "br", "hr", "img", "input", "link"}
_FETCHING = {"src", "srcset", "data", "action", "poster", "background", "xlink:href"}
_FETCHERS = {"script", "link", "iframe", "img", "object", "embed", "base", "use", "image"}


@dataclass
class Page(HTMLParser):
    """What stands in a page: `texts` by tag, `cells` of its tables, `problems` found.

    Problems are tags that do not match, and whatever would make a browser fetch something.
    """

    texts: dict[str, list[str]] = field(default_factory=dict)
    rows: list[list[str]] = field(default_factory=list)
    tags: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    _open: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Read character references as what they stand for."""
        super().__init__(convert_charrefs=True)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag and what it would fetch."""
        self.tags.append((tag, dict(attrs)))
        self.texts.setdefault(tag, [])
        if tag in _FETCHERS:
            self.problems.append(f"<{tag}>")
        for name, value in attrs:
            elsewhere = name == "href" and not (value or "").startswith("#")
            if name in _FETCHING or elsewhere or name.startswith("on"):
                self.problems.append(f"<{tag} {name}={value!r}>")
            if name == "style" and "url(" in (value or ""):
                self.problems.append(f"{tag}: {value}")
        if tag not in _VOID:
            self._open.append(tag)
            self.texts[tag].append("")
        if tag == "tr":
            self.rows.append([])
        if tag in {"td", "th"}:
            self.rows[-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag of SVG that closes itself."""
        self.handle_starttag(tag, attrs)
        if tag not in _VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        """See that it ends what was opened last."""
        if not self._open or self._open.pop() != tag:
            self.problems.append(f"</{tag}> ends nothing")

    def handle_data(self, data: str) -> None:
        """Add a text to every element that it stands in."""
        for tag in set(self._open):
            self.texts[tag][-1] += data
        if "style" in self._open and ("url(" in data or "@import" in data):
            self.problems.append("the style fetches something")
        if {"td", "th"} & set(self._open):
            self.rows[-1][-1] += data.strip()

    def finish(self) -> None:
        """See that nothing is left open."""
        self.close()
        self.problems += [f"<{tag}> is left open" for tag in self._open]

    @property
    def text(self) -> str:
        """All that a reader sees, with single spaces."""
        return " ".join(self.texts["body"][0].split())

    def row(self, name: str) -> list[str]:
        """Return the cells of the one row of this name."""
        (found,) = (row for row in self.rows if row[0] == name)
        return found


def read_page(text: str) -> Page:
    """Read a page to its end."""
    page = Page()
    page.feed(text)
    page.finish()
    return page
