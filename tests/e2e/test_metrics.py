"""The page on metrics, held to what both processes export and to what the code says of it."""

import re
from typing import NamedTuple

import pytest
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families

from booking_service.measures import BOOKING
from cache_service.coherence.keeper import Happening
from cache_service.coherence.outcome import Outcome
from cache_service.telemetry.measures import CACHE
from service_kit.common_measures import COMMON, WORKERS
from service_kit.measures import Measure
from service_kit.version import VERSION
from tests.e2e.programs import ROOT, grpcurl, scrape
from tests.support.stack import System

PAGE = (ROOT / "docs/metrics.md").read_text()
README = (ROOT / "README.md").read_text()
OPERATIONS = (ROOT / "docs/operations.md").read_text()
MEASURES = {one.name: one for one in (*COMMON, *WORKERS, *CACHE, *BOOKING)}
NAME = re.compile(
    r"\b(?:asyncio_|grpc_server_|process_|chairside_(?!cache\b(?!_)|booking\b(?!_)))[a-z_]+"
)


class Row(NamedTuple):
    """A metric as the page tells of it."""

    name: str
    labels: tuple[str, ...]
    kind: str
    unit: str
    meaning: str


def rows() -> list[Row]:
    """Read the page's tables."""
    found = re.findall(
        r"^\| `(\w+)(?:\{([\w,]+)\})?` \| (\w+) \| (\w+) \| (.+) \|$", PAGE, re.MULTILINE
    )
    return [
        Row(name, tuple(filter(None, labels.split(","))), *rest) for name, labels, *rest in found
    ]


async def exported(system: System) -> dict[str, Metric]:
    """Return what both processes export, by the names that a counter has, too."""
    texts = [await scrape(process) for process in (system.cache, system.booking)]
    families = [one for text in texts for one in text_string_to_metric_families(text)]
    return {one.name + "_total" * (one.type == "counter"): one for one in families}


async def test_every_metric_is_documented_and_no_other(town: System) -> None:
    """Each has one row, with its type and its labels, and a help where it is exported."""
    told = {row.name: row for row in rows()}
    found = await exported(town)
    assert len(told) == len(rows())
    assert told.keys() == found.keys()
    for name, family in found.items():
        assert told[name].kind == family.type, name
        assert family.documentation, name
        of_samples = {tuple(sorted(set(one.labels) - {"le"})) for one in family.samples}
        assert of_samples <= {tuple(sorted(told[name].labels))}, name


async def test_every_metric_is_defined_once_in_a_file_of_measures(town: System) -> None:
    """What is exported is a `Measure`, but for what prometheus_client tells of the process."""
    names = {name for name in await exported(town) if not name.startswith("process_")}
    assert names == MEASURES.keys()
    assert len(MEASURES) == len((*COMMON, *WORKERS, *CACHE, *BOOKING))


def test_the_page_says_what_the_code_says() -> None:
    """Kind, unit and labels of each are those of its `Measure`."""
    of_code = {(one.name, one.labels, one.kind, one.unit) for one in MEASURES.values()}
    of_page = {row[:4] for row in rows() if not row.name.startswith("process_")}
    assert of_page == of_code


@pytest.mark.parametrize("one", [*MEASURES.values()], ids=lambda one: one.name)
def test_a_name_says_its_unit(one: Measure) -> None:
    """As Prometheus wants it: base units, at the end, and `_total` behind those of counters."""
    name = one.name.removesuffix("_total")
    assert (one.kind == "counter") is one.name.endswith("_total")
    assert (one.unit == "seconds") is name.endswith("_seconds")
    assert (one.unit == "bytes") is name.endswith("_bytes")
    assert one.text.endswith(".")


def test_the_words_of_labels_are_told() -> None:
    """Each outcome, pool and some of what becomes of a lease stand in the page."""
    assert all(f"`{outcome.value}`" in PAGE for outcome in Outcome)
    kinds = re.findall(r"`(\w+)`", next(row.meaning for row in rows() if "lease_ch" in row.name))
    assert kinds
    assert set(kinds) <= {happening.name.lower() for happening in Happening}


async def test_every_pool_is_told_and_stays_within_its_limit(town: System) -> None:
    """The pools' names stand in the page; of two workers the connections are added."""
    found = await exported(town)
    limits, used = (
        {one.labels["pool"]: one.value for one in found[f"chairside_pool_{what}"].samples}
        for what in ("limit", "in_use")
    )
    assert limits.keys() == used.keys()
    assert limits.keys() <= {"calls", "outbox", "loads", "looks", "lease", "relay"}
    assert all(f"`{name}`" in PAGE for name in limits)
    assert all(0 <= used[name] <= limits[name] for name in limits)


async def test_what_takes_time_is_timed_as_often_as_it_is_counted(town: System) -> None:
    """Invalidations, relayed events and calls; and each load, of one entry here, once."""
    asked = "chairside.cache.v1.CacheService/GetSchedule"
    for barber in (1, 2):
        read = {
            "organization_id": 1,
            "barber_id": barber,
            "consistency": {"fully_consistent": True},
        }
        (await grpcurl(town.cache.address, asked, data=read)).json()
    found = await exported(town)

    def values(name: str, suffix: str, **labels: str) -> float:
        samples = found[name].samples
        return sum(
            one.value
            for one in samples
            if one.name == name.removesuffix("_total") + suffix
            and labels.items() <= one.labels.items()
        )

    invalidations = values("chairside_cache_invalidations_total", "_total")
    relayed = values("chairside_cache_relayed_events_total", "_total")
    assert min(invalidations, relayed) > 0
    assert values("chairside_cache_invalidation_seconds", "_count") == invalidations
    assert values("chairside_cache_relay_delay_seconds", "_count") == relayed
    schedule = {"query": "schedule"}
    bypassed = values("chairside_cache_reads_total", "_total", **schedule, outcome="bypass")
    assert 2 <= bypassed <= values("chairside_cache_load_seconds", "_count", **schedule)


def test_other_pages_name_no_metric_that_there_is_not() -> None:
    """The README and the page on operations."""
    known = {row.name for row in rows()}
    for text in (README, OPERATIONS):
        named = {re.sub(r"_(bucket|sum|count)$", "", name) for name in NAME.findall(text)}
        assert named <= known


def test_the_version_is_that_of_the_project() -> None:
    """What `chairside_build_info` tells is what pyproject.toml says."""
    assert f'\nversion = "{VERSION}"\n' in (ROOT / "pyproject.toml").read_text()
