-- How a claim takes jobs where some wait in groups: groups, and the jobs of no group as if they were one, in turn.
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
    end
    if most > 0 and running >= most then
      redis.call('ZREM', ring, group)
      at_limit()
    end
  end
  if left == 0 then
    redis.call('ZREM', ring, group)
    -- marked anew, whatever was behind its last id: a mark whose time came while the group had ids is gone
    if rate > 0 and tokens < rate then bucket_full_at(group, now + math.ceil((rate - tokens) * period / rate)) end
    if c then keep_circuit(group, c) end
  end
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
