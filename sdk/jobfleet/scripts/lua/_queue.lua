-- The keys of a queue, in the order of QueueKeys.all in keys.py. A verb that includes this file declares them all, because
-- what it touches depends on the jobs it meets. The audit (_audit.lua) is not among them: only verbs that people use declare it.
--
-- KEYS[1..10] lines        list  waiting ids, priority 1 to 10
-- KEYS[11] jobs            hash  id -> record
-- KEYS[12] counters        hash  word -> number
-- KEYS[13] config          hash  setting -> value
-- KEYS[14] delayed         zset  id by due ms
-- KEYS[15] completed       list  ids, newest first
-- KEYS[16] failed          zset  id by ms
-- KEYS[17] cancelled       zset  id by ms
-- KEYS[18] results         hash  id -> bytes
-- KEYS[19] errors          hash  id -> failures, packed one after the other
-- KEYS[20] progress        hash  id -> bytes
-- KEYS[21] logs            hash  id -> lines
-- KEYS[22] events          stream, bounded
-- KEYS[23] wake            list  at most one token
-- KEYS[24] dedup           hash  key -> "id until"
-- KEYS[25] dedup_until     zset  key by ms at which it is forgotten
-- KEYS[26] awaited         set   ids whose end somebody waits for
-- KEYS[27] cancelling      set   active ids that are to end as cancelled
-- KEYS[28] workers         zset  worker by end of lease, ms
-- KEYS[29] info            hash  worker -> bytes
-- KEYS[30] draining        zset  workers that get nothing more, by ms until which they do not
-- KEYS[31] busy            hash  worker -> jobs it holds
-- KEYS[32] ring            zset  group by virtual time: those whose turn may come
-- KEYS[33] group_line      hash  "priority:group" -> "first last", numbers of parts
-- KEYS[34] group_part      hash  "priority:group:number" -> "id id ..."
-- KEYS[35] group_wait      hash  group -> 1024 * jobs in its lines + a bit for each priority that has some
-- KEYS[36] group_active    hash  group -> active jobs
-- KEYS[37] group_config    hash  group -> MessagePack map: w weight, c active jobs at most, r jobs in m ms
-- KEYS[38] group_parked    zset  group by ms until which it gets no turn
-- KEYS[39] group_tokens    hash  group -> "tokens at-ms"
-- KEYS[40] forwarding      zset  failed ids on their way to the dead-letter queue, by ms from which they may be carried
-- KEYS[41] kept            zset  completed ids with a time of their own, by ms at which they are forgotten
-- KEYS[42] circuit         hash  scope ('': the queue, or a group) -> MessagePack array, as in _circuit.lua: those that are not closed
-- KEYS[43] circuit_now     hash  scope -> "failures outcomes" in this half of the window
-- KEYS[44] circuit_before  hash  likewise in the half before
local jobs, counters, config, delayed = KEYS[11], KEYS[12], KEYS[13], KEYS[14]
local completed, failed, cancelled = KEYS[15], KEYS[16], KEYS[17]
local results, errors, progress, logs, events, wake = KEYS[18], KEYS[19], KEYS[20], KEYS[21], KEYS[22], KEYS[23]
local dedup, dedup_until, awaited, cancelling = KEYS[24], KEYS[25], KEYS[26], KEYS[27]
local workers, info, draining, busy = KEYS[28], KEYS[29], KEYS[30], KEYS[31]
local ring, group_line, group_part, group_wait = KEYS[32], KEYS[33], KEYS[34], KEYS[35]
local group_active, group_config, group_parked, group_tokens = KEYS[36], KEYS[37], KEYS[38], KEYS[39]
local forwarding, kept = KEYS[40], KEYS[41]
local circuit, circuit_now, circuit_before = KEYS[42], KEYS[43], KEYS[44]
local QUEUE_KEYS = 44
local now = now_ms()

local held = redis.call('HGETALL', config)
local setting = DEFAULTS
for i = 1, #held, 2 do setting[held[i]] = tonumber(held[i + 1]) or held[i + 1] end

local function count(word)
  return tonumber(redis.call('HGET', counters, word) or 0)
end

--@include _events
local function tell(verb, ids)
  add_event(events, setting.events, verb, ids)
end
