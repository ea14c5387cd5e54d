-- The first half of settle_and_claim, whose locals it uses: takes outcomes one after the other, gathers what they change,
-- and writes it in few calls. Leaves `refused`, the ids whose outcome did not count, and `gone`, those whose did.
local refused, gone = {}, {}
local function settle()
  local ids = {}
  for i = 4, #ARGV, 5 do ids[#ids + 1] = ARGV[i] end
  if #ids == 0 then return end
  local held = redis.call('HMGET', active, unpack(ids))
  local records = redis.call('HMGET', jobs, unpack(ids))
  local changed, done, lost_for_good, dropped = {}, {}, {}, {}
  local retried, returned, busy_ms, seen = 0, 0, 0, {}
  local keep = tonumber(settings[2] or 1000)
  for n, id in ipairs(ids) do
    local i = 4 + (n - 1) * 5
    local verdict, bytes, record = ARGV[i + 2], ARGV[i + 4], records[n]
    if held[n] ~= ARGV[i + 1] or not record or seen[id] then
      refused[#refused + 1] = id
    else
      seen[id] = true
      gone[#gone + 1] = id
      local _, priority, attempt, failures, lost, enqueued, _, started = unpack_header(record)
      local state, since = WAITING, now
      if verdict == 'return' then
        returned = returned + 1
        redis.call('LPUSH', line_of(priority), id)
      else
        busy_ms = busy_ms + math.max(0, now - started)
        if verdict == 'complete' then
          state = COMPLETED
          if keep > 0 then
            if bytes ~= '' then redis.call('HSET', results, id, bytes) end
            done[#done + 1] = id
          else
            dropped[#dropped + 1] = id
          end
        else
          if bytes ~= '' then redis.call('HSET', errors, id, bytes) end
          failures = math.min(failures + 1, 255)
          if verdict == 'retry' then
            retried = retried + 1
            local delay = tonumber(ARGV[i + 3])
            if delay > 0 then
              state, since = DELAYED, now + delay
              redis.call('ZADD', delayed, since, id)
            else
              returned = returned + 1
              redis.call('RPUSH', line_of(priority), id)
            end
          else
            state = FAILED
            lost_for_good[#lost_for_good + 1] = id
          end
        end
      end
      changed[#changed + 1] = id
      changed[#changed + 1] = with_header(record, state, priority, attempt, failures, lost, enqueued, since, started)
    end
  end
  if #gone == 0 then return end
  redis.call('HDEL', active, unpack(gone))
  redis.call('HSET', jobs, unpack(changed))
  redis.call('HINCRBY', counters, 'active', -#gone)
  local finished = #done + #dropped + retried + #lost_for_good
  if finished > 0 then
    redis.call('HINCRBY', counters, 'finished', finished)
    redis.call('HINCRBY', counters, 'busy_ms', busy_ms)
  end
  if #done + #dropped > 0 then redis.call('HINCRBY', counters, 'completed', #done + #dropped) end
  if retried > 0 then redis.call('HINCRBY', counters, 'retried', retried) end
  if returned > 0 then redis.call('HINCRBY', counters, 'waiting', returned) end
  if #lost_for_good > 0 then
    redis.call('HINCRBY', counters, 'failed', #lost_for_good)
    shelve_failed(lost_for_good, now, tonumber(settings[4] or 10000), tonumber(settings[5] or 2592000), jobs, failed, errors, results)
  end
  if #done > 0 then
    redis.call('LPUSH', completed, unpack(done))
    local over = redis.call('LLEN', completed) - keep
    if over > 0 then
      for _, id in ipairs(redis.call('RPOP', completed, math.min(over, 2 * #done))) do dropped[#dropped + 1] = id end
    end
    local cutoff = now - tonumber(settings[3] or 86400) * 1000
    for _ = 1, #done do
      local tail = redis.call('LINDEX', completed, -1)
      local record = tail and redis.call('HGET', jobs, tail)
      if not tail or (record and select(7, unpack_header(record)) >= cutoff) then break end
      redis.call('RPOP', completed)
      dropped[#dropped + 1] = tail
    end
  end
  if #dropped > 0 then
    redis.call('HDEL', jobs, unpack(dropped))
    redis.call('HDEL', results, unpack(dropped))
    redis.call('HDEL', errors, unpack(dropped))
  end
end
