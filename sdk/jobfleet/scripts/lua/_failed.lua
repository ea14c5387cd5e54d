-- Puts jobs on the failed shelf and keeps the shelf within its limits by count and age, oldest out first. The work is
-- bounded by the batch: twice what came in goes out at most.
local function shelve_failed(ids, now, keep, keep_seconds, jobs, failed, errors, results)
  if #ids == 0 then return end
  for _, id in ipairs(ids) do redis.call('ZADD', failed, now, id) end
  local out = redis.call('ZRANGEBYSCORE', failed, '-inf', now - keep_seconds * 1000, 'LIMIT', 0, #ids)
  if #out > 0 then redis.call('ZREM', failed, unpack(out)) end
  local over = redis.call('ZCARD', failed) - keep
  if over > 0 then
    local popped = redis.call('ZPOPMIN', failed, math.min(over, 2 * #ids))
    for i = 1, #popped, 2 do out[#out + 1] = popped[i] end
  end
  if #out > 0 then
    redis.call('HDEL', jobs, unpack(out))
    redis.call('HDEL', errors, unpack(out))
    redis.call('HDEL', results, unpack(out))
  end
end
