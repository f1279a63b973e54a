"""The manifests are what the API server takes, and say of the services what is so."""

import re
import tomllib
from collections.abc import Iterator
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import trustme
import yaml

from booking_service.settings import Settings as BookingSettings
from cache_service.app import SERVICE as CACHE
from cache_service.settings import Settings as CacheSettings
from chairside.booking.v1 import booking_service_pb2
from service_kit.settings import SettingsError, load
from tests.support.certificates import issue

_ROOT = Path("deploy/kubernetes")
_VERSION = "1.33"
"""The oldest Kubernetes that will do: native sidecars are stable since then."""
_WAYS = ("sidecar", "standalone")
_MARGIN = 8  # seconds: what a process needs at most beyond its drain (service_kit.supervisor)
_SETTINGS = {"cache_service": CacheSettings, "booking_service": BookingSettings}
_SERVICES = {
    "cache_service": CACHE.full_name,
    "booking_service": booking_service_pb2.DESCRIPTOR.services_by_name["BookingService"].full_name,
}
_URLS = {
    "owner-database-url": "postgresql://o:p@db/chairside",
    "booking-database-url": "postgresql://b:p@db/chairside",
    "cache-database-url": "postgresql://c:p@db/chairside",
    "redis-url": "redis://redis:6379/0",
    "booking-password": "p",
    "cache-password": "p",
}


@cache
def _documents(path: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(path.read_text()))


def _resources(directory: Path) -> Iterator[dict[str, Any]]:
    """Give what a kustomization is made of, its patches applied."""
    (kustomization,) = _documents(directory / "kustomization.yaml")
    patches = {
        (patch["kind"], patch["metadata"]["name"]): patch
        for one in kustomization.get("patches", ())
        for patch in _documents(directory / one["path"])
    }
    for name in kustomization["resources"]:
        where = directory / name
        for one in _resources(where) if where.is_dir() else _documents(where):
            yield _merged(one, patches.pop((one["kind"], one["metadata"]["name"]), {}))
    assert not patches, "of what is not there"


def _merged(base: Any, patch: Any) -> Any:
    """Merge as kustomize does: null takes away, lists of things by what tells those apart."""
    if isinstance(patch, dict) and isinstance(base, dict):
        both = base | {key: _merged(base.get(key), value) for key, value in patch.items()}
        return {key: value for key, value in both.items() if value is not None}
    if not (isinstance(patch, list) and isinstance(base, list) and isinstance(patch[0], dict)):
        return patch
    key = next(key for key in ("mountPath", "containerPort", "port", "name") if key in patch[0])
    things = {one[key]: one for one in base}
    for one in patch:
        things[one[key]] = _merged(things.get(one[key], {}), one)
    return list(things.values())


def _pods(way: str) -> dict[str, dict[str, Any]]:
    return {
        one["metadata"]["name"]: one["spec"]["template"]["spec"]
        for one in _resources(_ROOT / way)
        if "template" in one.get("spec", {})
    }


def _containers(pod: dict[str, Any]) -> list[dict[str, Any]]:
    return [*pod.get("initContainers", ()), *pod["containers"]]


def _environment(way: str, container: dict[str, Any]) -> dict[str, str]:
    """Return what a container is told, the secret's values made up."""
    maps = {
        one["metadata"]["name"]: one["data"]
        for one in _resources(_ROOT / way)
        if one["kind"] == "ConfigMap"
    }
    found: dict[str, str] = {}
    for source in container.get("envFrom", ()):
        found |= maps[source["configMapRef"]["name"]]
    for one in container.get("env", ()):
        found[one["name"]] = (
            one["value"] if "value" in one else _URLS[one["valueFrom"]["secretKeyRef"]["key"]]
        )
    return found


SERVING = [
    (way, name, container)
    for way in _WAYS
    for name, pod in _pods(way).items()
    for container in _containers(pod)
    if container["command"][-1] == "serve"
]
ids = pytest.mark.parametrize(
    ("way", "pod", "container"),
    SERVING,
    ids=[f"{way}-{name}-{container['name']}" for way, name, container in SERVING],
)


def test_the_api_server_takes_them() -> None:
    """Every document is valid, with no field that is not one; a wrong field is noticed."""
    made = {way: list(_resources(_ROOT / way)) for way in (*_WAYS, "tls")}
    assert {way: len(documents) for way, documents in made.items()} == {
        "sidecar": 8,
        "standalone": 12,
        "tls": 12,
    }
    documents = [one for way in made.values() for one in way]
    for one in documents:
        kubernetes_validate.validate(one, _VERSION, strict=True)
    wrong = deepcopy(next(one for one in documents if one["kind"] == "PodDisruptionBudget"))
    wrong["spec"]["maxUnavailible"] = wrong["spec"].pop("maxUnavailable")
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, _VERSION, strict=True)


def test_both_services_are_served_either_way() -> None:
    """As a sidecar the cache service starts before and ends after the one that asks it."""
    names = {way: [one["name"] for at, _, one in SERVING if at == way] for way in _WAYS}
    assert names == {"sidecar": ["cache", "booking"], "standalone": ["booking", "cache"]}
    (sidecar,) = _pods("sidecar")["chairside-booking"]["initContainers"]
    assert sidecar["restartPolicy"] == "Always"


@ids
def test_every_variable_is_a_setting(way: str, pod: str, container: dict[str, Any]) -> None:
    """The process would start with them, and serves alone in its container."""
    settings = load(_SETTINGS[container["command"][2]], _environment(way, container))
    if isinstance(settings, CacheSettings):
        assert settings.workers == 1
    target = _environment(way, container).get("CHAIRSIDE_BOOKING_CACHE_TARGET", "")
    headless = [
        one["metadata"]["name"]
        for one in _resources(_ROOT / way)
        if one["kind"] == "Service" and one["spec"]["clusterIP"] == "None"
    ]
    assert pod in headless
    if target.startswith("dns:"):
        assert target.removeprefix("dns:///").removesuffix(":50051") in headless
    with pytest.raises(SettingsError, match="PORT: is not a setting"):
        # What a Service of that name would add, were `enableServiceLinks` not off.
        load(type(settings), _environment(way, container) | {f"{settings.prefix}PORT": "tcp://1"})


@ids
def test_ports_and_probes_are_those_of_the_process(
    way: str, pod: str, container: dict[str, Any]
) -> None:
    """Each probe asks the port it listens on, for a service that its health knows."""
    package = container["command"][2]
    settings = load(_SETTINGS[package], _environment(way, container))
    listens = [int(one.rpartition(":")[2]) for one in (settings.listen, settings.metrics_listen)]
    assert [port["containerPort"] for port in container["ports"]] == listens
    for kind in ("startupProbe", "readinessProbe"):
        assert container[kind]["grpc"] == {"port": listens[0], "service": _SERVICES[package]}
    # Without a name: of the process, which health answers for under every name alike.
    assert container["livenessProbe"]["grpc"] == {"port": listens[0]}
    (service,) = (
        one
        for one in _resources(_ROOT / way)
        if one["kind"] == "Service" and one["metadata"]["name"] == pod
    )
    names = {port["name"] for one in _containers(_pods(way)[pod]) for port in one["ports"]}
    assert service["spec"]["ports"][0]["targetPort"] in names


@pytest.mark.parametrize("pod", ["chairside-cache", "chairside-booking"])
def test_with_tls_a_command_probes(pod: str, tmp_path: Path) -> None:
    """Each process starts with the secret's files, and its probes trust them, by its name."""
    (container,) = _containers(_pods("tls")[pod])
    (volume,) = (one for one in _pods("tls")[pod]["volumes"] if one["name"] == "tls")
    assert volume["secret"]["secretName"] == f"{pod}-tls"
    (mount,) = (one for one in container["volumeMounts"] if one["name"] == "tls")
    issued = issue(trustme.CA(), tmp_path, pod)
    for name, file in (("tls.crt", issued.certificate), ("tls.key", issued.key)):
        file.rename(tmp_path / name)
    issued.ca.rename(tmp_path / "ca.crt")
    environment = {
        name: value.replace(f"{mount['mountPath']}/", f"{tmp_path}/")
        for name, value in _environment("tls", container).items()
    }
    package = container["command"][2]
    settings = load(_SETTINGS[package], environment)
    assert settings.tls_files is not None
    assert settings.tls_files.read().certificate
    if isinstance(settings, BookingSettings):
        assert settings.cache_tls is not None
    for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert set(container[kind]) & {"grpc", "exec", "tcpSocket", "httpGet"} == {"exec"}
        service = [] if kind == "livenessProbe" else [_SERVICES[package]]
        assert container[kind]["exec"]["command"] == [
            *("python", "-m", "service_kit.health_probe"),
            f"127.0.0.1:{settings.listen.rpartition(':')[2]}",
            *service,
            *("--ca", f"{mount['mountPath']}/ca.crt", "--name", pod),
        ]
    (of_pod,) = (
        one
        for one in _resources(_ROOT / "tls")
        if one["kind"] == "Service" and one["metadata"]["name"] == pod
    )
    assert [port["appProtocol"] for port in of_pod["spec"]["ports"]] == ["https"]


@pytest.mark.parametrize("way", _WAYS)
def test_a_pod_may_drain_to_its_end(way: str) -> None:
    """Its grace is longer than the pause before, and the drains of its containers, together."""
    for name, pod in _pods(way).items():
        serving = [one for at, of, one in SERVING if (at, of) == (way, name)]
        if not serving:
            continue
        drains = [
            load(_SETTINGS[one["command"][2]], _environment(way, one)).drain + _MARGIN
            for one in serving
        ]
        pause = max(one["lifecycle"]["preStop"]["sleep"]["seconds"] for one in serving)
        assert pod["terminationGracePeriodSeconds"] > pause + sum(drains)


@pytest.mark.parametrize("way", _WAYS)
def test_pods_run_as_nobody_and_keep_no_secret(way: str) -> None:
    """No root, no writing but to a small /tmp, no capability, no token, secrets by reference."""
    for pod in _pods(way).values():
        assert pod["enableServiceLinks"] is False
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in _containers(pod):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert container["resources"]["limits"]["memory"]
            assert {"cpu", "memory"} == set(container["resources"]["requests"])
    text = "".join(path.read_text() for path in _ROOT.rglob("*.yaml"))
    assert not re.search(r"://[^\s/:]+:[^\s/@]+@", text)
    assert "kind: Secret" not in text


@pytest.mark.parametrize("way", _WAYS)
def test_what_is_replaced_or_moved_leaves_enough(way: str) -> None:
    """A new pod comes first, one at a time goes; the image is that of this version."""
    resources = list(_resources(_ROOT / way))
    for one in resources:
        if one["kind"] == "Deployment":
            assert one["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
            name = one["metadata"]["name"]
            kinds = {
                other["kind"]
                for other in resources
                if other["metadata"]["name"] == name and other is not one
            }
            assert kinds == {"Service", "PodDisruptionBudget", "HorizontalPodAutoscaler"}
    (kustomization,) = _documents(_ROOT / way / "kustomization.yaml")
    project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
    assert kustomization["images"] == [{"name": "chairside", "newTag": project["version"]}]
