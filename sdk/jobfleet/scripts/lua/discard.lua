-- discard: forget jobs that have ended, by their ids.
--
-- KEYS[1..44]  the queue, as in _queue.lua
-- ARGV[1..] id
-- returns how many were forgotten; jobs that have not ended, and unknown ones, are left out
--@include _record
--@include _queue
--@include _shelf
local records, gone = redis.call('HMGET', jobs, unpack(ARGV)), {}
for n, id in ipairs(ARGV) do
  local state = records[n] and string.byte(records[n])
  if state == FAILED then
    if redis.call('ZREM', failed, id) == 0 then redis.call('ZREM', forwarding, id) end
  elseif state == CANCELLED then redis.call('ZREM', cancelled, id)
  elseif state == COMPLETED and redis.call('ZREM', kept, id) == 0 then redis.call('LREM', completed, -1, id) end
  if state == FAILED or state == CANCELLED or state == COMPLETED then gone[#gone + 1] = id end
end
forget(gone)
return #gone
