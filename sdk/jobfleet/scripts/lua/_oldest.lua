-- Since when the oldest job has waited that an inspection finds; it uses inspect's locals. The lines keep order, so the oldest
-- of a line stands at its head: but for jobs that were handed back, which come first and wait anew, and ids that no job waits
-- behind. Behind such a head it looks further, at places twice as far each time.
local FURTHEST = 4096 -- the last of these places
local GROUPS, GROUP_LINES = 16, 32 -- of so many groups, and so many lines of theirs, the heads are looked at

local oldest = 0
-- Take note of what is behind an id; returns whether what stands behind it in the line can be no older.
local function noted(record)
  if not record or string.byte(record) ~= WAITING then return false end
  local _, _, attempt, _, _, _, since = unpack_header(record)
  if oldest == 0 or since < oldest then oldest = since end
  return attempt == 0
end

local function look_along(line, id_at)
  local place = 1
  while place <= FURTHEST do
    local id = id_at(line, place)
    if not id or noted(redis.call('HGET', jobs, id)) then return end
    place = 2 * place
  end
end

local function in_line(key, place)
  return redis.call('LINDEX', key, place)
end

local function look_along_lines()
  for priority = 1, 10 do
    local head = in_line(KEYS[LINES + priority], 0)
    if head and not noted(redis.call('HGET', jobs, head)) then look_along(KEYS[LINES + priority], in_line) end
  end
end

-- The id at a place of a group's line; behind its first part, the first id of one that is about as far on.
local function in_group(line, place)
  if not line.ids then
    line.ids = {}
    for id in string.gmatch(line.first, '%S+') do line.ids[#line.ids + 1] = id end
  end
  if place < #line.ids then return line.ids[place + 1] end
  local number = line.from + math.floor(place / math.max(1, #line.ids))
  return string.match(redis.call('HGET', group_part, line.field .. ':' .. number) or '', '^%S+')
end

-- Some groups that have waiting jobs: all, where they are few; else those whose turn is next, which as a rule have waited
-- longest, then those that are parked, then any.
local function some_groups()
  if redis.call('HLEN', group_wait) <= GROUPS then return redis.call('HKEYS', group_wait) end
  local groups = redis.call('ZRANGE', ring, 0, GROUPS - 1)
  for _, group in ipairs(redis.call('ZRANGE', parked, 0, GROUPS - 1)) do
    if string.byte(group) > 1 then groups[#groups + 1] = group end -- else it is a mark, as in _group.lua
  end
  local page = #groups < GROUPS and redis.call('HSCAN', group_wait, 0, 'COUNT', GROUPS)[2] or {}
  for i = 1, #page, 2 do groups[#groups + 1] = page[i] end
  return groups
end

-- All heads in few calls, of groups with a circuit that is not closed, or (`behind` false) of the others.
local function look_along_groups(all, behind)
  local groups, fields = {}, {}
  for n = 1, math.min(#all, GROUPS) do
    if (circuits > 0 and redis.call('HEXISTS', circuit, all[n]) == 1) == behind then groups[#groups + 1] = all[n] end
  end
  if #groups == 0 then return end
  for n, state in ipairs(redis.call('HMGET', group_wait, unpack(groups))) do
    local mask, priority = tonumber(state or 0) % 1024, 1
    while mask > 0 do
      if mask % 2 == 1 then fields[#fields + 1] = priority .. ':' .. groups[n] end
      mask, priority = math.floor(mask / 2), priority + 1
    end
  end
  if #fields == 0 then return end
  local from, parts, heads = {}, {}, {}
  for n, ends in ipairs(redis.call('HMGET', group_line, unpack(fields, 1, math.min(#fields, GROUP_LINES)))) do
    from[n] = string.match(ends or '0', '^-?%d+')
    parts[n] = fields[n] .. ':' .. from[n]
  end
  local firsts = redis.call('HMGET', group_part, unpack(parts))
  for n, first in ipairs(firsts) do heads[n] = string.match(first or '', '^%S+') or '' end
  for n, record in ipairs(redis.call('HMGET', jobs, unpack(heads))) do
    if not noted(record) then look_along({field = fields[n], from = from[n], first = firsts[n] or ''}, in_group) end
  end
end
