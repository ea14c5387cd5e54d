-- group: give one group its own weight and limits, or take them away.
--
-- KEYS[1..44]    the queue, as in _queue.lua
-- ARGV[1] group
-- ARGV[2] config bytes, a MessagePack map (w, c, r, m); empty: as all others
-- returns 1
--@include _record
--@include _queue
--@include _wake
--@include _group
if ARGV[2] == '' then redis.call('HDEL', group_config, ARGV[1]) else redis.call('HSET', group_config, ARGV[1], ARGV[2]) end
if redis.call('HEXISTS', group_wait, ARGV[1]) == 1 then
  enter_ring(ARGV[1])
  wake_worker(wake)
end
return 1
