#!lua flags=allow-oom
-- group: give one group its own weight and limits, or take them away.
--
-- KEYS[1..44]    the queue, as in _queue.lua
-- KEYS[45] audit  stream
-- ARGV[1] group
-- ARGV[2] config bytes, a MessagePack map (w, c, r, m); empty: as all others
-- ARGV[3] by     who and why, as in _audit.lua
-- returns 1
--@include _record
--@include _queue
--@include _wake
--@include _group
--@include _audit
--@include _rate_changed
local function told(bytes)
  if bytes == '' then return 'as all groups' end
  local own = cmsgpack.unpack(bytes)
  local most = own.c and ' max_active ' .. own.c or ''
  return 'weight ' .. (own.w or 1) .. most .. (own.r and ' rate ' .. own.r .. '/' .. own.m .. ' ms' or '')
end

local before = redis.call('HGET', group_config, ARGV[1]) or ''
if before ~= ARGV[2] then
  audit(KEYS[QUEUE_KEYS + 1], setting.audit, ARGV[3], 'group', 0, told(before) .. ' -> ' .. told(ARGV[2]))
end
if ARGV[2] == '' then redis.call('HDEL', group_config, ARGV[1]) else redis.call('HSET', group_config, ARGV[1], ARGV[2]) end
local own = before ~= '' and cmsgpack.unpack(before) or {}
local size, period = own.r or setting.group_rate_count, own.r and own.m or setting.group_rate_ms
rate_changed(ARGV[1], group_parked, group_tokens, size, period, select(3, group_settings(ARGV[1])) > 0)
redis.call('ZREM', ring, ARGV[1]) -- it may be at its new limit
if redis.call('HEXISTS', group_wait, ARGV[1]) == 1 then
  enter_ring(ARGV[1])
  wake_worker(wake)
end
return 1
