"""The dashboard and the alerts, held to what the code exports and to the runbook."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from booking_service.measures import BOOKING
from cache_service.coherence.outcome import Outcome
from cache_service.telemetry.measures import CACHE
from service_kit.common_measures import COMMON, WORKERS
from service_kit.metrics import CODES
from tests.support.promql import named

FOLDER = Path("deploy/observability")
ALERTS = (FOLDER / "alerts.yml").read_text()
DASHBOARD = (FOLDER / "grafana/dashboards/chairside.json").read_text()
RUNBOOK = Path("docs/operations.md").read_text()
METRICS = Path("docs/metrics.md").read_text()
# Prometheus' own of a target, and what it adds to every series.
UP, OF_TARGET = "up", {"job", "instance"}
VALUES = {
    ("chairside_cache_reads_total", "outcome"): {outcome.value for outcome in Outcome},
    ("chairside_booking_invalidations_total", "outcome"): {"applied", "failed"},
    ("grpc_server_handled_total", "grpc_code"): set(CODES),
}


def exported() -> dict[str, set[str]]:
    """Return the labels of every series that there is, by its name."""
    series: dict[str, set[str]] = {UP: set()}
    for one in (*COMMON, *WORKERS, *CACHE, *BOOKING):
        if one.kind == "histogram":
            series[f"{one.name}_bucket"] = {*one.labels, "le"}
            series[f"{one.name}_sum"] = series[f"{one.name}_count"] = set(one.labels)
        else:
            series[one.name] = set(one.labels)
    for name in re.findall(r"^\| `(process_\w+)`", METRICS, re.MULTILINE):
        series[name] = set()
    return series


def rules() -> dict[str, str]:
    """Return each alert's expression."""
    found = re.findall(r"- alert: (\w+)\n +expr: (?:>-\n((?: {10}\S.*\n)+)|(.+)\n)", ALERTS)
    return {name: folded or line for name, folded, line in found}


def panels() -> dict[str, str]:
    """Return each expression of the dashboard."""
    told = {
        f"{panel['title']} {target['refId']}": target["expr"]
        for panel in json.loads(DASHBOARD)["panels"]
        for target in panel.get("targets", ())
    }
    return {name: expr.replace("$__rate_interval", "5m") for name, expr in told.items()}


EXPRESSIONS = {**rules(), **panels()}


def problems(expression: str) -> Iterator[str]:
    """Tell what an expression names that is not exported."""
    series = exported()
    for one in named(expression):
        if one.metric not in series:
            yield one.metric
            continue
        yield from one.labels - series[one.metric] - OF_TARGET
        for label, value in one.values:
            if value not in VALUES.get((one.metric, label), {value}):
                yield value


def test_there_are_alerts_and_panels() -> None:
    """As many as are written down, each with an expression."""
    assert len(rules()) == ALERTS.count("- alert:") >= 15
    assert len(panels()) == DASHBOARD.count('"expr"') >= 30


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_every_metric_and_label_is_exported(name: str) -> None:
    """What an alert or a panel names is there, with those labels and outcomes."""
    assert not list(problems(EXPRESSIONS[name])), EXPRESSIONS[name]


@pytest.mark.parametrize(
    ("expression", "wrong"),
    [
        ("chairside_cache_outbox_age_secs > 5", ["chairside_cache_outbox_age_secs"]),
        ('rate(chairside_cache_reads_total{outcom="hit"}[5m])', ["outcom"]),
        ('rate(chairside_cache_reads_total{outcome=~"near|hits"}[5m])', ["hits"]),
        ("sum by (quary) (rate(chairside_cache_reads_total[5m]))", ["quary"]),
        ("rate(chairside_cache_load_seconds[5m])", ["chairside_cache_load_seconds"]),
        ("summ(chairside_cache_lease_held)", ["summ"]),
        ('grpc_server_handled_total{grpc_code="OKAY"}', ["OKAY"]),
        ('min(chairside_cache_lease_held{job=~"c.+"}) == 0', []),
    ],
)
def test_what_is_not_exported_is_seen(expression: str, wrong: list[str]) -> None:
    """The control of the above."""
    assert list(problems(expression)) == wrong


def test_every_alert_has_an_entry_in_the_runbook() -> None:
    """Of its name, and its annotation leads there; no entry is of an alert that is not."""
    assert re.findall(r"^### (Chairside\w+)$", RUNBOOK, re.MULTILINE) == list(rules())
    for name in rules():
        assert f"runbook_url: docs/operations.md#{name.lower()}\n" in ALERTS


def test_the_issue_of_each_alert_is_told() -> None:
    """Every alert says how bad it is and what is the matter."""
    blocks = ALERTS.split("- alert: ")[1:]
    for block in blocks:
        assert re.search(r"labels: \{severity: (critical|warning)\}", block)
        assert "summary: " in block


def test_the_dashboard_stands_on_the_data_source_that_is_provisioned() -> None:
    """Every panel asks it, and no two panels have one id."""
    source = (FOLDER / "grafana/provisioning/datasources/prometheus.yml").read_text()
    (uid,) = re.findall(r"uid: (\w+)", source)
    told = [one for one in json.loads(DASHBOARD)["panels"] if one["type"] != "row"]
    assert {one["datasource"]["uid"] for one in told} == {uid}
    ids = [one["id"] for one in json.loads(DASHBOARD)["panels"]]
    assert len(set(ids)) == len(ids)
