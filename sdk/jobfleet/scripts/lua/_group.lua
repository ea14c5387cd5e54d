-- Fair turns between groups (tenants). Each group that may run a job stands in "ring" at a virtual time; the earliest is
-- served and moves on by 1/weight: start-time fair queuing (Goyal, Vin, Cheng, SIGCOMM 1996), O(log groups) a job. A group
-- that is empty, at its limit or parked stands outside. Jobs of no group count as one group of weight 1.
--
-- A group's line is cut into parts in a hash, and is not a list key of its own, so that every key is declared: "group_line"
-- has the numbers of the first and the last part of each priority's line, "group_part" the ids of each part.
local PART_BYTES = 512
local configured, some_parked, limited, vtime -- what is read once a call, and only where it is needed

local function group_settings(group)
  if configured == nil then configured = redis.call('EXISTS', group_config) == 1 end
  local own = configured and redis.call('HGET', group_config, group)
  own = own and cmsgpack.unpack(own) or {}
  local rate, period = own.r, own.m
  if not rate then rate, period = setting.group_rate_count, setting.group_rate_ms end
  return own.w or 1, own.c or setting.group_max_active, rate, period
end

local function virtual_time()
  vtime = vtime or tonumber(redis.call('HGET', counters, 'vtime') or 0)
  return vtime
end

-- Groups that are at their limit stand outside until a job of theirs ends; where none ever did, no end need look for them.
local function at_limit()
  limited = true
  redis.call('HSET', counters, 'limited', 1)
end

-- Let a group with waiting jobs take part, unless it is at its limit or parked.
local function enter_ring(group)
  local weight, most = group_settings(group)
  if most > 0 and tonumber(redis.call('HGET', group_active, group) or 0) >= most then return at_limit() end
  if some_parked == nil then some_parked = redis.call('EXISTS', group_parked) == 1 end
  if some_parked and redis.call('ZSCORE', group_parked, group) then return end
  redis.call('ZADD', ring, 'NX', virtual_time() + 1 / weight, group)
end

-- The numbers of a line's first and last part; nothing where it has none.
local function line_ends(field)
  local from, to = string.match(redis.call('HGET', group_line, field) or '', '^(-?%d+) (-?%d+)$')
  return tonumber(from), tonumber(to)
end

local function group_put(id, priority, group, first)
  local field = priority .. ':' .. group
  local from, to = line_ends(field)
  local n = first and from or to
  local part = n and redis.call('HGET', group_part, field .. ':' .. n)
  if part and #part + #id < PART_BYTES then
    redis.call('HSET', group_part, field .. ':' .. n, first and id .. ' ' .. part or part .. ' ' .. id)
  else
    if not n then from, to, n = 0, 0, 0
    elseif first then from, n = from - 1, from - 1
    else to, n = to + 1, to + 1 end
    redis.call('HSET', group_part, field .. ':' .. n, id)
    redis.call('HSET', group_line, field, from .. ' ' .. to)
  end
  local state = tonumber(redis.call('HGET', group_wait, group) or 0)
  local mask, bit_of = state % 1024, 2 ^ (priority - 1)
  if math.floor(mask / bit_of) % 2 == 0 then state = state + bit_of end
  redis.call('HSET', group_wait, group, state + 1024)
  redis.call('HINCRBY', counters, 'grouped', 1)
  if state < 1024 then enter_ring(group) end
end

-- The first job of a group's first priority, how many are left, and that priority; nothing where the group has none. The caller counts
-- what it has taken off "grouped".
local function group_take(group)
  local state = tonumber(redis.call('HGET', group_wait, group) or 0)
  if state < 1024 then return nil, 0 end
  local mask, priority = state % 1024, 1
  while mask % 2 == 0 do mask, priority = mask / 2, priority + 1 end
  local field = priority .. ':' .. group
  local from, to = line_ends(field)
  local id, rest = string.match(redis.call('HGET', group_part, field .. ':' .. from), '^(%S+) ?(.*)$')
  if rest ~= '' then
    redis.call('HSET', group_part, field .. ':' .. from, rest)
  else
    redis.call('HDEL', group_part, field .. ':' .. from)
    if from < to then
      redis.call('HSET', group_line, field, from + 1 .. ' ' .. to)
    else
      redis.call('HDEL', group_line, field)
      state = state - 2 ^ (priority - 1)
    end
  end
  state = state - 1024
  if state < 1024 then redis.call('HDEL', group_wait, group) else redis.call('HSET', group_wait, group, state) end
  return id, math.floor(state / 1024), priority
end

local function park(group, until_ms)
  redis.call('ZREM', ring, group)
  redis.call('ZADD', group_parked, 'GT', until_ms, group)
  some_parked = true
end

-- The bucket of a group that has run dry of jobs is forgotten when it is full: a mark among the parked, which holds
-- nobody up, being no group's name.
local MARK = '\1'
local function bucket_full_at(group, at_ms)
  redis.call('ZADD', group_parked, 'GT', at_ms, MARK .. group)
  some_parked = true
end

-- Groups whose time has come stand in the ring again; of those that have run dry, bucket and circuit are forgotten.
local function unpark()
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', group_parked, '-inf', now, 'LIMIT', 0, 100)) do
    redis.call('ZREM', group_parked, member)
    if string.sub(member, 1, 1) == MARK then
      local group = string.sub(member, 2)
      if redis.call('HEXISTS', group_wait, group) == 0 then
        redis.call('HDEL', group_tokens, group)
        if redis.call('HEXISTS', group_active, group) == 0 then
          redis.call('HDEL', circuit, group)
        elseif redis.call('HEXISTS', circuit, group) == 1 then
          bucket_full_at(group, now + setting.breaker_window_ms) -- how that job ends need not be told to an open one
        end
      end
    elseif redis.call('HEXISTS', group_wait, member) == 1 then
      enter_ring(member)
    end
  end
end

-- A job of the group is no longer active.
local function group_leave(group)
  if redis.call('HINCRBY', group_active, group, -1) <= 0 then redis.call('HDEL', group_active, group) end
  if limited == nil then limited = redis.call('HEXISTS', counters, 'limited') == 1 end
  if limited and redis.call('HEXISTS', group_wait, group) == 1 then enter_ring(group) end
end
