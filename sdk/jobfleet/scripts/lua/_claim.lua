-- The second half of settle_and_claim, whose locals it uses: fills `taken` with up to `want` jobs: groups and the jobs of no
-- group in turn; within each, first priority first. `again` becomes 1 where it stopped early, having met too many ids that brought
-- no job, because none of that line waits behind them or because it has waited for too long; `resume` when a limit lets more
-- through, ms.
--@include _parts
--@include _bucket
local SKIPS = 1000
-- Redis keeps a small hash as a list and searches it from end to end. A value of more than 64 bytes makes a real hash of it.
local SMALL, WIDE = 16, string.rep('-', 65)
local expired, changed, holds, skips = {}, {}, {}, 0
local met = {} -- an id may stand in lines twice, and its record is written at the end

-- Take one id from a line as a job, if a waiting job of that line is behind it: a cancelled job leaves its id where it stood,
-- and one that came back, or another of that id, may stand in another line.
local function accept(id, record, priority, group)
  local state, mark = string.byte(record or '', 1, 2)
  if state ~= WAITING or mark % 128 ~= priority or met[id] then
    skips = skips + 1
    return nil
  end
  local extension = mark >= 128 and extension_of(record) or nil
  if (extension and extension.g) ~= group then
    skips = skips + 1
    return nil
  end
  met[id] = true
  local n = #changed
  changed[n + 1] = id
  if extension and extension.x and since_of(record) + extension.x < now then
    skips = skips + 1
    expired[#expired + 1] = {id, extension}
    changed[n + 2] = in_state(record, FAILED, now_bytes)
    return nil
  end
  local attempt, failures, lost, enqueued = struct.unpack('>I3BBI6', record, 3)
  local rest = string.sub(record, BODY_AT)
  attempt = attempt + 1
  changed[n + 2] = struct.pack(HEADER, ACTIVE, mark, attempt, failures, lost, enqueued, now, now) .. rest
  local k = #claimed
  claimed[k + 1], bodies[k + 1] = id, extension and body_of(record) or rest
  holds[2 * k + 1], holds[2 * k + 2] = id, attempt
  k = 5 * k
  taken[k + 1], taken[k + 2], taken[k + 3], taken[k + 4], taken[k + 5] = id, attempt, failures, lost, enqueued
  return extension
end

-- Up to `room` jobs of no group; returns how many ids were looked at.
local function from_lines(room)
  local looked = 0
  for priority = 1, 10 do
    while room > 0 and skips < SKIPS do
      local ids = redis.call('LPOP', KEYS[priority], room)
      if not ids then break end
      local before = #claimed
      local records = redis.call('HMGET', jobs, unpack(ids))
      for n, id in ipairs(ids) do accept(id, records[n], priority) end
      looked = looked + #ids
      room = room - (#claimed - before)
    end
    if room <= 0 then break end
  end
  return looked
end

local room = math.min(want, let_through)
if setting.max_active > 0 then room = math.min(room, setting.max_active - count('active')) end
local tokens
if setting.rate_count > 0 then
  tokens = tokens_now(redis.call('HGET', counters, 'tokens'), setting.rate_count, setting.rate_ms)
  room = math.min(room, math.floor(tokens))
end
if redis.call('EXISTS', group_parked) == 1 then unpark() end
if room > 0 then
  if count('grouped') == 0 then
    from_lines(room)
  else
--@include _turns
    in_turns(room)
  end
end
if skips >= SKIPS then again = 1 end
in_parts('HSET', jobs, changed)
if #expired > 0 then
--@include _shelf
  local ids = {}
  for n, one in ipairs(expired) do
    ids[n] = one[1]
    keep_failure(one[1], expired_error, '')
    ended(one[1], one[2], channel)
  end
  redis.call('HINCRBY', counters, 'waiting', -#ids)
  shelve_failed(ids)
end
if #claimed > 0 then
  if #claimed > SMALL then
    redis.call('HSET', active, WIDE, WIDE, unpack(holds))
    redis.call('HDEL', active, WIDE)
  else
    redis.call('HSET', active, unpack(holds))
  end
  redis.call('HINCRBY', counters, 'waiting', -#claimed)
  redis.call('HINCRBY', counters, 'active', #claimed)
  tell('claim', claimed)
  if whole then send_probes('', whole, #claimed) end
  if tokens then
    tokens = tokens - #claimed
    redis.call('HSET', counters, 'tokens', tokens .. ' ' .. now)
  end
end
if #claimed < want then
  if tokens and tokens < 1 then resume = next_token(tokens, setting.rate_count, setting.rate_ms) end
  local parked = redis.call('ZRANGE', group_parked, 0, 0, 'WITHSCORES')[2]
  if parked and (resume == 0 or tonumber(parked) < resume) then resume = tonumber(parked) end
end
