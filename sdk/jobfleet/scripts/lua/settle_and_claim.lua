-- settle_and_claim: take the results of finished jobs and hand out new ones, in one round trip.
-- An outcome counts only while this worker still holds the job at that attempt (its field in "active"): the fence.
--
-- KEYS[1]  jobs       hash  id -> record
-- KEYS[2]  counters   hash
-- KEYS[3]  delayed    zset  id by due ms
-- KEYS[4]  wake       list
-- KEYS[5]  config     hash
-- KEYS[6]  workers    zset  worker by end of lease, ms
-- KEYS[7]  draining   set   workers that get nothing more
-- KEYS[8]  busy       hash  worker -> jobs it holds
-- KEYS[9]  active     hash  id -> attempt, of this worker alone
-- KEYS[10] completed  list  newest first
-- KEYS[11] failed     zset  id by ms
-- KEYS[12] results    hash  id -> bytes
-- KEYS[13] errors     hash  id -> bytes
-- KEYS[14..23] lines  list  waiting, priority 1 to 10
-- ARGV[1] worker
-- ARGV[2] want      free slots to fill; 0: settle only
-- ARGV[3] lease     ms that the worker's lease lasts from now
-- ARGV[4..] five an outcome: id, attempt, verdict (complete | retry | fail | return), delay in ms (retry), bytes
--           (complete: result; retry, fail: error; empty: none)
-- returns {now ms, next due ms or 0, hold (0 | 1 paused | 2 draining), again (1: more may be had at once),
--          {refused id, ...}, {id, attempt, failures, lost, enqueued ms, body, ...}}
--@include _record
--@include _promote
--@include _wake
--@include _failed
local jobs, counters, delayed, wake, config, workers = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local draining, busy, active, completed, failed, results, errors = KEYS[7], KEYS[8], KEYS[9], KEYS[10], KEYS[11], KEYS[12], KEYS[13]
local LINES = 13
local SKIPS = 1000 -- ids in a line without a waiting job behind them that one call steps over
local worker, want, lease = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local now = now_ms()
local settings = redis.call('HMGET', config, 'paused', 'keep_completed', 'keep_completed_seconds', 'keep_failed', 'keep_failed_seconds')
local function line_of(priority) return KEYS[LINES + priority] end

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

local taken, again = {}, 0
local function claim()
  promote_due(now, want + 100, jobs, delayed, counters, line_of)
  local room, skips = want, 0
  local held, changed = {}, {}
  for priority = 1, 10 do
    local line = line_of(priority)
    while room > 0 and skips < SKIPS do
      local ids = redis.call('LPOP', line, room)
      if not ids then break end
      local records = redis.call('HMGET', jobs, unpack(ids))
      for n, id in ipairs(ids) do
        local record = records[n]
        if record and string.byte(record) == WAITING then
          local _, prio, attempt, failures, lost, enqueued = unpack_header(record)
          attempt = attempt + 1
          held[#held + 1] = id
          held[#held + 1] = attempt
          changed[#changed + 1] = id
          changed[#changed + 1] = with_header(record, ACTIVE, prio, attempt, failures, lost, enqueued, now, now)
          local k = #taken
          taken[k + 1], taken[k + 2], taken[k + 3] = id, attempt, failures
          taken[k + 4], taken[k + 5], taken[k + 6] = lost, enqueued, string.sub(record, BODY_AT)
          room = room - 1
        else
          skips = skips + 1
        end
      end
    end
    if room == 0 or skips >= SKIPS then break end
  end
  if skips >= SKIPS then again = 1 end
  local count = #taken / 6
  if count > 0 then
    redis.call('HSET', active, unpack(held))
    redis.call('HSET', jobs, unpack(changed))
    redis.call('HINCRBY', counters, 'waiting', -count)
    redis.call('HINCRBY', counters, 'active', count)
  end
end

settle()
local hold = 0
if redis.call('SISMEMBER', draining, worker) == 1 then hold = 2
elseif settings[1] == '1' then hold = 1 end
redis.call('ZADD', workers, now + lease, worker)
if want > 0 and hold == 0 then claim() end
if #gone > 0 or #taken > 0 then redis.call('HSET', busy, worker, redis.call('HLEN', active)) end
if hold ~= 1 and #taken == 6 * want and tonumber(redis.call('HGET', counters, 'waiting') or 0) > 0 then wake_worker(wake) end
if hold == 2 and tonumber(redis.call('HGET', counters, 'waiting') or 0) > 0 then wake_worker(wake) end
local next_due = redis.call('ZRANGE', delayed, 0, 0, 'WITHSCORES')[2]
return {now, tonumber(next_due or 0), hold, again, refused, taken}
