"""The guide to adding a cached query, followed to the letter in a copy of the project.

Only its numbers are taken from the project as it is, so that whoever adds a query or a rule by the
guide need not change the guide: the field in batches, and the version of the rules.
"""

import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from json import loads
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from cache_service.invalidation.rules import RULES_VERSION
from chairside.booking.v1 import booking_service_pb2 as booking
from chairside.booking.v1.booking_service_pb2_grpc import BookingServiceStub
from chairside.cache.v1 import cache_service_pb2 as cache
from tests.conftest import NewDatabase, NewSystem
from tests.e2e.pages import Example, covers, examples
from tests.e2e.programs import ROOT, grpcurl, scrape
from tests.integration.cache.shops import Shop, open_shop
from tests.support.stack import System
from tests.support.steady import undisturbed
from tests.support.waiting import eventually

PAGE = "docs/adding-a-cached-query.md"
READ = "chairside.cache.v1.CacheService/GetCancellationReasons"
CARRIERS = (cache.ExplainRequest, cache.BatchRead, cache.BatchResult)
BUF = ("--config", "protos/buf.yaml", "--path", "chairside")
COPIED = (
    *("booking_service", "cache_service", "devstack", "docs", "protos", "service_kit", "tests"),
    *("Makefile", "pyproject.toml", "requirements.lock", "requirements-uv.lock"),
)


@dataclass(frozen=True, slots=True)
class Change:
    """A fenced block with the file that it is of: a whole new one, or a change of one."""

    path: str
    kind: str
    text: str

    def apply(self, root: Path) -> None:
        """Make it, where the lines that it leaves or takes away stand exactly once."""
        file = root / self.path
        if self.kind == "python":
            assert not file.exists(), file
            file.write_text(self.text)
            return
        lines = self.text.splitlines(keepends=True)
        old = "".join(line[1:] for line in lines if not line.startswith("+"))
        new = "".join(line[1:] for line in lines if not line.startswith("-"))
        before = file.read_text()
        assert before.count(old) == 1, (self.path, old)
        file.write_text(before.replace(old, new))


def numbered(text: str) -> str:
    """Put in the field's number and the rules' version that are next here."""
    taken = {field.number for one in CARRIERS for field in one.DESCRIPTOR.fields}
    number = next(number for number in count(1) if number not in taken)
    text = re.sub(r"(?<= get_cancellation_reasons = )\d+", str(number), text)
    text = re.sub(r"(?<=^-RULES_VERSION = )\d+", str(RULES_VERSION), text, flags=re.MULTILINE)
    return re.sub(r"(?<=^\+RULES_VERSION = )\d+", str(RULES_VERSION + 1), text, flags=re.MULTILINE)


def changes() -> Iterator[Change]:
    """Read the guide's, in order; each stands behind a line with its file alone."""
    text = numbered((ROOT / PAGE).read_text())
    for path, kind, block in re.findall(
        r"^`(\S+)`:\n\n```(python|diff)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE
    ):
        yield Change(path, kind, block)


def ids(told: Any, actual: Any) -> Iterator[tuple[str, str]]:
    """Pair the ids of what the guide tells with those that there are here."""
    if isinstance(told, dict):
        for key, value in told.items():
            if key.endswith("_id"):
                yield value, actual[key]
            else:
                yield from ids(value, actual[key])
    elif isinstance(told, list):
        for one, other in zip(told, actual, strict=False):
            yield from ids(one, other)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the project, make the guide's changes, and generate the contract's code and page."""
    root = tmp_path_factory.mktemp("guide")
    for name in COPIED:
        if (ROOT / name).is_dir():
            # Other processes may be writing bytecode just now.
            shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(ROOT / name, root / name)
    for change in changes():
        change.apply(root)
    made = ["make", "--no-print-directory", f"VENV={sys.prefix}", "docs"]
    ran = subprocess.run(made, cwd=root, check=False, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return root


@pytest.fixture(scope="module")
async def shop(new_database: NewDatabase) -> AsyncIterator[tuple[Shop, Any]]:
    """Open a shop, the first, of whose appointments one is booked and three were called off."""
    async with new_database() as database:
        connection = await asyncpg.connect(database.url)
        shop = await open_shop(connection)
        for hour in range(9, 13):
            await shop.book(shop.at(f"2030-03-11 {hour:02}:00"))
        await connection.execute("UPDATE appointments SET status = 'cancelled' WHERE id < 4")
        await connection.execute(
            "UPDATE appointments SET cancellation_reason = 'client is ill' WHERE id = 1"
        )
        yield shop, database
        await connection.close()


@pytest.fixture(scope="module")
async def guided(
    copy: Path, shop: tuple[Shop, Any], new_system: NewSystem
) -> AsyncIterator[System]:
    """Start both services from the copy."""
    variables = {"CHAIRSIDE_BOOKING_CACHE_TIMEOUT": "20"}  # a busy machine is no outage
    async with new_system(variables, database=shop[1], root=copy) as system:
        yield system


def test_what_the_guide_adds_is_in_form(copy: Path) -> None:
    """Its code passes the linter and the formatter as it stands, and its proto buf."""
    files = [copy / one.path for one in changes() if one.path.endswith(".py")]
    programs = Path(sys.executable).parent
    for arguments in (
        [programs / "ruff", "check", *files],
        [programs / "ruff", "format", "--check", *files],
        [programs / "buf", "lint", "build/image.binpb", *BUF],
    ):
        ran = subprocess.run(arguments, cwd=copy, check=False, capture_output=True, text=True)
        assert ran.returncode == 0, ran.stdout + ran.stderr


def test_what_the_guide_adds_is_documented(copy: Path) -> None:
    """The method is in the reference that `make docs` wrote, and its fields with what they mean."""
    assert "GetCancellationReasons" not in (ROOT / "docs/api.md").read_text()
    reference = (copy / "docs/api.md").read_text()
    assert "\n### GetCancellationReasons\n" in reference
    assert "| `times` = 2 | int64 | Cancelled appointments with that reason. |" in reference


async def test_its_commands_print_what_it_says(guided: System) -> None:
    """A first answer, why it hits, a cancellation, and the answer that has it; then the metrics."""
    known: dict[str, str] = {}
    commands = list(examples(PAGE))
    assert [one.command.split()[0] for one in commands].count("curl") == 1
    for example in commands:
        if example.command.startswith("curl"):
            metrics = await scrape(guided.cache)
            for line in example.output.splitlines():
                assert f"{line.rpartition(' ')[0]} " in metrics, line
            continue
        command = example.command
        for told_id, actual_id in known.items():
            command = command.replace(told_id, actual_id)
        ran, told = await Example(command, "").run(guided), loads(example.output)
        assert covers(ran.json(), told, words=True), ran.out
        known.update(ids(told, ran.json()))
    reasons = await read(guided)
    assert reasons["reasons"] == [
        {"times": "2"},
        {"reason": "client is ill", "times": "1"},
        {"reason": "moved away", "times": "1"},
    ]


async def read(system: System, source: str = "NEAR") -> Mapping[str, Any]:
    """Ask for the reasons, which must come from there."""
    answer = (await grpcurl(system.cache.address, READ, data={"organization_id": 1})).json()
    assert answer["cache_info"]["source"] == f"SOURCE_{source}"
    return dict(answer)


async def test_its_rule_drops_the_answer_when_it_must_and_only_then(
    guided: System, shop: tuple[Shop, Any]
) -> None:
    """A booking leaves it in memory, and so does its confirmation; its cancellation does not."""
    stub: Any = BookingServiceStub(guided.booking_channel)
    opened, _ = shop
    what = {"organization_id": 1, "service_id": opened.services[0]}

    async def booked_and_confirmed() -> dict[str, int]:
        await eventually(lambda: read(guided))
        search = booking.SearchAvailabilityRequest(**what)
        free = (await stub.SearchAvailability(search)).next_available
        made = await stub.CreateAppointment(
            booking.CreateAppointmentRequest(
                **what, barber_id=free.barber_id, start_time=free.slot.start_time
            )
        )
        appointment = {"organization_id": 1, "appointment_id": made.appointment.appointment_id}
        confirmed = await stub.ConfirmAppointment(booking.ConfirmAppointmentRequest(**appointment))
        assert made.cache_applied
        assert confirmed.cache_applied
        await read(guided)
        return appointment

    appointment = await undisturbed(booked_and_confirmed)
    await stub.CancelAppointment(booking.CancelAppointmentRequest(**appointment, reason="ill"))
    after = await read(guided, "DATABASE")
    assert {"reason": "ill", "times": "1"} in after["reasons"]
