#!lua flags=allow-oom
-- undrain: the named workers are given jobs again.
--
-- KEYS[1] draining  zset
-- KEYS[2] counters  hash
-- KEYS[3] wake      list
-- KEYS[4] config    hash
-- KEYS[5] audit     stream
-- ARGV[1] by        who and why, as in _audit.lua
-- ARGV[2..] worker
-- returns how many had been draining
--@include _record
--@include _wake
--@include _audit
local draining, counters, wake = KEYS[1], KEYS[2], KEYS[3]
local freed = {}
redis.call('ZREMRANGEBYSCORE', draining, '-inf', now_ms())
for i = 2, #ARGV do
  if redis.call('ZREM', draining, ARGV[i]) == 1 then freed[#freed + 1] = ARGV[i] end
end
if #freed > 0 then audit(KEYS[5], audit_bound(KEYS[4]), ARGV[1], 'undrain', #freed, some(freed)) end
if #freed > 0 and tonumber(redis.call('HGET', counters, 'waiting') or 0) > 0 then wake_worker(wake) end
return #freed
