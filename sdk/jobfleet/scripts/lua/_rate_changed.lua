-- The rate of a group is no more what it was, `size` in `period` ms. Where its empty bucket keeps the group outside the ring until a
-- time that the old rate said, the next claim looks again; where a handler or a circuit keeps it there, it stays.
local function rate_changed(group, group_parked, group_tokens, size, period, bounded)
  local tokens, at = string.match(redis.call('HGET', group_tokens, group) or '', '^(%S+) (%S+)$')
  local parked = tonumber(redis.call('ZSCORE', group_parked, group) or nil)
  if tokens and parked and size > 0 and math.abs(parked - at - (1 - tokens) * period / size) <= 2 then
    redis.call('ZADD', group_parked, 0, group)
  end
  if not bounded then redis.call('HDEL', group_tokens, group) end
end
