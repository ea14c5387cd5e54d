-- configure: write a queue's settings; what a new setting lets through wakes a worker.
--
-- KEYS[1] config    hash
-- KEYS[2] counters  hash
-- KEYS[3] wake      list
-- ARGV[1..] two a setting: name, value
-- returns 1
--@include _wake
local config, counters, wake = KEYS[1], KEYS[2], KEYS[3]
redis.call('HSET', config, unpack(ARGV))
if redis.call('HGET', config, 'paused') ~= '1' and tonumber(redis.call('HGET', counters, 'waiting') or 0) > 0 then
  wake_worker(wake)
end
return 1
