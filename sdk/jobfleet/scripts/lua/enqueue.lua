-- enqueue: accept a batch of plain jobs, all or none: the quick way for jobs without an extension.
-- A job whose id is known already is left as it is, so that a producer may send the same batch again after a lost answer.
--
-- KEYS[1] jobs      hash  id -> record
-- KEYS[2] counters  hash
-- KEYS[3] delayed   zset  id by due ms
-- KEYS[4] wake      list
-- KEYS[5] config    hash
-- KEYS[6] events    stream, bounded
-- KEYS[7..] lines   list  a waiting line for each priority that occurs in the batch
-- ARGV[1] channel   where the operator listens
-- ARGV[2] address   realm/queue
-- ARGV[3] runs      MessagePack, an array of arrays: line (index among the lines, from 1), priority (1-10), due (0: now; above:
--                   Unix ms; below: that many ms from now), and the ids of the jobs that have these, one after the other
-- ARGV[4..] bodies  bytes, in the same order
-- returns  {} all accepted; or {1 accepted | 0 known already, ...}; or, with nothing written, {-1, index from 1, limit in
--          bytes}: too large, {-2, length, limit in jobs, ...}: the queue is full, {-3, percent, limit, ...}: Redis has too
--          little memory left; then the indexes, from 1, of those that need no room: known already
--@include _header
--@include _events
--@include _wake
local jobs, counters, delayed, wake, config, events = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local LINES = 6
local limits = redis.call('HMGET', config, 'max_job_bytes', 'max_length', 'events', 'max_memory_percent')
local most_bytes, most_jobs = tonumber(limits[1] or DEFAULT.max_job_bytes), tonumber(limits[2] or DEFAULT.max_length)
local most_percent = tonumber(limits[4] or DEFAULT.max_memory_percent)
local now = now_ms()
local BODIES = 3
local jobs_sent = #ARGV - BODIES
for n = 1, jobs_sent do
  if #ARGV[BODIES + n] > most_bytes then return {-1, n, most_bytes} end
end
local length, percent = 0, 0
if most_jobs > 0 then length = tonumber(redis.call('HGET', counters, 'waiting') or 0) + redis.call('ZCARD', delayed) end
if most_percent > 0 then
--@include _memory
  percent = memory_percent()
end
local runs = cmsgpack.unpack(ARGV[3])
if (most_jobs > 0 and length + jobs_sent > most_jobs) or percent > most_percent then
  -- Only what is new needs room: a batch that is sent again after a lost answer is known, and must not be refused.
  local place, fresh, known, seen = 0, 0, {}, {}
  for _, run in ipairs(runs) do
    for i = 4, #run do
      local id = run[i]
      place = place + 1
      if seen[id] or redis.call('HEXISTS', jobs, id) == 1 then known[#known + 1] = place else fresh = fresh + 1 end
      seen[id] = true
    end
  end
  if fresh > 0 and most_jobs > 0 and length + fresh > most_jobs then return {-2, length, most_jobs, unpack(known)} end
  if fresh > 0 and percent > most_percent then return {-3, percent, most_percent, unpack(known)} end
end
local answer, accepted, waiting, sooner, n = {}, {}, 0, false, 0
for _, run in ipairs(runs) do
  local line, priority, due = run[1], run[2], run[3]
  if due < 0 then due = now - due end
  local state, since = WAITING, now
  if due > now then state, since = DELAYED, due end
  local header = struct.pack(HEADER, state, priority, 0, 0, 0, now, since, 0)
  local fresh = {}
  for i = 4, #run do
    local id = run[i]
    n = n + 1
    answer[n] = redis.call('HSETNX', jobs, id, header .. ARGV[BODIES + n])
    if answer[n] == 1 then fresh[#fresh + 1] = id end
  end
  if #fresh > 0 and state == DELAYED then
    local first = redis.call('ZRANGE', delayed, 0, 0, 'WITHSCORES')[2]
    sooner = sooner or not first or due < tonumber(first)
    for _, id in ipairs(fresh) do redis.call('ZADD', delayed, due, id) end
  elseif #fresh > 0 then
    waiting = waiting + #fresh
    redis.call('RPUSH', KEYS[LINES + line], unpack(fresh))
  end
  for _, id in ipairs(fresh) do accepted[#accepted + 1] = id end
end
if #accepted > 0 then
  redis.call('HINCRBY', counters, 'enqueued', #accepted)
  add_event(events, tonumber(limits[3] or DEFAULT.events), 'enqueue', accepted)
end
if waiting > 0 then more_wait(counters, waiting, ARGV[1], ARGV[2]) end
if waiting > 0 or sooner then wake_worker(wake) end
return #accepted < n and answer or {}
