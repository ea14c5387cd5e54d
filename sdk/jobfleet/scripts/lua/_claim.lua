-- The second half of settle_and_claim, whose locals it uses: fills `taken` with up to `want` jobs: groups and the jobs of no
-- group in turn; within each, first priority first. `again` is 1 where it stopped early, having met too many ids that brought
-- no job, because none of that line waits behind them or because it has waited for too long; `resume` is when a limit lets
-- more through, ms, or 0.
local SKIPS = 1000
-- Redis keeps a small hash as a list and searches it from end to end. A value of more than 64 bytes makes a real hash of it.
local SMALL, WIDE = 16, string.rep('-', 65)
local taken, bodies, again, resume = {}, {}, 0, 0
local claimed, expired, changed, holds, skips = {}, {}, {}, {}, 0
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
    expired[#expired + 1] = id
    keep_failure(id, expired_error, '')
    changed[n + 2] = in_state(record, FAILED, now_bytes)
    ended(id, extension, channel)
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

-- One job of a group, unless its bucket is empty or its circuit holds it; then it is parked. Returns how many ids were taken off
-- its line.
local function from_group(group)
  local weight, most, rate, period = group_settings(group)
  local tokens, room, c
  if by_group then
    room, c = admitted(group)
    if room == 0 then
      if c.half > 0 then
        c.ends = now + setting.breaker_open_ms
        keep_circuit(group, c)
      end
      park(group, c.ends)
      return 0
    end
  end
  if rate > 0 then
    tokens = tokens_now(redis.call('HGET', group_tokens, group), rate, period)
    if tokens < 1 then
      park(group, next_token(tokens, rate, period))
      return 0
    end
  end
  local id, left, priority = group_take(group)
  local before = #claimed
  if id then accept(id, redis.call('HGET', jobs, id), priority, group) end
  if #claimed > before then
    local running = redis.call('HINCRBY', group_active, group, 1)
    if c then send_probes(group, c, 1) end
    redis.call('ZINCRBY', ring, 1 / weight, group)
    if rate > 0 then
      tokens = tokens - 1
      redis.call('HSET', group_tokens, group, tokens .. ' ' .. now)
      if left == 0 then bucket_full_at(group, now + math.ceil((rate - tokens) * period / rate)) end
    end
    if most > 0 and running >= most then
      redis.call('ZREM', ring, group)
      at_limit()
    end
  end
  if left == 0 then redis.call('ZREM', ring, group) end
  return id and 1 or 0
end

local function in_turns(room)
  local own = math.max(virtual_time(), tonumber(redis.call('HGET', counters, 'utime') or 0))
  local lines, turns = true, 0
  while #claimed < room and skips < SKIPS do
    local head = redis.call('ZRANGE', ring, 0, 0, 'WITHSCORES')
    local turn = tonumber(head[2])
    if head[1] and not (lines and own < turn) then
      vtime = math.max(vtime, turn)
      own = math.max(own, vtime)
      turns = turns + from_group(head[1])
    elseif lines then
      if from_lines(1) == 0 then lines = false else own = own + 1 end
    else
      break
    end
  end
  redis.call('HSET', counters, 'vtime', vtime, 'utime', own)
  if turns > 0 then redis.call('HINCRBY', counters, 'grouped', -turns) end
end

local function claim()
  local room = math.min(want, let_through)
  if setting.max_active > 0 then room = math.min(room, setting.max_active - count('active')) end
  local tokens
  if setting.rate_count > 0 then
    tokens = tokens_now(redis.call('HGET', counters, 'tokens'), setting.rate_count, setting.rate_ms)
    room = math.min(room, math.floor(tokens))
  end
  if redis.call('EXISTS', group_parked) == 1 then unpark() end
  if room > 0 then
    if count('grouped') > 0 then in_turns(room) else from_lines(room) end
  end
  if skips >= SKIPS then again = 1 end
  in_parts('HSET', jobs, changed)
  if #expired > 0 then
    redis.call('HINCRBY', counters, 'waiting', -#expired)
    shelve_failed(expired)
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
end
