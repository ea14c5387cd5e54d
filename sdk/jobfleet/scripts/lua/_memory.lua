-- Used memory in percent of maxmemory, asked of Redis once a second at most, for all producers of the queue together; 0 where
-- Redis has no limit, or does not tell this user.
local function memory_percent()
  local percent, at = string.match(redis.call('HGET', counters, 'memory') or '', '^(%d+) (%d+)$')
  if percent and now - tonumber(at) < 1000 then return tonumber(percent) end
  local told = redis.pcall('INFO', 'memory')
  percent = 0
  if type(told) == 'string' then
    local used, most = string.match(told, 'used_memory:(%d+)'), tonumber(string.match(told, 'maxmemory:(%d+)') or 0)
    if most > 0 then percent = math.floor(100 * tonumber(used) / most) end
  end
  redis.call('HSET', counters, 'memory', percent .. ' ' .. now)
  return percent
end
