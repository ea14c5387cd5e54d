#!lua flags=allow-oom
-- configure: write a queue's settings; what a new setting lets through wakes a worker. What really changed is told in the audit.
--
-- KEYS[1] config    hash
-- KEYS[2] counters  hash
-- KEYS[3] wake      list
-- KEYS[4] circuit         hash  those that are not closed, by scope
-- KEYS[5] circuit_now     hash
-- KEYS[6] circuit_before  hash
-- KEYS[7] group_parked    zset
-- KEYS[8] ring            zset  groups that may have a turn
-- KEYS[9] group_active    hash  group -> active jobs
-- KEYS[10] group_tokens   hash  group -> "tokens at-ms"
-- KEYS[11] group_config   hash  group -> MessagePack map, as in _queue.lua
-- KEYS[12] audit    stream
-- ARGV[1] by        who and why, as in _audit.lua
-- ARGV[2..] two a setting: name, value
-- returns how many settings changed
--@include _wake
--@include _audit
--@include _rate_changed
local config, counters, wake = KEYS[1], KEYS[2], KEYS[3]
local names, default = {}, DEFAULTS
for i = 2, #ARGV, 2 do names[#names + 1] = ARGV[i] end
local held = redis.call('HMGET', config, unpack(names))
local pause, others, verb, regroup = {}, {}, nil, false
for n, name in ipairs(names) do
  local old, new = held[n] or tostring(default[name]), ARGV[2 * n + 1]
  if old ~= new then
    local into = (name == 'paused' or name == 'return_running') and pause or others
    into[#into + 1] = name .. ' ' .. (old == '' and "''" or old) .. '->' .. (new == '' and "''" or new)
    if name == 'paused' then verb = new == '1' and 'pause' or 'resume' end
    regroup = regroup or name == 'group_max_active'
  end
end
local function group_rate()
  local size, period = unpack(redis.call('HMGET', config, 'group_rate_count', 'group_rate_ms'))
  return tonumber(size or default.group_rate_count), tonumber(period or default.group_rate_ms)
end
local size_before, period_before = group_rate()
local scope_before = redis.call('HGET', config, 'breaker_per_group') or '0'
redis.call('HSET', config, unpack(ARGV, 2))
local percent, scope = unpack(redis.call('HMGET', config, 'breaker_percent', 'breaker_per_group'))
if (percent or '0') == '0' or (scope or '0') ~= scope_before then -- the circuits that there were are no more
  for _, group in ipairs(redis.call('HKEYS', KEYS[4])) do redis.call('ZADD', KEYS[7], 'XX', 0, group) end
  redis.call('UNLINK', KEYS[4], KEYS[5], KEYS[6])
end
if regroup then -- groups with running jobs may be at their new limit, or no more at their old one: the next claim looks
  for _, group in ipairs(redis.call('HKEYS', KEYS[9])) do
    redis.call('ZREM', KEYS[8], group)
    redis.call('ZADD', KEYS[7], 'NX', 0, group)
  end
end
local size, period = group_rate()
if size ~= size_before or period ~= period_before then
  for _, group in ipairs(redis.call('HKEYS', KEYS[10])) do
    local own = redis.call('HGET', KEYS[11], group)
    if not (own and cmsgpack.unpack(own).r) then rate_changed(group, KEYS[7], KEYS[10], size_before, period_before, size > 0) end
  end
end
if #pause > 0 then audit(KEYS[12], audit_bound(config), ARGV[1], verb or 'configure', 0, table.concat(pause, ', ')) end
if #others > 0 then audit(KEYS[12], audit_bound(config), ARGV[1], 'configure', 0, table.concat(others, ', ')) end
if redis.call('HGET', config, 'paused') ~= '1' and tonumber(redis.call('HGET', counters, 'waiting') or 0) > 0 then
  wake_worker(wake)
end
return #pause + #others
