-- close_circuit: somebody who knows better closes a circuit; what was counted is forgotten, and workers go on.
--
-- KEYS[1..44]   the queue, as in _queue.lua
-- ARGV[1] scope  empty: the queue's; else the group whose circuit it is
-- returns 1, or 0: it was closed
--@include _record
--@include _queue
--@include _wake
local scope = ARGV[1]
redis.call('HDEL', circuit_now, scope)
redis.call('HDEL', circuit_before, scope)
if redis.call('HDEL', circuit, scope) == 0 then return 0 end
redis.call('ZADD', group_parked, 'XX', 0, scope)
tell('close', {scope})
if count('waiting') > 0 then wake_worker(wake) end
return 1
