-- Circuit breakers: one for the queue (its scope is ''), or one for each group. What there is to know of a closed one are counts in
-- two hashes, one for each half of the window, so that to forget is to drop a hash, and nothing is scanned. Hash "circuit" has
-- those that are not closed, as maps: half (since when it is half open, ms; 0: it is open), since (when it opened, ms), ends (when
-- probes begin, ms; of a group: until when it is parked), out (probes that run), passed (probes that succeeded), percent (of
-- failures, as it opened), kind (of the last failure).
local guarded = setting.breaker_percent > 0
local by_group = guarded and setting.breaker_per_group == 1
local weigh, settle_circuits, admitted, keep_circuit, send_probes

if guarded then -- or there is no need for any of it: each call makes its functions anew
  local tallies = {}
  local some_circuit

  local function circuit_of(scope)
    if some_circuit == nil then some_circuit = redis.call('EXISTS', circuit) == 1 end
    local packed = some_circuit and redis.call('HGET', circuit, scope)
    return packed and cmsgpack.unpack(packed) or nil
  end

  function keep_circuit(scope, c)
    redis.call('HSET', circuit, scope, cmsgpack.pack(c))
    some_circuit = true
    -- of a group that nobody hears of for a window, it is forgotten
    if scope ~= '' then bucket_full_at(scope, math.max(now, c.ends) + setting.breaker_window_ms) end
  end

  -- The group goes on with the next claim, unless something else has parked it for longer.
  local function free(scope, c)
    if scope ~= '' and tonumber(redis.call('ZSCORE', group_parked, scope) or 0) == c.ends then
      redis.call('ZADD', group_parked, 'XX', 0, scope)
    end
  end

  -- What a failure is called: the first part of what the worker packed behind its length.
  local function kind_in(failure)
    local fine, parts = pcall(cmsgpack.unpack, string.sub(failure, 5))
    return fine and type(parts) == 'table' and tostring(parts[1] or '') or ''
  end

  local function open_circuit(scope, since, percent, failure)
    local ends = now + setting.breaker_open_ms
    local kind = kind_in(failure)
    keep_circuit(scope, {half = 0, since = since, ends = ends, out = 0, passed = 0, percent = percent, kind = kind})
    redis.call('HDEL', circuit_now, scope)
    redis.call('HDEL', circuit_before, scope)
    if scope ~= '' then park(scope, ends) end
    tell('open', {scope})
  end

  -- The hashes of counts are those of the present half of the window and of the one before.
  local function roll()
    local half = math.floor(now / math.floor(setting.breaker_window_ms / 2))
    local latest = count('circuit_half')
    if half == latest then return end
    redis.call('UNLINK', circuit_before)
    if redis.call('EXISTS', circuit_now) == 1 then
      if half == latest + 1 then redis.call('RENAME', circuit_now, circuit_before) else redis.call('UNLINK', circuit_now) end
    end
    redis.call('HSET', counters, 'circuit_half', half)
  end

  local function counts(key, scope)
    local bad, all = string.match(redis.call('HGET', key, scope) or '0 0', '^(%d+) (%d+)$')
    return tonumber(bad), tonumber(all)
  end

  -- Note the end of one attempt; `blameless`: its failure says nothing of what handlers depend on. One that began before the
  -- circuit opened says nothing of how things are since.
  function weigh(extension, verdict, blameless, record, failure)
    local scope = ''
    if by_group then scope = extension and extension.g end
    if not scope then return end
    local tally = tallies[scope]
    if not tally then
      tally = {circuit = circuit_of(scope), bad = 0, all = 0, failure = ''}
      tallies[scope] = tally
    end
    local good, bad, c = verdict == 'complete', (verdict == 'retry' or verdict == 'fail') and not blameless, tally.circuit
    if c then
      if c.half == 0 or started_of(record) < c.half then return end
      tally.probed = true
      c.out = c.out - 1
      if good then c.passed = c.passed + 1 end
    elseif good or bad then
      tally.all = tally.all + 1
    end
    if bad then tally.bad, tally.failure = tally.bad + 1, failure end
  end

  -- What follows from what was noted.
  function settle_circuits()
    for scope, tally in pairs(tallies) do
      local c = tally.circuit
      if tally.probed then
        if tally.bad > 0 then
          open_circuit(scope, c.since, c.percent, tally.failure)
        else
          free(scope, c)
          if c.passed >= setting.breaker_probes then
            redis.call('HDEL', circuit, scope)
            tell('close', {scope})
          else
            keep_circuit(scope, c)
          end
        end
      elseif tally.all > 0 then
        roll()
        local bad, all = counts(circuit_now, scope)
        local bad_before, all_before = counts(circuit_before, scope)
        bad, all = bad + tally.bad, all + tally.all
        local failures, outcomes = bad + bad_before, all + all_before
        if tally.bad > 0 and outcomes >= setting.breaker_least and failures * 100 >= setting.breaker_percent * outcomes then
          open_circuit(scope, now, math.floor(failures * 100 / outcomes), tally.failure)
        else
          redis.call('HSET', circuit_now, scope, bad .. ' ' .. all)
          redis.call('PEXPIRE', circuit_now, setting.breaker_window_ms)
        end
      end
    end
  end

  -- How many more jobs the circuit of a scope lets run, and the circuit; where it is closed any number, and nil.
  function admitted(scope)
    local c = circuit_of(scope)
    if not c then return math.huge, nil end
    if c.half == 0 then
      if now < c.ends then return 0, c end
      c.half = now
      keep_circuit(scope, c)
      tell('half-open', {scope})
    end
    return math.max(0, setting.breaker_probes - c.out), c
  end

  function send_probes(scope, c, jobs)
    c.out = c.out + jobs
    keep_circuit(scope, c)
  end
end
