--@include _parts
-- Jobs that have ended are kept on shelves, within limits by count and age, oldest out first. The work is bounded by the
-- batch: twice what comes in goes out at most.
local function forget(ids)
  if #ids == 0 then return end
  in_parts('HDEL', jobs, ids)
  for _, key in ipairs({results, errors, progress, logs}) do
    if redis.call('EXISTS', key) == 1 then in_parts('HDEL', key, ids) end
  end
end

local function add_now(shelf, ids)
  local members = {}
  for _, id in ipairs(ids) do
    members[#members + 1] = now
    members[#members + 1] = id
  end
  in_parts('ZADD', shelf, members)
end

local function shelve(shelf, ids, keep, keep_seconds)
  if #ids == 0 then return end
  add_now(shelf, ids)
  local out = redis.call('ZRANGEBYSCORE', shelf, '-inf', now - keep_seconds * 1000, 'LIMIT', 0, #ids)
  in_parts('ZREM', shelf, out)
  local over = redis.call('ZCARD', shelf) - keep
  if over > 0 then
    local popped = redis.call('ZPOPMIN', shelf, math.min(over, 2 * #ids))
    for i = 1, #popped, 2 do out[#out + 1] = popped[i] end
  end
  forget(out)
end

-- Take the completed jobs that ended before a time off their list, the oldest first, at most `most`, into `gone`.
local function take_old_completed(before, most, gone)
  for _ = 1, most do
    local tail = redis.call('LINDEX', completed, -1)
    local record = tail and redis.call('HGET', jobs, tail)
    if not tail or (record and since_of(record) >= before) then return end
    redis.call('RPOP', completed)
    gone[#gone + 1] = tail
  end
end

-- Completed jobs with a time of their own stand apart, and are forgotten in its order. Forgets up to `most` of them.
local function forget_kept(most)
  local over = redis.call('ZRANGEBYSCORE', kept, '-inf', now, 'LIMIT', 0, most)
  if #over > 0 then redis.call('ZREM', kept, unpack(over)) end
  forget(over)
end

-- Put those that have one there; returns the others.
local function keep_apart(ids, own_time)
  local apart, others = {}, {}
  for _, id in ipairs(ids) do
    if own_time[id] then
      apart[#apart + 1], apart[#apart + 2] = own_time[id], id
    else
      others[#others + 1] = id
    end
  end
  redis.call('ZADD', kept, unpack(apart))
  forget_kept(#apart)
  return others
end

local function shelve_failed(ids)
  if #ids == 0 then return end
  redis.call('HINCRBY', counters, 'failed', #ids)
  tell('fail', ids)
  -- what is to be forwarded comes on its shelf when the other queue has it, so that nothing forgets it before
  if setting.dead_letter ~= '' then return add_now(forwarding, ids) end
  shelve(failed, ids, setting.keep_failed, setting.keep_failed_seconds)
end

local function shelve_cancelled(ids)
  if #ids == 0 then return end
  redis.call('HINCRBY', counters, 'cancelled', #ids)
  tell('cancel', ids)
  shelve(cancelled, ids, setting.keep_failed, setting.keep_failed_seconds)
end

-- Failures are kept one after the other, the newest last: ms 6, length of the worker's id 1, the id, bytes (which begin with
-- their own length). The oldest go when all would weigh too much, so many that half of the room is free again.
local FAILURES_BYTES = 32768
local function keep_failure(id, bytes, worker)
  local earlier = redis.call('HGET', errors, id) or ''
  if #earlier + #bytes > FAILURES_BYTES then
    local from = 1
    while from <= #earlier and #earlier - from + 1 + #bytes > FAILURES_BYTES / 2 do
      local length_at = from + 7 + string.byte(earlier, from + 6)
      from = length_at + 4 + struct.unpack('>I4', earlier, length_at)
    end
    earlier = string.sub(earlier, from)
  end
  worker = string.sub(worker, 1, 255)
  redis.call('HSET', errors, id, earlier .. struct.pack('>I6B', now, #worker) .. worker .. bytes)
end

-- What else happens when a job ends: its deduplication key is free, and whoever waits for it is told.
local function ended(id, extension, channel)
  if extension and extension.k and extension.m ~= 'throttle' then
    local entry = redis.call('HGET', dedup, extension.k)
    if entry and string.match(entry, '^(%S+) ') == id then
      redis.call('HDEL', dedup, extension.k)
      redis.call('ZREM', dedup_until, extension.k)
    end
  end
  if redis.call('SREM', awaited, id) == 1 then redis.call('PUBLISH', channel, id) end
end
