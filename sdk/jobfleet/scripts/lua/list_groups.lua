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
local jobs, results, errors, progress = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
--@include _page
local left, priority, part = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local through = 0
for n = 4, #ARGV do
  while priority <= 10 do
    local field = priority .. ':' .. ARGV[n]
    local from, to = string.match(redis.call('HGET', KEYS[5], field) or '', '^(-?%d+) (-?%d+)$')
    for number = math.max(tonumber(from or 0), part or tonumber(from or 0)), tonumber(to or -1) do
      if left <= 0 then return {through, priority, tostring(number), page} end
      for id in string.gmatch(redis.call('HGET', KEYS[6], field .. ':' .. number) or '', '%S+') do
        left = left - 1
        local record = redis.call('HGET', jobs, id)
        if record and string.byte(record) == WAITING then show(id, record) end -- else it is what is left of a cancelled job
      end
    end
    priority, part = priority + 1, nil
  end
  priority, through = 1, through + 1
end
return {through, 1, '', page}
