"""The protocol with one rule left out: each must be caught, or the model shows nothing."""

from __future__ import annotations

from tests.model.broken_changes import (
    DeletesFirst,
    GoesOnExpelled,
    GoesOnFromLast,
    InvalidatesOnce,
    Marginless,
    OutdatedInvalidator,
    OutdatedKeeper,
    PublishesWhatItFinds,
    SwitchesAtOnce,
)
from tests.model.broken_entries import (
    AnyIdentityCache,
    AnyIdentityServer,
    CountsNonces,
    DataFirstFiller,
    DeletesEntries,
    JoinsBegunLoadsFiller,
    KeyedByEntryFiller,
    LocksByEntry,
    MarkerlessMemory,
    PutsAnyway,
)
from tests.model.broken_membership import (
    AnyDatabasesInvalidator,
    AnyDatabasesKeeper,
    EndlessLease,
    ExpelsAtOnce,
    Fenceless,
    ForgetfulKeeper,
    ForgetsTheExpelled,
    HastyKeeper,
    HastyPeers,
    LeaseFromArrival,
    LooksFirst,
    OneDatabasesLease,
    UnacknowledgedPeers,
    UnhurriedPeers,
)
from tests.model.broken_reads import (
    AnyEraMemory,
    EpochlessKeys,
    IgnoresTokens,
    NeverForgets,
    RecallsByTheEntryAlone,
    TakesAnyMemory,
    TakesAnySharedLoad,
    TakesFullAsDefault,
    TakesXmaxAlone,
)
from tests.model.rules import Rules

__all__ = ["BROKEN", "WITHOUT_EXPULSION"]

BROKEN: dict[str, Rules] = {
    "a lease never runs out": Rules(lease=EndlessLease),
    "a lease counts from the arrival of its answer": Rules(lease=LeaseFromArrival),
    "nobody checks the server's identity": Rules(
        server=AnyIdentityServer, shared_cache=AnyIdentityCache
    ),
    "memory ignores the marker": Rules(memory=MarkerlessMemory),
    "guards are read after the data": Rules(filler=DataFirstFiller),
    "guards are not compared at the put": Rules(server=PutsAnyway),
    "nobody waits for acknowledgements": Rules(peers=UnacknowledgedPeers),
    "members acknowledge before they drop": Rules(peers=HastyPeers),
    "who is expelled already is ignored": Rules(invalidator=ForgetsTheExpelled),
    "nobody waits for who is expelled": Rules(invalidator=ExpelsAtOnce),
    "members are looked at before the script": Rules(invalidator=LooksFirst),
    "the fence does not wait": Rules(invalidator=Fenceless),
    "the cache is turned on at once": Rules(keeper=HastyKeeper),
    "the expelled keep their memory": Rules(keeper=ForgetfulKeeper),
    "entries are deleted instead of guards": Rules(server=DeletesEntries),
    "nonces are counters": Rules(server=CountsNonces),
    "loads are shared by the entry alone": Rules(filler=KeyedByEntryFiller),
    "load locks are kept by the entry alone": Rules(server=LocksByEntry),
    "loads that have begun are joined": Rules(filler=JoinsBegunLoadsFiller),
    "another database's leases are forgotten": Rules(
        lease=OneDatabasesLease,
        keeper=AnyDatabasesKeeper,
        invalidator=AnyDatabasesInvalidator,
    ),
    "leases are waited for without a margin": Rules(invalidator=Marginless),
    "the script is not run again under another epoch": Rules(invalidator=InvalidatesOnce),
    "only what was found is published": Rules(server=PublishesWhatItFinds),
    "a reply is recalled by its entry alone": Rules(reader=RecallsByTheEntryAlone),
    "keys carry no epoch": Rules(shared_cache=EpochlessKeys),
    "memory outlives its era": Rules(memory=AnyEraMemory, keeper=NeverForgets),
    "the expelled go on renewing": Rules(keeper=GoesOnExpelled),
    "another identity comes without a time of off": Rules(keeper=SwitchesAtOnce),
    "older rules go on invalidating": Rules(invalidator=OutdatedInvalidator),
    "older rules go on serving hits": Rules(keeper=OutdatedKeeper),
    "the relay deletes before it applies": Rules(relay=DeletesFirst),
    "the relay goes on from the last id": Rules(relay=GoesOnFromLast),
    "tokens are ignored": Rules(reader=IgnoresTokens),
    "tokens are not compared with what is in memory": Rules(reader=TakesAnyMemory),
    "tokens take any shared load": Rules(reader=TakesAnySharedLoad),
    "tokens take what had only begun": Rules(reader=TakesXmaxAlone),
    "a fully consistent read is a default one": Rules(reader=TakesFullAsDefault),
    "a lost connection is ignored": Rules(peers=UnhurriedPeers, forgets_when_disconnected=False),
}
"""What is left out, and the rules without it.

That a lost connection empties the memory is a second line: who misses a publication does
not acknowledge it either, and is expelled. So it is shown where nobody is.
"""

WITHOUT_EXPULSION = Rules(peers=UnhurriedPeers)
"""Not a rule left out, but the ground on which the second line alone is looked at."""
