-- Keys of deduplication: each has the id of the job that stands for it, and the time until which that holds; 0: until it ends.

-- The job that a key has, and that time; the id is nil where nobody has the key, or its time is over.
local function key_owner(key)
  local id, ends = string.match(redis.call('HGET', dedup, key) or '', '^(%S+) (%d+)$')
  ends = tonumber(ends or 0)
  if ends > 0 and ends <= now then id = nil end
  return id, ends
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

-- Whether a job in that state still stands for its key, where only its end frees that.
local function stands(state)
  return state == WAITING or state == DELAYED or state == ACTIVE
end
