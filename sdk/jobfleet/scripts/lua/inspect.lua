#!lua flags=allow-oom
-- inspect: how a queue is, at a cost that does not grow with the jobs in it. It writes nothing, but is no read: what a Redis
-- says that takes no writes, such as a replica since a fail-over, may be old, and no worker of it can work.
--
-- KEYS[1]  jobs       hash
-- KEYS[2]  counters   hash
-- KEYS[3]  delayed    zset  id by due ms
-- KEYS[4]  config     hash
-- KEYS[5]  workers    zset  worker by end of lease, ms
-- KEYS[6]  info       hash  worker -> bytes
-- KEYS[7]  draining   zset  worker by ms at which its mark runs out
-- KEYS[8]  busy       hash  worker -> jobs it holds
-- KEYS[9]  completed  list
-- KEYS[10] failed     zset
-- KEYS[11..20] lines  list  waiting, priority 1 to 10
-- KEYS[21] cancelled  zset
-- KEYS[22] ring       zset  groups that may have a turn
-- KEYS[23] parked     zset  groups that may not yet
-- KEYS[24] forwarding zset  failed, on their way to the dead-letter queue
-- KEYS[25] kept       zset  completed, with a time of their own
-- KEYS[26] circuit    hash  those that are not closed, by scope
-- KEYS[27] group_wait hash  group -> 1024 * jobs in its lines + a bit for each priority that has some
-- KEYS[28] group_line hash  "priority:group" -> "first last", numbers of parts
-- KEYS[29] group_part hash  "priority:group:number" -> "id id ..."
-- ARGV[1] how far to look ahead at delayed jobs, ms
-- returns {now ms, {counter, value, ...}, delayed, delayed and due, next due ms or 0, completed, failed,
--          since when the oldest job has waited that _oldest.lua finds, ms, or 0, {setting, value, ...},
--          {worker, end of lease ms, info bytes or '', busy, drain mark runs out ms or 0, ...}, cancelled, groups, forwarding,
--          delayed and due within that time, circuits that are not closed, {scope, the circuit packed, waiting jobs of that group, ...} twenty of these,
--          since when the oldest of those jobs has waited that no circuit of their group holds back, ms, or 0}
--@include _record
local jobs, counters, delayed, config, workers = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local info, draining, busy, completed, failed = KEYS[6], KEYS[7], KEYS[8], KEYS[9], KEYS[10]
local ring, parked, group_wait, group_line, group_part = KEYS[22], KEYS[23], KEYS[27], KEYS[28], KEYS[29]
local circuit = KEYS[26]
local circuits, shown = redis.call('HLEN', circuit), {}
local LINES = 10
local CIRCUITS = 20
local now = now_ms()
--@include _oldest
look_along_lines()
local groups = redis.call('EXISTS', group_wait) == 1 and some_groups() or {}
look_along_groups(groups, false)
local oldest_free = oldest
look_along_groups(groups, true)
local leases = redis.call('ZRANGE', workers, 0, -1, 'WITHSCORES')
local fleet = {}
for i = 1, #leases, 2 do
  local worker = leases[i]
  fleet[#fleet + 1] = worker
  fleet[#fleet + 1] = tonumber(leases[i + 1])
  fleet[#fleet + 1] = redis.call('HGET', info, worker) or ''
  fleet[#fleet + 1] = tonumber(redis.call('HGET', busy, worker) or 0)
  fleet[#fleet + 1] = tonumber(redis.call('ZSCORE', draining, worker) or 0)
end
local forwarding = redis.call('ZCARD', KEYS[24])
local next_due = redis.call('ZRANGE', delayed, 0, 0, 'WITHSCORES')[2]
local horizon, soon = now + tonumber(ARGV[1]), 0
if next_due and tonumber(next_due) <= horizon then soon = redis.call('ZCOUNT', delayed, '(' .. now, horizon) end
if circuits > 0 then
  local page = redis.call('HSCAN', circuit, 0, 'COUNT', CIRCUITS)[2]
  for i = 1, math.min(#page, 2 * CIRCUITS), 2 do
    shown[#shown + 1] = page[i]
    shown[#shown + 1] = page[i + 1]
    shown[#shown + 1] = math.floor(tonumber(redis.call('HGET', group_wait, page[i]) or 0) / 1024)
  end
end
return {
  now, redis.call('HGETALL', counters), redis.call('ZCARD', delayed), redis.call('ZCOUNT', delayed, '-inf', now),
  tonumber(next_due or 0), redis.call('LLEN', completed) + redis.call('ZCARD', KEYS[25]), redis.call('ZCARD', failed) + forwarding, oldest,
  redis.call('HGETALL', config), fleet, redis.call('ZCARD', KEYS[21]), redis.call('ZCARD', ring) + redis.call('ZCARD', parked), forwarding,
  soon, circuits, shown, oldest_free,
}
