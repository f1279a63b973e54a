"""Keys are read back into the arguments of which they were made."""

import dataclasses
from datetime import date
from typing import Any, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cache_service.edge.declared import discover
from cache_service.queries.availability import AvailabilityDay, availability
from cache_service.queries.declare import CachedQuery
from cache_service.queries.keys import without_texts
from cache_service.queries.list_clients import ClientPage, list_clients

QUERIES = discover()
PLAIN: dict[type, st.SearchStrategy[Any]] = {
    int: st.integers(),
    float: st.floats(allow_nan=False),
    str: st.text(st.characters(exclude_categories=["Cs"])),
}
for plain, strategy in PLAIN.items():
    st.register_type_strategy(plain, strategy)


def arguments_of(query: CachedQuery[Any]) -> st.SearchStrategy[Any]:
    """Make any arguments of a query, of organization 7."""
    hints = get_type_hints(query.kind)
    fields = {
        field.name: st.from_type(hints[field.name])
        for field in dataclasses.fields(query.kind)
        if field.name != "organization_id"
    }
    return st.builds(query.kind, organization_id=st.just(7), **fields)


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query.name)
@given(data=st.data())
def test_every_key_is_read_back(query: CachedQuery[Any], data: st.DataObject) -> None:
    """Its arguments come back, whatever they are, and no other query takes it for its own."""
    arguments = data.draw(arguments_of(query))
    key = query.key(arguments)
    assert {one.name: one.parse(7, key) for one in QUERIES if one.parse(7, key) is not None} == {
        query.name: arguments
    }


@pytest.mark.parametrize(
    "key",
    [
        "",
        "availability",
        "availability:barber:1:service:2",
        "availability:barber:1:service:2:date:2018-05-24:more:1",
        "availability:service:2:barber:1:date:2018-05-24",
        "availability:barber:01:service:2:date:2018-05-24",
        "availability:barber:x:service:2:date:2018-05-24",
        "availability:barber:1:service:2:date:20180524",
        "availability:barber:1:service:2:date:2018-02-30",
        "list:clients:query:a:include_deleted:no:page_size:50:after:0",
        "list:clients:query:=:include_deleted:perhaps:page_size:50:after:0",
    ],
)
def test_what_is_no_key_of_ours_is_not_read(key: str) -> None:
    """Neither half a key, nor one with more, nor one that is written otherwise."""
    assert [query.name for query in QUERIES if query.parse(7, key) is not None] == []


def test_what_a_key_looks_like() -> None:
    """Readable, with texts quoted; without texts it names nobody."""
    day = AvailabilityDay(7, 1, 2, date(2018, 5, 24))
    assert availability.key(day) == "availability:barber:1:service:2:date:2018-05-24"
    assert without_texts(availability.key(day)) == availability.key(day)
    page = ClientPage(7, "Anna: née, =x", include_deleted=False, page_size=50, after=0)
    key = list_clients.key(page)
    rest = "include_deleted:no:page_size:50:after:0"
    assert key == f"list:clients:query:=Anna%3A%20n%C3%A9e%2C%20%3Dx:{rest}"
    assert without_texts(key) == f"list:clients:query:=*:{rest}"
