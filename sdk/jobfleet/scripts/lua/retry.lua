-- retry: failed or cancelled jobs are tried again as if they were new, with all their attempts; spread out, if asked for.
--
-- KEYS[1..44]        the queue, as in _queue.lua
-- KEYS[45] audit     stream
-- ARGV[1] channel    where the operator listens
-- ARGV[2] address    realm/queue
-- ARGV[3] spacing    microseconds from one job to the next; 0: all at once
-- ARGV[4] first      microseconds from now to the first
-- ARGV[5] by         who and why, as in _audit.lua
-- ARGV[6..] id
-- returns {1 retried | 0 it was not failed or cancelled, or another job has its key of deduplication, ...}
--@include _record
--@include _queue
--@include _wake
--@include _group
--@include _line
--@include _dedup
--@include _audit
-- Takes a job's key again, which was free since it ended; false where another job stands for it.
local function take_key(id, extension)
  if not (extension and extension.k) or extension.m == 'throttle' then return true end
  local other, ends = key_owner(extension.k)
  local record = other and other ~= id and redis.call('HGET', jobs, other)
  if record and standing(record) then return false end
  own_key(extension.k, id, 0, ends)
  return true
end

local spacing, first, answer, ids, waiting = tonumber(ARGV[3]), tonumber(ARGV[4]), {}, {}, 0
for n = 6, #ARGV do
  local id = ARGV[n]
  local record = redis.call('HGET', jobs, id)
  local state = record and string.byte(record)
  local extension = (state == FAILED or state == CANCELLED) and extension_of(record)
  if (state == FAILED or state == CANCELLED) and take_key(id, extension) then
    if redis.call('ZREM', state == FAILED and failed or cancelled, id) == 0 then redis.call('ZREM', forwarding, id) end
    local _, priority, attempt, _, _, enqueued, _, started = unpack_header(record)
    local due = now + math.floor((first + spacing * #ids) / 1000)
    if due > now then
      redis.call('ZADD', delayed, due, id)
      state = DELAYED
    else
      put_last(id, priority, extension)
      state, waiting = WAITING, waiting + 1
    end
    redis.call('HSET', jobs, id, with_header(record, state, priority, attempt, 0, 0, enqueued, due, started))
    ids[#ids + 1] = id
    answer[n - 5] = 1
  else
    answer[n - 5] = 0
  end
end
tell('retry', ids)
if waiting > 0 then more_wait(counters, waiting, ARGV[1], ARGV[2]) end
if #ids > 0 then
  audit(KEYS[QUEUE_KEYS + 1], setting.audit, ARGV[5], 'retry', #ids, some(ids))
  wake_worker(wake)
end
return answer
