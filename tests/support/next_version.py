"""The next version of the services, made of this one: with other rules, and another payload."""

import re
import shutil
import sys
from pathlib import Path

from devstack.services import ServiceProcess

__all__ = ["make_next_version", "run_version"]

_ROOT = Path(__file__).resolve().parent.parent.parent
_PACKAGES = ("booking_service", "cache_service", "chairside", "service_kit")


def make_next_version(directory: Path) -> Path:
    """Copy the packages, raise the rules' version, and lay out days of slots otherwise."""
    for package in _PACKAGES:
        shutil.copytree(_ROOT / package, directory / package)
    _change(
        directory / "cache_service/invalidation/rules.py",
        r"^RULES_VERSION = (\d+)$",
        lambda found: f"RULES_VERSION = {int(found[1]) + 1}",
    )
    # Four bytes more at its beginning: who takes it for the other layout reads nonsense.
    availability = directory / "cache_service/queries/availability.py"
    _change(availability, r'^_HEADER = struct.Struct\("<', lambda found: f"{found[0]}4x")
    _change(
        availability,
        r'^@cache_result\("availability", tags=_tags\)$',
        lambda found: f"{found[0][:-1]}, version=2)",
    )
    return directory


def run_version(process: ServiceProcess, tree: Path = _ROOT) -> None:
    """Let a process that does not run be of the version in that tree when it is started."""
    package = process.name
    # -P: else the packages of the working directory came first.
    process.argv = [sys.executable, "-P", "-m", package, "serve"]
    process.environ = {**(process.environ or {}), "PYTHONPATH": str(tree)}


def _change(path: Path, pattern: str, replacement: object) -> None:
    text, times = re.subn(pattern, replacement, path.read_text(), flags=re.MULTILINE)
    assert times == 1, f"{path} is not what it was: {pattern}"
    path.write_text(text)
