-- Keys of deduplication: each has the id of the job that stands for it, and the time until which that holds; 0: until it ends.

-- The job that a key has, and that time; the id is nil where nobody has the key, or its time is over.
local function key_owner(key)
  local id, ends = string.match(redis.call('HGET', dedup, key) or '', '^(%S+) (%d+)$')
  ends = tonumber(ends or 0)
  if ends > 0 and ends <= now then id = nil end
  return id, ends
end

-- The state of a job, and how often it ran, if it still keeps others from its key: it is there and has not ended. One that has
-- waited for longer than it may does not: it will never run.
local function standing(record)
  local state, _, attempt = unpack_header(record)
  if state == WAITING then
    local extension = extension_of(record)
    if extension and extension.x and since_of(record) + extension.x < now then return nil, 0 end
  end
  return (state == WAITING or state == DELAYED or state == ACTIVE) and state or nil, attempt
end

-- The key is this job's from now on; `before`: the time that it had until now.
local function own_key(key, id, until_ms, before)
  redis.call('HSET', dedup, key, id .. ' ' .. until_ms)
  if until_ms > 0 then
    redis.call('ZADD', dedup_until, until_ms, key)
  elseif before > 0 then
    redis.call('ZREM', dedup_until, key)
  end
end
