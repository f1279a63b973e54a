"""An empty world for each test."""

import pytest

from tests.unit.coherence.fakes import World


@pytest.fixture
def world() -> World:
    """Make an empty world."""
    return World()
