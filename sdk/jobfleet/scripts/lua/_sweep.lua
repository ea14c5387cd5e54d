-- Forgets what has been kept for long enough, up to a thousand jobs a shelf: where jobs end, this goes by itself; where none do, idle
-- workers see to it.
--@include _shelf
local MOST_OLD, gone_by_age = 1000, {}
take_old_completed(now - setting.keep_completed_seconds * 1000, MOST_OLD, gone_by_age)
local rest = #gone_by_age == MOST_OLD
for _, shelf in ipairs({failed, cancelled}) do
  local old = redis.call('ZRANGEBYSCORE', shelf, '-inf', now - setting.keep_failed_seconds * 1000, 'LIMIT', 0, MOST_OLD)
  if #old > 0 then redis.call('ZREM', shelf, unpack(old)) end
  for _, id in ipairs(old) do gone_by_age[#gone_by_age + 1] = id end
  rest = rest or #old == MOST_OLD
end
forget(gone_by_age)
forget_kept(MOST_OLD)
if not rest then redis.call('HSET', counters, 'swept', now) end
