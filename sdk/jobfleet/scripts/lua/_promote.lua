-- Moves jobs whose time has come from the delayed set to the end of their lines, at most `limit` in one go.
-- `line_of` gives a priority's line. Returns how many moved.
local function promote_due(now, limit, jobs, delayed, counters, line_of)
  local due = redis.call('ZRANGEBYSCORE', delayed, '-inf', now, 'WITHSCORES', 'LIMIT', 0, limit)
  if #due == 0 then return 0 end
  local ids = {}
  for i = 1, #due, 2 do ids[#ids + 1] = due[i] end
  local records = redis.call('HMGET', jobs, unpack(ids))
  local changed, moved = {}, 0
  for i, id in ipairs(ids) do
    local record = records[i]
    if record and string.byte(record) == DELAYED then
      local _, priority, attempt, failures, lost, enqueued, _, started = unpack_header(record)
      changed[#changed + 1] = id
      changed[#changed + 1] = with_header(record, WAITING, priority, attempt, failures, lost, enqueued, tonumber(due[2 * i]), started)
      redis.call('RPUSH', line_of(priority), id)
      moved = moved + 1
    end
  end
  redis.call('ZREM', delayed, unpack(ids))
  if moved > 0 then
    redis.call('HSET', jobs, unpack(changed))
    redis.call('HINCRBY', counters, 'waiting', moved)
  end
  return moved
end
