-- standing: the ids that stand in the waiting lines, a page of them; call again with the place until the line is 0. Reads only.
-- It goes from the end of each line to its head, so that what is taken meanwhile moves nothing past the next page.
--
-- KEYS[1..10] lines      list  waiting ids, priority 1 to 10
-- KEYS[11]    group_part hash  "priority:group:number" -> "id id ..."
-- ARGV[1] line           from 1; 11: all groups'
-- ARGV[2] place          0 at first, then as it was told
-- ARGV[3] limit          ids in one call, or parts of the groups' lines, more or less
-- returns {line, place, {"priority:group" of a line, ids in it, parted by spaces, ...}}
local line, place, limit = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
if line > 10 then
  local page, parts = redis.call('HSCAN', KEYS[11], ARGV[2], 'COUNT', limit), {}
  for i = 1, #page[2], 2 do
    parts[i], parts[i + 1] = string.match(page[2][i], '^(.*):'), page[2][i + 1]
  end
  return {page[1] == '0' and 0 or line, tonumber(page[1]), parts}
end
local ids = redis.call('LRANGE', KEYS[line], -place - limit, -place - 1)
local found = {line .. ':', table.concat(ids, ' ')}
if #ids < limit then return {line + 1, 0, found} end
return {line, place + limit, found}
