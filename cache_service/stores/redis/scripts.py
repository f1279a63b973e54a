"""The scripts that run inside Redis, each on the keys of one organization's hash slot."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

__all__ = ["CLAIM", "INVALIDATE", "PUT", "Script"]


@dataclass(frozen=True, slots=True)
class Script:
    """A script and the digest under which the server knows it."""

    text: str
    digest: str


def _script(text: str) -> Script:
    return Script(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


CLAIM = _script("""
-- KEYS: guards. ARGV: a fresh nonce for each, then the guards' lifetime in ms.
local found = {}
local lifetime = ARGV[#ARGV]
for i, guard in ipairs(KEYS) do
  redis.call('SET', guard, ARGV[i], 'NX', 'PX', lifetime)
  found[i] = redis.call('GET', guard)
end
return found
""")

PUT = _script("""
-- KEYS: the entry, then its guards.
-- ARGV: the entry, its lifetime and the guards' in ms, then the nonce of each guard.
for i = 2, #KEYS do
  if redis.call('GET', KEYS[i]) ~= ARGV[i + 2] then return 0 end
end
for i = 2, #KEYS do redis.call('PEXPIRE', KEYS[i], ARGV[3]) end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
""")

INVALIDATE = _script("""
-- KEYS: guards. ARGV: the channel, then what to publish.
-- In chunks, since unpack is bounded by Lua's stack.
for i = 1, #KEYS, 1000 do
  redis.call('DEL', unpack(KEYS, i, math.min(i + 999, #KEYS)))
end
redis.call('PUBLISH', ARGV[1], ARGV[2])
return #KEYS
""")
