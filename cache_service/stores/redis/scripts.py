"""The scripts that run inside Redis, each on the keys of one organization's hash slot.

Each first makes sure that the server is a primary with the history in force: a replica, a
resync or a promotion brings back entries together with the guards that fit them. The
server's own `run_id` cannot change while a connection lasts, so that is looked at once.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

__all__ = ["CLAIM", "FETCH", "INVALIDATE", "PUT", "REFUSAL", "RELEASE", "RENEW", "Script"]

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
-- KEYS: guards, then each entry to load and its lock.
-- ARGV: how many guards, their lifetime and the locks' in ms, the token of this load, a fresh
-- nonce for each guard; then for each entry the mark of the one seen, and which its guards are.
-- Gives the guards; then for each entry 1 if the lock is taken, 0 if another has it, or the
-- entry if it is another than was seen, and under these guards.
local guards = tonumber(ARGV[2])
local found = {}
for i = 1, guards do
  redis.call('SET', KEYS[i], ARGV[i + 5], 'NX', 'PX', ARGV[3])
  found[i] = redis.call('GET', KEYS[i])
end
local at = guards + 6
for i = guards + 1, #KEYS, 2 do
  local entry, lock, nonces, raw = KEYS[i], KEYS[i + 1], '', false
  for guard in string.gmatch(ARGV[at + 1], '%d+') do nonces = nonces .. found[tonumber(guard)] end
  local mark = redis.call('GETRANGE', entry, 4, 15)
  if mark ~= '' and mark ~= ARGV[at] then raw = redis.call('GET', entry) end
  if raw and string.find(raw, nonces, 1, true) then
    found[#found + 1] = raw
  else
    local held = redis.call('GET', lock)
    if held and string.sub(held, 1, #nonces) == nonces then
      -- Somebody waits: a byte behind the token says that its end must be told.
      redis.call('SETRANGE', lock, #nonces + #ARGV[5], '+')
      found[#found + 1] = 0
    else
      redis.call('SET', lock, nonces .. ARGV[5], 'PX', ARGV[4])
      found[#found + 1] = 1
    end
  end
  at = at + 2
end
return found
""")

# A lock that is not there, or another's, was lost: nobody knows any more who waits for it.
_RELEASING = """
local function release(lock, token, channel, entry)
  local held = redis.call('GET', lock)
  local start, stop = string.find(held or '', token, 1, true)
  if start then redis.call('DEL', lock) end
  if not start or stop < #held then redis.call('SPUBLISH', channel, entry) end
end
"""

PUT = _script(
    _RELEASING
    + """
-- KEYS: the entry, its lock, then its guards.
-- ARGV: the entry, its lifetime and the guards' in ms, the token of the load, if it has one, and
-- the channel of pushes; then the nonce of each guard.
local fits = true
for i = 3, #KEYS do
  if redis.call('GET', KEYS[i]) ~= ARGV[i + 4] then fits = false end
end
-- Released first, since a full server refuses the entry.
if ARGV[5] ~= '' then release(KEYS[2], ARGV[5], ARGV[6], KEYS[1]) end
if fits then
  for i = 3, #KEYS do redis.call('PEXPIRE', KEYS[i], ARGV[4]) end
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
end
return fits and 1 or 0
"""
)

RENEW = _script("""
-- KEYS: locks. ARGV: the token of the load, and the locks' lifetime in ms.
for _, lock in ipairs(KEYS) do
  if string.find(redis.call('GET', lock) or '', ARGV[2], 1, true) then
    redis.call('PEXPIRE', lock, ARGV[3])
  end
end
return #KEYS
""")

RELEASE = _script(
    _RELEASING
    + """
-- KEYS: each entry and its lock. ARGV: the token of the load, and the channel of pushes.
for i = 1, #KEYS, 2 do release(KEYS[i + 1], ARGV[2], ARGV[3], KEYS[i]) end
return #KEYS
"""
)

INVALIDATE = _script("""
-- KEYS: guards. ARGV: the channel, then what to publish.
for i = 1, #KEYS, 1000 do
  redis.call('DEL', unpack(KEYS, i, math.min(i + 999, #KEYS)))
end
redis.call('SPUBLISH', ARGV[2], ARGV[3])
return #KEYS
""")
