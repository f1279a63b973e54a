"""A share of a core for a process, by the kernel's quota: so cores are free that are not there.

Linux only, and only for those who may make control groups, as root mostly may.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from benchmarks.errors import BenchmarkError

__all__ = ["QuotaError", "bounded"]

_ROOT = Path("/sys/fs/cgroup")
_PERIOD = 10_000
"""Microseconds: short beside what a call waits, and long beside a turn of the scheduler."""


class QuotaError(BenchmarkError):
    """Say why no quota can be set here."""


@contextmanager
def bounded(processes: Collection[int], share: float) -> Iterator[None]:
    """Let each of the processes run for that share of a core, and no more, meanwhile.

    Raises QuotaError.
    """
    with ExitStack() as stack:
        for process in processes:
            try:
                group = stack.enter_context(_group())
                _limit(group, round(share * _PERIOD))
                (group / "cgroup.procs").write_text(str(process))
                stack.callback(_let_go, process)
            except OSError as error:
                raise QuotaError(str(error)) from error
        yield


@contextmanager
def _group() -> Iterator[Path]:
    parent = _parent()
    group = parent / f"chairside-{uuid4().hex}"
    group.mkdir()
    try:
        yield group
    finally:
        group.rmdir()


def _parent() -> Path:
    """Return where groups are made that bound the CPU: of the second version, or of the first."""
    if not (_ROOT / "cgroup.controllers").exists():
        return _ROOT / "cpu"
    (_ROOT / "cgroup.subtree_control").write_text("+cpu")
    return _ROOT


def _limit(group: Path, microseconds: int) -> None:
    if (group / "cpu.max").exists():
        (group / "cpu.max").write_text(f"{microseconds} {_PERIOD}")
    else:
        (group / "cpu.cfs_period_us").write_text(str(_PERIOD))
        (group / "cpu.cfs_quota_us").write_text(str(microseconds))


def _let_go(process: int) -> None:
    with suppress(ProcessLookupError):
        (_parent() / "cgroup.procs").write_text(str(process))
