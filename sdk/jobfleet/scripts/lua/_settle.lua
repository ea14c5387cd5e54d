-- The first half of settle_and_claim, whose locals it uses: takes outcomes one after the other, gathers what they change,
-- and writes it in few calls. Adds to `refused` the ids whose outcome did not count, and to `gone` those whose did.
--@include _line
--@include _shelf
local ids = {}
for i = 1, #outcomes, 5 do ids[#ids + 1] = outcomes[i] end
local attempts = redis.call('HMGET', active, unpack(ids))
local records = redis.call('HMGET', jobs, unpack(ids))
local cancels = redis.call('SCARD', cancelling) > 0
local watched = redis.call('SCARD', awaited) > 0
local changed, seen, busy_ms, outputs = {}, {}, 0, {}
local done, retried, returned, dropped, dead, called_off, own_time = {}, {}, {}, {}, {}, {}, {}
for n, id in ipairs(ids) do
  local i, record = 5 * n - 4, records[n]
  local number, verdict, delay, place = outcomes[i + 1], outcomes[i + 2], outcomes[i + 3], outcomes[i + 4]
  local bytes = place > 0 and ARGV[BYTES + place] or ''
  if tonumber(attempts[n] or -1) ~= number or not record or seen[id] then
    refused[#refused + 1] = id
    if attempts[n] and not record then redis.call('HDEL', active, id) end -- its queue was purged as this worker came
  else
    seen[id] = true
    gone[#gone + 1] = id
    local extension = extension_of(record)
    local state, since, failed_now = WAITING, now, false
    if cancels and redis.call('SREM', cancelling, id) == 1 and verdict ~= 'complete' then verdict = 'cancel' end
    if extension and extension.g then group_leave(extension.g) end
    if guarded then weigh(extension, verdict, blameless and blameless[n], record, bytes) end
    if verdict == 'complete' or verdict == 'retry' or verdict == 'fail' then busy_ms = busy_ms + math.max(0, now - started_of(record)) end
    if verdict == 'complete' then
      state = COMPLETED
      local own = extension and extension.r
      if (own or setting.keep_completed) > 0 then
        if bytes ~= '' then outputs[#outputs + 1], outputs[#outputs + 2] = id, bytes end
        if own then own_time[id] = now + own end
        done[#done + 1] = id
      else
        dropped[#dropped + 1] = id
      end
    elseif verdict == 'fail' or verdict == 'retry' then
      if bytes ~= '' then keep_failure(id, bytes, worker) end
      failed_now = true
      if verdict == 'fail' then
        state = FAILED
        dead[#dead + 1] = id
      else
        retried[#retried + 1] = id
      end
    elseif verdict == 'cancel' then
      state = CANCELLED
      called_off[#called_off + 1] = id
    end
    if state == WAITING then
      if verdict == 'limit' then
        if extension and extension.g then
          park(extension.g, now + delay)
        else
          redis.call('HSET', counters, 'blocked_until', math.max(count('blocked_until'), now + delay))
        end
      end
      if (verdict == 'retry' or verdict == 'snooze') and delay > 0 then
        state, since = DELAYED, now + delay
        redis.call('ZADD', delayed, since, id)
      else
        returned[#returned + 1] = id
        local put = (verdict == 'retry' or verdict == 'snooze') and put_last or put_first
        put(id, string.byte(record, 2), extension)
      end
    elseif extension or watched then
      ended(id, extension, channel)
    end
    changed[#changed + 1] = id
    if failed_now then
      local _, priority, attempt, failures, lost, enqueued, _, started = unpack_header(record)
      failures = math.min(failures + 1, 255)
      changed[#changed + 1] = with_header(record, state, priority, attempt, failures, lost, enqueued, since, started)
    else
      changed[#changed + 1] = in_state(record, state, since == now and now_bytes or time_bytes(since))
    end
  end
end
if #gone > 0 then
  if guarded then settle_circuits() end
  redis.call('HDEL', active, unpack(gone))
  redis.call('HSET', jobs, unpack(changed))
  if #outputs > 0 then redis.call('HSET', results, unpack(outputs)) end
  redis.call('HINCRBY', counters, 'active', -#gone)
  local completions = #done + #dropped
  if completions + #retried + #dead > 0 then
    redis.call('HINCRBY', counters, 'finished', completions + #retried + #dead)
    redis.call('HINCRBY', counters, 'busy_ms', busy_ms)
  end
  if completions > 0 then redis.call('HINCRBY', counters, 'completed', completions) end
  if #returned > 0 then redis.call('HINCRBY', counters, 'waiting', #returned) end
  if #retried > 0 then
    redis.call('HINCRBY', counters, 'retried', #retried)
    tell('retry', retried)
  end
  shelve_failed(dead)
  shelve_cancelled(called_off)
  tell('complete', done)
  tell('complete', dropped)
  if next(own_time) then done = keep_apart(done, own_time) end
  if #done > 0 then
    redis.call('LPUSH', completed, unpack(done))
    local over = redis.call('LLEN', completed) - setting.keep_completed
    if over > 0 then
      for _, id in ipairs(redis.call('RPOP', completed, math.min(over, 2 * #done))) do dropped[#dropped + 1] = id end
    end
    take_old_completed(now - setting.keep_completed_seconds * 1000, #done, dropped)
  end
  forget(dropped)
end
