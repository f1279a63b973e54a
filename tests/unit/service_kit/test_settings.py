"""Settings from the environment."""

from pathlib import Path
from typing import ClassVar

import pytest

from service_kit.settings import (
    DatabaseUrl,
    ProcessSettings,
    SettingsError,
    describe,
    load,
    split_address,
)


class Settings(ProcessSettings):
    """A process of the tests' own."""

    prefix: ClassVar[str] = "CHAIRSIDE_CACHE_"
    listen: str = "127.0.0.1:50051"
    metrics_listen: str = "127.0.0.1:9101"
    database_url: DatabaseUrl


URL = "postgresql://me:hunter2@localhost:5432/db"
GOOD = {"CHAIRSIDE_CACHE_DATABASE_URL": URL, "PATH": "/bin"}


def test_names_are_read_with_their_prefix_or_as_shared_ones() -> None:
    """Numbers and instants are converted; an empty variable is unset."""
    settings = load(
        Settings,
        GOOD
        | {
            "CHAIRSIDE_CLOCK_START": "2018-07-30T12:00:00-04:00",
            "CHAIRSIDE_CACHE_MAX_DEADLINE": "2.5",
            "CHAIRSIDE_CACHE_DRAIN": "",
        },
    )
    assert settings.clock_start is not None
    assert settings.clock_start.hour == 12
    assert settings.max_deadline == 2.5
    assert settings.drain == 10


def test_every_wrong_and_every_unknown_variable_is_named_at_once() -> None:
    """One line for each, with a suggestion, and without the value of a URL."""
    with pytest.raises(SettingsError) as caught:
        load(
            Settings,
            {
                "CHAIRSIDE_CACHE_DATABASE_URL": "mysql://me:hunter2@x/y",
                "CHAIRSIDE_CACHE_DRAIN": "soon",
                "CHAIRSIDE_CACHE_LISTN": "127.0.0.1:1",
                "CHAIRSIDE_CLOCK_STRAT": "now",
                "CHAIRSIDE_CLOCK_START": "2018-07-30T12:00:00",
            },
        )
    text = str(caught.value)
    assert [line.split(":")[0] for line in text.splitlines()] == [
        "CHAIRSIDE_CACHE_LISTN",
        "CHAIRSIDE_CLOCK_STRAT",
        "CHAIRSIDE_CLOCK_START",
        "CHAIRSIDE_CACHE_DRAIN",
        "CHAIRSIDE_CACHE_DATABASE_URL",
    ]
    assert "did you mean CHAIRSIDE_CACHE_LISTEN?" in text
    assert "hunter2" not in text


def test_a_missing_variable_is_named() -> None:
    """Required means required."""
    with pytest.raises(SettingsError, match="CHAIRSIDE_CACHE_DATABASE_URL: is required"):
        load(Settings, {})


def test_the_other_processes_names_are_left_alone() -> None:
    """All may share one environment; the control is a name of nobody."""
    load(Settings, GOOD | {"CHAIRSIDE_BOOKING_ANYTHING": "1", "CHAIRSIDE_DEVSTACK_X": "1"})
    with pytest.raises(SettingsError, match="CHAIRSIDE_NOBODY"):
        load(Settings, GOOD | {"CHAIRSIDE_NOBODY": "1"})


def test_passwords_are_hidden_where_settings_are_shown() -> None:
    """Neither the log nor the repr has them."""
    settings = load(Settings, GOOD)
    assert describe(settings)["CHAIRSIDE_CACHE_DATABASE_URL"] == (
        "postgresql://me:***@localhost:5432/db"
    )
    assert "hunter2" not in repr(settings)
    assert settings.database_url == URL


def test_passwords_are_hidden_wherever_they_stand() -> None:
    """Also one with an @ or a slash in it, and one that is a parameter."""
    for url, shown in [
        ("postgresql://me:p@ss/word@h:1/db", "postgresql://me:***@h:1/db"),
        (
            "postgresql://me@h:1/db?sslmode=require&sslpassword=hunter2&x=1",
            "postgresql://me@h:1/db?sslmode=require&sslpassword=***&x=1",
        ),
    ]:
        settings = Settings.model_construct(database_url=url)
        assert describe(settings)["CHAIRSIDE_CACHE_DATABASE_URL"] == shown


def test_a_secret_may_stand_in_a_file(tmp_path: Path) -> None:
    """Without its line's end; both at once, a missing file and other settings' are named."""
    path = tmp_path / "url"
    path.write_text(f"{URL}\n")
    name = "CHAIRSIDE_CACHE_DATABASE_URL"
    assert load(Settings, {f"{name}_FILE": str(path)}).database_url == URL
    for wrong, expected in [
        ({f"{name}_FILE": str(path), name: URL}, f"{name}_FILE: is set as well"),
        ({f"{name}_FILE": "/nowhere"}, f"{name}_FILE: /nowhere: No such file"),
        ({name: URL, "CHAIRSIDE_CACHE_LISTEN_FILE": "x"}, "LISTEN_FILE: is not a setting"),
    ]:
        with pytest.raises(SettingsError, match=expected) as caught:
            load(Settings, wrong)
        assert len(caught.value.problems) == 1
        assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("wrong", ["", "host", ":1", "host:", "host:x", "host:65536", "host:-1"])
def test_addresses_are_host_and_port(wrong: str) -> None:
    """Anything else is refused."""
    assert split_address("[::1]:0") == ("::1", 0)
    with pytest.raises(ValueError, match="host:port"):
        split_address(wrong)
