"""What a fault is: a context that begins it and heals it.

What the context gives tells afterwards, in some counter's own number, what the fault did:
a fault without any effect proves nothing.
"""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from random import Random

from tests.faults.cluster import Cluster
from tests.faults.load import Load
from tests.faults.shop import Shop

__all__ = ["Effect", "Fault", "Scene"]

Effect = Callable[[], Awaitable[int]]
"""What a fault did, asked once it is healed."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What faults act on."""

    cluster: Cluster
    load: Load
    shop: Shop
    random: Random


Fault = Callable[[Scene], AbstractAsyncContextManager[Effect]]
