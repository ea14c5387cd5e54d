#!lua flags=allow-oom
-- discard: forget jobs that have ended, by their ids.
--
-- KEYS[1..44]  the queue, as in _queue.lua
-- KEYS[45] audit  stream
-- ARGV[1] by      who and why, as in _audit.lua
-- ARGV[2..] id
-- returns how many were forgotten; jobs that have not ended, and unknown ones, are left out
--@include _record
--@include _queue
--@include _shelf
--@include _audit
local gone = {}
for n = 2, #ARGV do
  local id = ARGV[n]
  local record = redis.call('HGET', jobs, id)
  local state = record and string.byte(record)
  if state == FAILED then
    if redis.call('ZREM', failed, id) == 0 then redis.call('ZREM', forwarding, id) end
  elseif state == CANCELLED then redis.call('ZREM', cancelled, id)
  elseif state == COMPLETED and redis.call('ZREM', kept, id) == 0 then redis.call('LREM', completed, -1, id) end
  if state == FAILED or state == CANCELLED or state == COMPLETED then gone[#gone + 1] = id end
end
forget(gone)
if #gone > 0 then audit(KEYS[QUEUE_KEYS + 1], setting.audit, ARGV[1], 'discard', #gone, some(gone)) end
return #gone
