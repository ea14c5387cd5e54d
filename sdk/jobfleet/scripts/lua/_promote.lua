-- Moves jobs whose time has come from the delayed set to the end of their lines, at most `limit` in one go, into `moved`.
local moved = {}
local due = redis.call('ZRANGEBYSCORE', delayed, '-inf', now, 'WITHSCORES', 'LIMIT', 0, limit)
if #due > 0 then
--@include _line
  local ids = {}
  for i = 1, #due, 2 do ids[#ids + 1] = due[i] end
  redis.call('ZREM', delayed, unpack(ids))
  local records = redis.call('HMGET', jobs, unpack(ids))
  local changed = {}
  for i, id in ipairs(ids) do
    local record = records[i]
    if record and string.byte(record) == DELAYED then
      local _, priority, attempt, failures, lost, enqueued, _, started = unpack_header(record)
      changed[#changed + 1] = id
      changed[#changed + 1] = with_header(record, WAITING, priority, attempt, failures, lost, enqueued, tonumber(due[2 * i]), started)
      put_last(id, priority, extension_of(record))
      moved[#moved + 1] = id
    end
  end
  if #moved > 0 then
    redis.call('HSET', jobs, unpack(changed))
    redis.call('HINCRBY', counters, 'waiting', #moved)
    tell('promote', moved)
  end
end
