-- configure: write a queue's settings; what a new setting lets through wakes a worker.
--
-- KEYS[1] config    hash
-- KEYS[2] counters  hash
-- KEYS[3] wake      list
-- KEYS[4] circuit         hash  those that are not closed, by scope
-- KEYS[5] circuit_now     hash
-- KEYS[6] circuit_before  hash
-- KEYS[7] group_parked    zset
-- ARGV[1..] two a setting: name, value
-- returns 1
--@include _wake
local config, counters, wake = KEYS[1], KEYS[2], KEYS[3]
local scope_before = redis.call('HGET', config, 'breaker_per_group') or '0'
redis.call('HSET', config, unpack(ARGV))
local percent, scope = unpack(redis.call('HMGET', config, 'breaker_percent', 'breaker_per_group'))
if (percent or '0') == '0' or (scope or '0') ~= scope_before then -- the circuits that there were are no more
  for _, group in ipairs(redis.call('HKEYS', KEYS[4])) do redis.call('ZADD', KEYS[7], 'XX', 0, group) end
  redis.call('UNLINK', KEYS[4], KEYS[5], KEYS[6])
end
if redis.call('HGET', config, 'paused') ~= '1' and tonumber(redis.call('HGET', counters, 'waiting') or 0) > 0 then
  wake_worker(wake)
end
return 1
