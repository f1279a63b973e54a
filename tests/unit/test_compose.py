"""What the compose file promises, as far as it can be read off without an engine."""

import re
from pathlib import Path

_TEXT = Path("docker-compose.yml").read_text()


def _services() -> dict[str, str]:
    body = _TEXT.partition("\nservices:\n")[2].partition("\nvolumes:\n")[0]
    parts = re.split(r"^  (\w+):\n", body, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_all_parts_of_the_system_are_there() -> None:
    """Database, cache, a migration that runs once, and both services."""
    assert set(_services()) == {"postgres", "valkey", "migrate", "cache", "booking"}
    assert 'restart: "no"' in _services()["migrate"]


def test_nothing_is_published_beyond_the_loopback() -> None:
    """Every published port names 127.0.0.1; the servers publish none."""
    published = re.findall(r"^      - (\S+:\d+)$", _TEXT, flags=re.MULTILINE)
    assert len(published) == 4
    assert all(port.startswith("127.0.0.1:") for port in published)
    assert "ports:" not in _services()["postgres"] + _services()["valkey"]


def test_what_stays_up_has_a_health_check_and_waits_for_what_it_needs() -> None:
    """The services wait for the migration to have succeeded."""
    services = _services()
    for name in ("postgres", "valkey", "cache", "booking"):
        assert "healthcheck:" in services[name]
    assert "migrate: {condition: service_completed_successfully}" in services["cache"]
    assert "cache: {condition: service_healthy}" in services["booking"]


def test_the_image_runs_as_nobody_in_particular() -> None:
    """Not as root, and with code made from the protos within."""
    dockerfile = Path("Dockerfile").read_text()
    assert re.search(r"^USER chairside$", dockerfile, flags=re.MULTILINE)
    assert "grpc_tools.protoc" in dockerfile
