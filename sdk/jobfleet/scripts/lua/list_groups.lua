-- list_groups: the waiting jobs of some groups, the first to run first in each; a bounded number of steps in one call. Reads only.
--
-- KEYS[1] jobs        hash  id -> record
-- KEYS[2] results     hash  id -> bytes
-- KEYS[3] errors      hash  id -> bytes
-- KEYS[4] progress    hash  id -> bytes
-- KEYS[5] group_line  hash  "priority:group" -> "first node, last node"; a node is "id<tab>number"
-- KEYS[6] group_next  hash  node -> the node behind it
-- ARGV[1] limit       nodes to look at
-- ARGV[2] priority    where to go on in the first group, from 1
-- ARGV[3] node        likewise; empty: at the head of that priority's line
-- ARGV[4..] group
-- returns {groups that are through, priority and node where to go on in the next one,
--          {id, record, result or false, error or false, progress or false, ...}}
--@include _record
local left, priority, node = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
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
    local ends = redis.call('HGET', KEYS[5], priority .. ':' .. ARGV[n])
    local head, tail = string.match(ends or '', '^(%S+\t%d+) (%S+\t%d+)$')
    if node == '' then node = head end
    while node do
      if left == 0 then return {through, priority, node, page} end
      left = left - 1
      add(string.match(node, '^(%S+)\t'))
      node = node ~= tail and redis.call('HGET', KEYS[6], node)
    end
    priority, node = priority + 1, ''
  end
  priority, through = 1, through + 1
end
return {through, 1, '', page}
