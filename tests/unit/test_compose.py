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
    always = {"postgres", "valkey", "migrate", "cache", "booking"}
    assert set(_services()) == always | {"prometheus", "grafana"}
    assert {name for name, text in _services().items() if "profiles:" not in text} == always
    assert 'restart: "no"' in _services()["migrate"]


def test_nothing_is_published_beyond_the_loopback() -> None:
    """Every published port names 127.0.0.1; the servers publish none."""
    published = re.findall(r"^      - (\S+:\d+)$", _TEXT, flags=re.MULTILINE)
    assert len(published) == 6
    assert all(port.startswith("127.0.0.1:") for port in published)
    assert "ports:" not in _services()["postgres"] + _services()["valkey"]


def test_what_stays_up_has_a_health_check_and_waits_for_what_it_needs() -> None:
    """The services wait for the migration to have succeeded."""
    services = _services()
    for name in set(services) - {"migrate"}:
        assert "healthcheck:" in services[name]
    assert "migrate: {condition: service_completed_successfully}" in services["cache"]
    assert "cache: {condition: service_healthy}" in services["booking"]


def test_what_is_mounted_is_there() -> None:
    """Every file and folder of ours that a container sees exists, and none can be written."""
    mounted = re.findall(r"^      - \./(\S+):/\S+?(:ro)?$", _TEXT, flags=re.MULTILINE)
    assert len(mounted) == 4
    assert all(Path(path).exists() and mode == ":ro" for path, mode in mounted)


def test_no_capability_is_left_or_needed() -> None:
    """All but Postgres drop every one; valkey is not begun as root, whose entrypoint needs some."""
    services = _services()
    for name in set(services) - {"postgres"}:
        assert "cap_drop: [ALL]" in services[name] or "<<: *service" in services[name]
    assert "cap_drop: [ALL]" in _TEXT.partition("\nservices:\n")[0]
    assert "cap_add" not in _TEXT
    assert "user: valkey" in services["valkey"]


def test_prometheus_asks_both_services_at_their_ports() -> None:
    """The targets are services of this file, at the ports that these say they listen on."""
    targets = re.findall(
        r"targets: \[(\w+):(\d+)\]", Path("deploy/observability/prometheus.yml").read_text()
    )
    assert {name for name, _ in targets} == {"cache", "booking"}
    for name, port in targets:
        assert re.search(rf"METRICS_LISTEN: 0\.0\.0\.0:{port}$", _services()[name], re.MULTILINE)


def test_the_image_runs_as_nobody_in_particular() -> None:
    """Not as root, and with code made from the protos within."""
    dockerfile = Path("Dockerfile").read_text()
    assert re.search(r"^USER 10001:10001$", dockerfile, flags=re.MULTILINE)
    # Nothing is compiled where nothing can be written, and nobody could change the code.
    assert "compileall" in dockerfile
    assert "--compile-bytecode" in dockerfile
    assert "--chown" not in dockerfile
    assert "grpc_tools.protoc" in dockerfile
