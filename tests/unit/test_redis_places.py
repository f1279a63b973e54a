"""Where the shared cache is: its URL, its identity, and which server has an organization."""

import pytest

from cache_service.settings import Settings
from cache_service.stores.redis.cluster import Cluster
from cache_service.stores.redis.identity import (
    SLOTS,
    Shard,
    identity_of,
    ranges_of,
    shard_of,
    slot_of,
    tag_of,
)
from cache_service.stores.redis.servers import Connect, OneServer
from cache_service.stores.redis.urls import servers_of
from service_kit.settings import SettingsError, load

THREE = (
    Shard("one", "h1", "0-99+200-5460"),
    Shard("two", "h2", "100-199+5461-10922"),
    Shard("three", "h3", "10923-16383"),
)


def test_an_identity_names_the_server_of_each_organization() -> None:
    """The slots of all are told apart, whatever order they are named in; one server has all."""
    identity = identity_of(THREE)
    assert identity == identity_of(THREE[::-1])
    found = {shard_of(identity, organization_id) for organization_id in range(1, 500)}
    assert found == set(THREE)
    for organization_id in range(1, 500):
        shard = shard_of(identity, organization_id)
        assert shard is not None
        assert any(slot_of(organization_id) in slots for slots in ranges_of(shard.slots))
    assert shard_of(identity_of([Shard("only", "h")]), 7) == Shard("only", "h")
    assert identity_of([Shard("only", "h")]) == "only:h"


def test_a_slot_that_nobody_has_is_nobodys() -> None:
    """An identity without it names no server, and the store is away for that organization."""
    identity = identity_of(THREE[1:])
    lost = next(one for one in range(1, 500) if slot_of(one) < 100)
    assert shard_of(identity, lost) is None
    assert shard_of("", 7) == Shard("", "")


def test_channels_are_of_a_slot_that_their_server_has() -> None:
    """The least number in braces that is, so that all processes name the same ones."""
    for shard in THREE:
        tag = tag_of(shard.slots)
        assert any(slot_of(tag) in slots for slots in ranges_of(shard.slots))
        assert not any(slot_of(n) in slots for n in range(tag) for slots in ranges_of(shard.slots))
    assert tag_of("") == 0
    assert tag_of(f"0-{SLOTS - 1}") == 0


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("redis://somewhere:7000/2", OneServer),
        ("rediss://me:secret@somewhere", OneServer),
        ("redis+sentinel://one,two:7001/shop", OneServer),
        ("redis+cluster://one", Cluster),
        ("rediss+cluster://me:secret@one:7000,[::1]:7001", Cluster),
        ("valkey+cluster://one:7000,two/0", Cluster),
        ("rediss+cluster://one?ssl_ca_certs=/ca.pem", Cluster),
    ],
)
def test_the_setting_names_a_server_sentinels_or_a_cluster(url: str, kind: type) -> None:
    """Every form that is accepted can be connected to."""
    database = {"CHAIRSIDE_CACHE_DATABASE_URL": "postgresql://me@x/y"}
    settings = load(Settings, database | {"CHAIRSIDE_CACHE_REDIS_URL": url})
    servers = servers_of(settings.redis_url, Connect("me", 1.0), lambda _why: None)
    assert isinstance(servers, kind)


@pytest.mark.parametrize(
    "url",
    [
        "http://one",
        "redis://",
        "redis+sentinel://one:7000",
        "redis+sentinel://one:x/shop",
        "redis+sentinel://one,/shop",
        "redis+cluster://",
        "redis+cluster://one:x",
        "redis+cluster://one,,two",
        "redis+cluster://one:7000/1",
        "redis+cluster://one:7000/1?ssl_ca_certs=/ca.pem",
    ],
)
def test_what_is_no_place_is_refused_at_the_start(url: str) -> None:
    """It is said which variable is wrong and what it must be."""
    with pytest.raises(SettingsError, match=r"CHAIRSIDE_CACHE_REDIS_URL: must be redis://"):
        load(
            Settings,
            {
                "CHAIRSIDE_CACHE_DATABASE_URL": "postgresql://me@x/y",
                "CHAIRSIDE_CACHE_REDIS_URL": url,
            },
        )
