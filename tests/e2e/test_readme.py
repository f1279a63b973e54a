"""The README, held to the running system."""

import re
import sys
from collections.abc import Iterator
from json import JSONDecodeError, loads
from pathlib import Path

import pytest

from booking_service.settings import Settings as BookingSettings
from cache_service.settings import Settings as CacheSettings
from devstack.services import environment
from service_kit.settings import SHARED, ProcessSettings
from tests.e2e.conftest import WORKERS
from tests.e2e.pages import Example, covers, examples
from tests.e2e.programs import ROOT, run
from tests.support.stack import System
from tests.support.steady import undisturbed

README = (ROOT / "README.md").read_text()
CONFIGURATION = (ROOT / "docs/configuration.md").read_text()
PROCESSES: tuple[type[ProcessSettings], ...] = (CacheSettings, BookingSettings)


EXAMPLES = list(examples("README.md"))
RUN = [one for one in EXAMPLES if re.search(r"grpcurl|python -m", one.command)]


def test_what_covers_means() -> None:
    """The control of the comparison: a key too few or another kind of value is seen."""
    assert covers({"a": [{"b": "1", "c": 2}]}, {"a": [{"b": "7"}]})
    assert not covers({"a": [{"c": 2}]}, {"a": [{"b": "7"}]})
    assert not covers({"a": 1}, {"a": "1"})
    assert covers({"a": [{}, {"b": "A_B"}]}, {"a": [{"b": "A_C"}]})
    assert not covers({"a": [{}, {"b": "A_B"}]}, {"a": [{"b": "A_C"}]}, words=True)


@pytest.mark.parametrize("example", RUN, ids=lambda one: one.command[-60:])
async def test_an_example_gives_what_the_readme_says(town: System, example: Example) -> None:
    """The command, with the ports of this system, succeeds and prints what stands there."""
    ran = await example.run(town)
    assert ran.code == 0, ran.err
    assert ran.out.strip()
    try:
        told = loads(example.output or "{}")
    except JSONDecodeError:
        assert ran.out.split() == example.output.split()
    else:
        assert covers(loads(ran.out) if told else {}, told), ran.out


async def test_the_second_time_the_source_is_a_cache(town: System) -> None:
    """Asked again, the README's question of free slots is answered as it says there.

    From the memory of the worker that answers; from Redis, once, if it has not yet asked there.
    """
    (example,) = (one for one in RUN if "GetAvailability" in one.command)
    told = {f"SOURCE_{name}" for name in ("NEAR", "REDIS")}
    assert all(f"`{source}`" in README for source in told)

    async def asked_again() -> None:
        sources = [(await example.run(town)).json()["cache_info"]["source"] for _ in range(6)]
        assert set(sources[1:]) <= told
        assert "SOURCE_NEAR" in sources
        assert sources.count("SOURCE_REDIS") < WORKERS

    await undisturbed(asked_again)


def test_every_other_example_is_a_make_target() -> None:
    """What is not run here is `make TARGET` of a target that there is."""
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    others = [one.command for one in EXAMPLES if one not in RUN]
    inline = re.findall(r"`(make [^`]+)`", README)
    assert others
    for command in (*others, *inline):
        assert re.match(r"make ([a-z]+)", command), command
        assert command.split()[1] in targets, command


@pytest.mark.parametrize("package", ["cache_service", "booking_service"])
async def test_check_config_prints_what_holds_without_passwords(package: str) -> None:
    """The command that the README names prints every setting, and hides the password."""
    assert f"`python -m {package} check-config`" in " ".join(README.split())
    prefix = f"CHAIRSIDE_{package.removesuffix('_service').upper()}_"
    variables = environment({f"{prefix}DATABASE_URL": "postgresql://me:hushhush@h:1/d"})
    ran = await run([sys.executable, "-m", package, "check-config"], variables)
    assert ran.code == 0, ran.err
    assert f"{prefix}DATABASE_URL=postgresql://me:***@h:1/d" in ran.out
    assert "hushhush" not in ran.out + ran.err


def variable(cls: type[ProcessSettings], field: str) -> str:
    """Name a setting's variable."""
    return ("CHAIRSIDE_" if field in SHARED else cls.prefix) + field.upper()


def rows(page: str) -> Iterator[tuple[list[str], str]]:
    """Read a page's table of settings: each row's variables in full, and its defaults."""
    for line in page.splitlines():
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        if len(cells) != 3 or not re.search(r"CHAIRSIDE_|…_", cells[0]):
            continue
        names = []
        for name in re.findall(r"`([^`]+)`", cells[0]):
            short = name.startswith("…_")
            names += [cls.prefix + name[2:] for cls in PROCESSES] if short else [name]
        yield names, cells[1]


def test_every_setting_is_documented_and_no_other() -> None:
    """Every variable of both processes, `…_X` standing for both; and no misspelt one anywhere."""
    known = {variable(cls, field) for cls in PROCESSES for field in cls.model_fields}
    named = [name for names, _ in rows(CONFIGURATION) for name in names]
    assert sorted(named) == sorted(known)
    anywhere = set(re.findall(r"CHAIRSIDE_[A-Z_]*[A-Z]", README + CONFIGURATION))
    assert anywhere <= known


@pytest.mark.parametrize("page", [README, CONFIGURATION], ids=["README", "configuration"])
def test_the_defaults_are_told(page: str) -> None:
    """Each default stands in its variable's row; the README names some of the settings."""
    told = {name: default for names, default in rows(page) for name in names}
    assert told
    for cls in PROCESSES:
        for field, info in cls.model_fields.items():
            if page is README and variable(cls, field) not in told:
                continue
            cell = told[variable(cls, field)]
            if info.is_required():
                assert cell == "required"
                continue
            default = info.get_default(call_default_factory=True)
            numbers = [
                float(number) for number in re.findall(r"(?<![\w.])\d+(?:\.\d+)?(?![\w.:])", cell)
            ]
            if isinstance(default, bool):
                assert str(default).lower() in cell, field
            elif isinstance(default, int | float):
                assert default in numbers, field
            elif default is not None:
                assert str(default) in cell, field


def test_the_readme_is_short() -> None:
    """Under 200 lines."""
    assert len(README.splitlines()) < 200


def test_every_page_is_named() -> None:
    """Whoever reads the README finds all of docs/."""
    pages = {f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")}
    assert pages == set(re.findall(r"\]\((docs/[^)#/]+\.md)\)", README))


@pytest.mark.parametrize("page", [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))])
def test_every_link_leads_somewhere(page: Path) -> None:
    """Relative links name files and folders of this repository."""
    links = re.findall(r"\]\(([^)#\s]+)", page.read_text())
    lost = [one for one in links if "://" not in one and not (page.parent / one).exists()]
    assert not lost
