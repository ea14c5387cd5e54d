#!lua flags=allow-oom
-- reclaim: the jobs of a worker that died go back to the head of their lines, in their order; a job that has lost more leases than
-- allowed is poison and fails. Where the lease still runs, nothing happens unless the caller knows the worker dead.
--
-- KEYS[1..44]         the queue, as in _queue.lua
-- KEYS[45] audit      stream
-- KEYS[46] active     hash  id -> attempt, of the dead worker
-- ARGV[1] worker
-- ARGV[2] known dead  1: whatever its lease says; 0: only if its lease ended
-- ARGV[3] error       bytes kept with a job that fails as poison
-- ARGV[4] channel     where the operator listens
-- ARGV[5] address     realm/queue
-- ARGV[6] ends        channel where the end of a job is told to those who wait for it
-- ARGV[7] lost        bytes kept with a job that goes back
-- ARGV[8] by          who and why, as in _audit.lua; empty: a worker or the operator found the lease over, which is no one's act
-- returns jobs taken from it, or -1: its lease still runs
--@include _record
--@include _queue
--@include _wake
--@include _group
--@include _line
--@include _shelf
--@include _circuit
--@include _audit
local active, worker = KEYS[QUEUE_KEYS + 2], ARGV[1]
local lease = redis.call('ZSCORE', workers, worker)
if ARGV[2] == '0' and lease and tonumber(lease) > now then return -1 end
local mine = {}
for _, id in ipairs(redis.call('HKEYS', active)) do
  local record = redis.call('HGET', jobs, id)
  if record and string.byte(record) == ACTIVE then
    local _, _, _, _, _, enqueued, _, started = unpack_header(record)
    mine[#mine + 1] = {id = id, record = record, started = started, enqueued = enqueued}
  end
end
-- Each goes to the head of its line, so the one that was handed out first goes last.
table.sort(mine, function(a, b)
  if a.started ~= b.started then return a.started > b.started end
  if a.enqueued ~= b.enqueued then return a.enqueued > b.enqueued end
  return a.id > b.id
end)
local returned, poison, called_off = {}, {}, {}
for _, job in ipairs(mine) do
  local id, record = job.id, job.record
  local _, priority, attempt, failures, lost, enqueued, _, started = unpack_header(record)
  local extension = extension_of(record)
  lost = math.min(lost + 1, 255)
  local state = WAITING
  if extension and extension.g then group_leave(extension.g) end
  if guarded then weigh(extension, 'return', false, record, '') end
  if redis.call('SREM', cancelling, id) == 1 then
    state = CANCELLED
    called_off[#called_off + 1] = id
  elseif lost > setting.max_deliveries then
    state = FAILED
    poison[#poison + 1] = id
    keep_failure(id, ARGV[3], worker)
  else
    returned[#returned + 1] = id
    keep_failure(id, ARGV[7], worker)
    put_first(id, priority, extension)
  end
  if state ~= WAITING then ended(id, extension, ARGV[6]) end
  redis.call('HSET', jobs, id, with_header(record, state, priority, attempt, failures, lost, enqueued, now, started))
end
redis.call('DEL', active)
redis.call('ZREM', workers, worker)
redis.call('HDEL', info, worker)
redis.call('HDEL', busy, worker)
redis.call('ZREM', draining, worker)
if guarded then settle_circuits() end
local total = #returned + #poison + #called_off
if total > 0 then
  redis.call('HINCRBY', counters, 'active', -total)
  redis.call('HINCRBY', counters, 'reclaimed', total)
  if ARGV[8] ~= '' then audit(KEYS[QUEUE_KEYS + 1], setting.audit, ARGV[8], 'reclaim', total, worker) end
end
shelve_failed(poison)
shelve_cancelled(called_off)
if #returned > 0 then
  tell('reclaim', returned)
  more_wait(counters, #returned, ARGV[4], ARGV[5])
  wake_worker(wake)
end
return total
