#!lua flags=allow-oom
-- retire: a worker that has settled everything takes its name off the list.
--
-- KEYS[1] workers   zset
-- KEYS[2] info      hash
-- KEYS[3] draining  zset
-- KEYS[4] busy      hash
-- KEYS[5] active    hash  id -> attempt, of this worker alone
-- KEYS[6] counters  hash
-- KEYS[7] wake      list
-- ARGV[1] worker
-- returns 0, or how many jobs it still holds; then nothing is changed, and the end of its lease gives them back
--@include _wake
local workers, info, draining, busy, active, counters, wake = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7]
local held = redis.call('HLEN', active)
if held > 0 then return held end
redis.call('ZREM', workers, ARGV[1])
redis.call('HDEL', info, ARGV[1])
redis.call('HDEL', busy, ARGV[1])
redis.call('ZREM', draining, ARGV[1])
-- it may have taken the wake token with it
if tonumber(redis.call('HGET', counters, 'waiting') or 0) > 0 then wake_worker(wake) end
return 0
