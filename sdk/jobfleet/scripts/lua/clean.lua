#!lua flags=allow-oom
-- clean: forget the oldest jobs of one state that came into it before a time, a bounded number in one call.
--
-- KEYS[1..44]    the queue, as in _queue.lua
-- KEYS[45] audit stream
-- ARGV[1] state  completed | failed | cancelled
-- ARGV[2] before ms
-- ARGV[3] limit  jobs in one call
-- ARGV[4] by     who and why, as in _audit.lua
-- returns how many were forgotten
--@include _record
--@include _queue
--@include _shelf
--@include _audit
local before, limit, gone = tonumber(ARGV[2]), tonumber(ARGV[3]), {}
if ARGV[1] == 'completed' then
  take_old_completed(before, limit, gone)
else
  local shelf = ARGV[1] == 'failed' and failed or cancelled
  gone = redis.call('ZRANGEBYSCORE', shelf, '-inf', '(' .. before, 'LIMIT', 0, limit)
  in_parts('ZREM', shelf, gone)
end
forget(gone)
if #gone > 0 then audit(KEYS[QUEUE_KEYS + 1], setting.audit, ARGV[4], 'clean', #gone, some(gone)) end
return #gone
