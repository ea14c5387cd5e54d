-- The second half of settle_and_claim, whose locals it uses: fills `taken` with up to `want` jobs, first priority first.
-- `again` is 1 where it stopped early, having stepped over too many ids without a waiting job behind them.
local SKIPS = 1000
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
