-- list_groups: the waiting jobs of some groups, the first to run first in each; a bounded number in one call. Reads only.
--
-- KEYS[1] jobs        hash  id -> record
-- KEYS[2] results     hash  id -> bytes
-- KEYS[3] errors      hash  id -> bytes
-- KEYS[4] progress    hash  id -> bytes
-- KEYS[5] group_line  hash  "priority:group" -> "first last", numbers of parts
-- KEYS[6] group_part  hash  "priority:group:number" -> "id id ..."
-- ARGV[1] limit       ids to look at; the part that they end in is given whole
-- ARGV[2] priority    where to go on in the first group, from 1
-- ARGV[3] part        likewise; empty: at the head of that priority's line
-- ARGV[4..] group
-- returns {groups that are through, priority and part where to go on in the next one,
--          {id, record, result or false, error or false, progress or false, ...}}
--@include _record
local left, priority, part = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local page, through = {}, 0
local function add(id)
  local record = redis.call('HGET', KEYS[1], id)
  if not record or string.byte(record) ~= WAITING then return end -- what is left of a cancelled job
  page[#page + 1] = id
  page[#page + 1] = record
  for n = 2, 4 do page[#page + 1] = redis.call('HGET', KEYS[n], id) end
end
for n = 4, #ARGV do
  while priority <= 10 do
    local field = priority .. ':' .. ARGV[n]
    local from, to = string.match(redis.call('HGET', KEYS[5], field) or '', '^(-?%d+) (-?%d+)$')
    for number = math.max(tonumber(from or 0), part or tonumber(from or 0)), tonumber(to or -1) do
      if left <= 0 then return {through, priority, tostring(number), page} end
      for id in string.gmatch(redis.call('HGET', KEYS[6], field .. ':' .. number) or '', '%S+') do
        left = left - 1
        add(id)
      end
    end
    priority, part = priority + 1, nil
  end
  priority, through = 1, through + 1
end
return {through, 1, '', page}
