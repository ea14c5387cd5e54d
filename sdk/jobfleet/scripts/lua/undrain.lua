-- undrain: the named workers are given jobs again.
--
-- KEYS[1] draining  zset
-- KEYS[2] counters  hash
-- KEYS[3] wake      list
-- ARGV[1..] worker
-- returns how many had been draining
--@include _wake
local draining, counters, wake = KEYS[1], KEYS[2], KEYS[3]
local freed = redis.call('ZREM', draining, unpack(ARGV))
if freed > 0 and tonumber(redis.call('HGET', counters, 'waiting') or 0) > 0 then wake_worker(wake) end
return freed
