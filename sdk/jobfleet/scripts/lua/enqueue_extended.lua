-- enqueue_extended: as enqueue, for a batch with jobs that have an extension: a group, a key of deduplication, a time to live.
--
-- KEYS[1..44]       the queue, as in _queue.lua
-- ARGV[1] channel   where the operator listens
-- ARGV[2] address   realm/queue
-- ARGV[3] ends      channel where the end of a job is told to those who wait for it
-- ARGV[4] jobs      MessagePack, an array of arrays: id, priority (128 more where there is an extension), due (0: now;
--                   above: Unix ms; below: that many ms from now)
-- ARGV[5..] bodies  bytes, the extension before them, in the same order
-- returns  {1 accepted | 0 known already | id of the job that stands for it, ...}; or, with nothing written,
--          {-1, index from 1, limit in bytes}: too large, {-2, length, limit in jobs, ...}: the queue is full,
--          {-3, percent, limit, ...}: Redis has too little memory left; then the indexes, from 1, of those that need no room
--@include _record
--@include _queue
--@include _wake
--@include _group
--@include _line
--@include _shelf
--@include _memory
--@include _dedup
local batch = cmsgpack.unpack(ARGV[4])
local BODIES = 4
for n = 1, #batch do
  if #ARGV[BODIES + n] > setting.max_job_bytes then return {-1, n, setting.max_job_bytes} end
end

-- Keys whose time is over are forgotten, more with every call than it brings.
local over = redis.call('ZRANGEBYSCORE', dedup_until, '-inf', now, 'LIMIT', 0, #batch + 20)

-- First it is decided what becomes of each job, as if those before it in the batch were there already; then it is written.
local planned, owners = {}, {} -- state by id, false: replaced; owner and time by key
for _, key in ipairs(over) do owners[key] = {} end

-- Of a job that has a key: its answer, the id of the job that it replaces, and the time that the key had until now.
local function decide(id, key, mode)
  local other, ends
  if owners[key] then other, ends = owners[key][1], owners[key][2] or 0 else other, ends = key_owner(key) end
  if other and mode == 'throttle' then return other == id and 0 or other end -- itself: it has been forgotten meanwhile
  if other and other ~= id then
    local state, attempt = planned[other], 0
    if state == nil then
      local record = redis.call('HGET', jobs, other)
      if record then state, attempt = standing(record) end
    end
    if mode == 'unique' and state then return other end
    -- a job that has run already, and waits for its next attempt, is nobody's to drop
    if mode == 'debounce' and state == DELAYED and attempt == 0 then return 1, other, ends end
  end
  return 1, nil, ends
end

local answer, dues, extensions, replaced, before, needless, fresh = {}, {}, {}, {}, {}, {}, 0
for n = 1, #batch do
  local id, priority, due = unpack(batch[n])
  if due < 0 then due = now - due end
  local extension, known = nil, planned[id]
  if priority >= 128 then
    local bytes = ARGV[BODIES + n]
    extension = cmsgpack.unpack(string.sub(bytes, 3, 2 + struct.unpack('>H', bytes)))
  end
  if known == nil then known = redis.call('HEXISTS', jobs, id) == 1 end
  dues[n], extensions[n], answer[n] = due, extension, 1
  if known then
    answer[n] = 0
  elseif extension and extension.k then
    answer[n], replaced[n], before[n] = decide(id, extension.k, extension.m)
    if answer[n] == 1 then owners[extension.k] = {id, extension.t and now + extension.t} end
    if replaced[n] then planned[replaced[n]] = false end
  end
  if answer[n] == 1 then planned[id] = due > now and DELAYED or WAITING end
  if answer[n] == 1 and not replaced[n] then fresh = fresh + 1 else needless[#needless + 1] = n end
end
if fresh > 0 and setting.max_length > 0 then
  local length = count('waiting') + redis.call('ZCARD', delayed)
  if length + fresh > setting.max_length then return {-2, length, setting.max_length, unpack(needless)} end
end
local most_percent = setting.max_memory_percent
if fresh > 0 and most_percent > 0 and memory_percent() > most_percent then
  return {-3, memory_percent(), most_percent, unpack(needless)}
end

if #over > 0 then
  redis.call('ZREM', dedup_until, unpack(over))
  redis.call('HDEL', dedup, unpack(over))
end
local accepted, waiting, sooner = {}, 0, false
for n = 1, #batch do
  if answer[n] == 1 then
    local id, priority, due, extension, other = batch[n][1], batch[n][2], dues[n], extensions[n], replaced[n]
    local state, since = WAITING, now
    if due > now then state, since = DELAYED, due end
    if other then
      redis.call('ZREM', delayed, other)
      forget({other})
      redis.call('HINCRBY', counters, 'replaced', 1)
      ended(other, nil, ARGV[3])
    end
    if extension and extension.k then own_key(extension.k, id, extension.t and now + extension.t or 0, before[n]) end
    redis.call('HSET', jobs, id, struct.pack(HEADER, state, priority, 0, 0, 0, now, since, 0) .. ARGV[BODIES + n])
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
