#!lua flags=allow-oom
-- cancel: a job that waits or is delayed ends at once; of one that runs its worker is told, and when it hands the attempt
-- in, or loses it, the job is cancelled, unless it completed before.
--
-- KEYS[1..44]        the queue, as in _queue.lua
-- KEYS[45] audit     stream
-- KEYS[46..] two a worker: active (hash id -> attempt), control (list, what a worker is told), in the order of ARGV
-- ARGV[1] id
-- ARGV[2] channel    where the end of a job is told to those who wait for it
-- ARGV[3] by         who and why, as in _audit.lua
-- ARGV[4..] worker
-- returns 'cancelled', 'told' (it runs), 'ended' (too late), or 'unknown'
--@include _record
--@include _queue
--@include _shelf
--@include _audit
local id = ARGV[1]
local record = redis.call('HGET', jobs, id)
if not record then return 'unknown' end
local function act(what) audit(KEYS[QUEUE_KEYS + 1], setting.audit, ARGV[3], 'cancel', 1, what) end
local state, priority, attempt, failures, lost, enqueued, _, started = unpack_header(record)
if state == ACTIVE then
  if redis.call('SADD', cancelling, id) == 1 then act(id .. ' (running)') end
  for n = 4, #ARGV do
    local place = QUEUE_KEYS + 2 + 2 * (n - 4)
    local holding = redis.call('HGET', KEYS[place], id)
    if holding then
      redis.call('RPUSH', KEYS[place + 1], 'cancel ' .. id .. ' ' .. holding)
      redis.call('EXPIRE', KEYS[place + 1], 60)
    end
  end
  return 'told'
end
if state == CANCELLED then return 'cancelled' end -- the call may be repeated, after a lost answer
if state ~= WAITING and state ~= DELAYED then return 'ended' end
if state == DELAYED then
  redis.call('ZREM', delayed, id)
else
  redis.call('HINCRBY', counters, 'waiting', -1) -- its id stays in its line; a claim steps over it
end
redis.call('HSET', jobs, id, with_header(record, CANCELLED, priority, attempt, failures, lost, enqueued, now, started))
ended(id, extension_of(record), ARGV[2])
shelve_cancelled({id})
act(id)
return 'cancelled'
