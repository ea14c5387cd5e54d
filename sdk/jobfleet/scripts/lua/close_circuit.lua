#!lua flags=allow-oom
-- close_circuit: somebody who knows better closes a circuit; what was counted is forgotten, and workers go on.
--
-- KEYS[1..44]   the queue, as in _queue.lua
-- KEYS[45] audit  stream
-- ARGV[1] scope  empty: the queue's; else the group whose circuit it is
-- ARGV[2] by     who and why, as in _audit.lua
-- returns 1, or 0: it was closed
--@include _record
--@include _queue
--@include _wake
--@include _audit
local scope = ARGV[1]
redis.call('HDEL', circuit_now, scope)
redis.call('HDEL', circuit_before, scope)
if redis.call('HDEL', circuit, scope) == 0 then return 0 end
redis.call('ZADD', group_parked, 'XX', 0, scope)
tell('close', {scope})
audit(KEYS[QUEUE_KEYS + 1], setting.audit, ARGV[2], 'close-circuit', 0, scope)
if count('waiting') > 0 then wake_worker(wake) end
return 1
