"""The scripts that run inside Redis, each on the keys of one organization's hash slot.

Each first makes sure that the server is a primary with the history in force: a replica, a
resync or a promotion brings back entries together with the guards that fit them. The
server's own `run_id` cannot change while a connection lasts, so that is looked at once.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

__all__ = ["CLAIM", "FETCH", "INVALIDATE", "PUT", "REFUSAL", "Script"]

REFUSAL = "WRONGSTORE"
"""How the error of a script begins that ran on another server than it was meant for."""

# ARGV[1]: the master_replid in force. In words that no other line of INFO has.
_CHECK = f"""
local info = redis.call('INFO', 'replication')
if not (string.find(info, 'role:master\\r\\n', 1, true)
    and string.find(info, 'master_replid:' .. ARGV[1] .. '\\r\\n', 1, true)) then
  return redis.error_reply('{REFUSAL} this is not the primary in force')
end
"""


@dataclass(frozen=True, slots=True)
class Script:
    """A script and the digest under which the server knows it."""

    text: str
    digest: str


def _script(text: str) -> Script:
    whole = _CHECK + text
    return Script(whole, hashlib.sha1(whole.encode(), usedforsecurity=False).hexdigest())


FETCH = _script("""
-- KEYS: entries and guards. In chunks, since unpack is bounded by Lua's stack.
if #KEYS <= 1000 then return redis.call('MGET', unpack(KEYS)) end
local found = {}
for i = 1, #KEYS, 1000 do
  local part = redis.call('MGET', unpack(KEYS, i, math.min(i + 999, #KEYS)))
  for j = 1, #part do found[i + j - 1] = part[j] end
end
return found
""")

CLAIM = _script("""
-- KEYS: guards. ARGV: the guards' lifetime in ms, then a fresh nonce for each.
local found = {}
for i, guard in ipairs(KEYS) do
  redis.call('SET', guard, ARGV[i + 2], 'NX', 'PX', ARGV[2])
  found[i] = redis.call('GET', guard)
end
return found
""")

PUT = _script("""
-- KEYS: the entry, then its guards.
-- ARGV: the entry, its lifetime and the guards' in ms, then the nonce of each guard.
for i = 2, #KEYS do
  if redis.call('GET', KEYS[i]) ~= ARGV[i + 3] then return 0 end
end
for i = 2, #KEYS do redis.call('PEXPIRE', KEYS[i], ARGV[4]) end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
""")

INVALIDATE = _script("""
-- KEYS: guards. ARGV: the channel, then what to publish.
for i = 1, #KEYS, 1000 do
  redis.call('DEL', unpack(KEYS, i, math.min(i + 999, #KEYS)))
end
redis.call('PUBLISH', ARGV[2], ARGV[3])
return #KEYS
""")
