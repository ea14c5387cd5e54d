-- enqueue_extended: as enqueue, for a batch with jobs that have an extension: a group, a key of deduplication, a time to live.
--
-- KEYS[1..44]       the queue, as in _queue.lua
-- ARGV[1] channel   where the operator listens
-- ARGV[2] address   realm/queue
-- ARGV[3] jobs      MessagePack, an array of arrays: id, priority (128 more where there is an extension), due (0: now;
--                   above: Unix ms; below: that many ms from now)
-- ARGV[4..] bodies  bytes, the extension before them, in the same order
-- returns  {1 accepted | 0 known already | id of the job that stands for it, ...}; or, with nothing written,
--          {-1, index from 1, limit in bytes}: too large, {-2, length, limit in jobs}: the queue is full,
--          {-3, percent, limit}: Redis has too little memory left
--@include _record
--@include _queue
--@include _wake
--@include _group
--@include _line
--@include _shelf
--@include _memory
local batch = cmsgpack.unpack(ARGV[3])
local BODIES = 3
for n = 1, #batch do
  if #ARGV[BODIES + n] > setting.max_job_bytes then return {-1, n, setting.max_job_bytes} end
end
if setting.max_length > 0 then
  local length = count('waiting') + redis.call('ZCARD', delayed)
  if length + #batch > setting.max_length then return {-2, length, setting.max_length} end
end
local most_percent = setting.max_memory_percent
if most_percent > 0 and memory_percent() > most_percent then return {-3, memory_percent(), most_percent} end

-- Keys whose time is over are forgotten, more with every call than it brings.
local over = redis.call('ZRANGEBYSCORE', dedup_until, '-inf', now, 'LIMIT', 0, #batch + 20)
if #over > 0 then
  redis.call('ZREM', dedup_until, unpack(over))
  redis.call('HDEL', dedup, unpack(over))
end

-- The id of the job that stands for this one, 0 if it is this one, which has been forgotten meanwhile, or nothing: then this
-- one is the key's from now on.
local function stands_in(id, extension)
  local other, ends = string.match(redis.call('HGET', dedup, extension.k) or '', '^(%S+) (%d+)$')
  if other and tonumber(ends) > 0 and tonumber(ends) <= now then other = nil end
  if other == id and extension.m == 'throttle' then return 0 end
  if other and other ~= id then
    local record = redis.call('HGET', jobs, other)
    if extension.m == 'debounce' then
      if record and string.byte(record) == DELAYED then
        redis.call('ZREM', delayed, other)
        forget({other})
        redis.call('HINCRBY', counters, 'replaced', 1)
      end
    elseif extension.m == 'throttle' then
      return other
    else
      local state = record and string.byte(record)
      if state == WAITING or state == DELAYED or state == ACTIVE then return other end
    end
  end
  local until_ms = extension.t and now + extension.t or 0
  redis.call('HSET', dedup, extension.k, id .. ' ' .. until_ms)
  if until_ms > 0 then
    redis.call('ZADD', dedup_until, until_ms, extension.k)
  elseif tonumber(ends or 0) > 0 then
    redis.call('ZREM', dedup_until, extension.k)
  end
end

local answer, accepted, waiting, sooner = {}, {}, 0, false
for n = 1, #batch do
  local id, priority, due = unpack(batch[n])
  if due < 0 then due = now - due end
  local state, since = WAITING, now
  if due > now then state, since = DELAYED, due end
  local record = struct.pack(HEADER, state, priority, 0, 0, 0, now, since, 0) .. ARGV[BODIES + n]
  local extension = extension_of(record)
  if redis.call('HEXISTS', jobs, id) == 1 then
    answer[n] = 0
  else
    answer[n] = extension and extension.k and stands_in(id, extension) or 1
  end
  if answer[n] == 1 then
    redis.call('HSET', jobs, id, record)
    accepted[#accepted + 1] = id
    if state == DELAYED then
      redis.call('ZADD', delayed, due, id)
      sooner = sooner or redis.call('ZRANGE', delayed, 0, 0)[1] == id
    else
      waiting = waiting + 1
      put_last(id, priority, extension)
    end
  end
end
if #accepted > 0 then
  redis.call('HINCRBY', counters, 'enqueued', #accepted)
  tell('enqueue', accepted)
end
if waiting > 0 then more_wait(counters, waiting, ARGV[1], ARGV[2]) end
if waiting > 0 or sooner then wake_worker(wake) end
return answer
