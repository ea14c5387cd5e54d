-- list: a page of the jobs of one state, whole. Reads only. Of failed, cancelled and completed the newest come first, of
-- delayed the next due, of waiting the next in each line; of groups, see list_groups.
--
-- KEYS[1..44]    the queue, as in _queue.lua
-- ARGV[1] state  waiting | delayed | completed | failed | cancelled
-- ARGV[2] start  how many to leave out
-- ARGV[3] limit  how many to give
-- returns {ids looked at, {id, record, result or false, error or false, progress or false, ...}}
--@include _record
--@include _queue
--@include _page
local start, limit = tonumber(ARGV[2]), tonumber(ARGV[3])
local stop = start + limit - 1
local ids = {}
-- Behind the `before` that stand on one shelf, go on with another, a zset.
local function then_from(shelf, before)
  for _, id in ipairs(redis.call('ZREVRANGE', shelf, math.max(0, start - before), stop - before)) do ids[#ids + 1] = id end
end
if ARGV[1] == 'completed' then
  ids = redis.call('LRANGE', completed, start, stop)
  if #ids < limit then then_from(kept, redis.call('LLEN', completed)) end -- those with a time of their own
elseif ARGV[1] == 'failed' then
  ids = redis.call('ZREVRANGE', forwarding, start, stop)
  if #ids < limit then then_from(failed, redis.call('ZCARD', forwarding)) end
elseif ARGV[1] == 'cancelled' then ids = redis.call('ZREVRANGE', cancelled, start, stop)
elseif ARGV[1] == 'delayed' then ids = redis.call('ZRANGE', delayed, start, stop)
elseif ARGV[1] == 'waiting' then
  for priority = 1, 10 do
    local length = redis.call('LLEN', KEYS[priority])
    if start < length then
      for _, id in ipairs(redis.call('LRANGE', KEYS[priority], start, start + limit - #ids - 1)) do ids[#ids + 1] = id end
    end
    start = math.max(0, start - length)
    if #ids >= limit then break end
  end
end
for _, id in ipairs(ids) do
  local record = redis.call('HGET', jobs, id)
  if record and (ARGV[1] ~= 'waiting' or string.byte(record) == WAITING) then
    show(id, record)
  end
end
return {#ids, page}
