-- reclaim: the jobs of a worker that died go back to the head of their lines; a job that has lost more leases than
-- allowed is poison and fails. Where the lease still runs, nothing happens unless the caller knows the worker dead.
--
-- KEYS[1]  jobs      hash
-- KEYS[2]  counters  hash
-- KEYS[3]  workers   zset  worker by end of lease, ms
-- KEYS[4]  info      hash  worker -> bytes
-- KEYS[5]  draining  set
-- KEYS[6]  busy      hash  worker -> jobs it holds
-- KEYS[7]  active    hash  id -> attempt, of the dead worker
-- KEYS[8]  wake      list
-- KEYS[9]  config    hash
-- KEYS[10] failed    zset  id by ms
-- KEYS[11] errors    hash  id -> bytes
-- KEYS[12] results   hash  id -> bytes
-- KEYS[13..22] lines list  waiting, priority 1 to 10
-- ARGV[1] worker
-- ARGV[2] known dead  1: whatever its lease says; 0: only if its lease ended
-- ARGV[3] error       bytes kept with a job that fails as poison
-- ARGV[4] channel     where the operator listens
-- ARGV[5] address     realm/queue
-- returns jobs taken from it, or -1: its lease still runs
--@include _record
--@include _wake
--@include _failed
local jobs, counters, workers, info, draining, busy = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local active, wake, config, failed, errors, results = KEYS[7], KEYS[8], KEYS[9], KEYS[10], KEYS[11], KEYS[12]
local LINES = 12
local worker = ARGV[1]
local now = now_ms()
local lease = redis.call('ZSCORE', workers, worker)
if ARGV[2] == '0' and lease and tonumber(lease) > now then return -1 end
local settings = redis.call('HMGET', config, 'max_deliveries', 'keep_failed', 'keep_failed_seconds')
local most = tonumber(settings[1] or 3)
local held = redis.call('HGETALL', active)
local returned, poison, total = 0, {}, 0
for i = 1, #held, 2 do
  local id = held[i]
  local record = redis.call('HGET', jobs, id)
  if record and string.byte(record) == ACTIVE then
    total = total + 1
    local _, priority, attempt, failures, lost, enqueued, _, started = unpack_header(record)
    lost = math.min(lost + 1, 255)
    local state = WAITING
    if lost > most then
      state = FAILED
      poison[#poison + 1] = id
      redis.call('HSET', errors, id, ARGV[3])
    else
      returned = returned + 1
      redis.call('LPUSH', KEYS[LINES + priority], id)
    end
    redis.call('HSET', jobs, id, with_header(record, state, priority, attempt, failures, lost, enqueued, now, started))
  end
end
redis.call('DEL', active)
redis.call('ZREM', workers, worker)
redis.call('HDEL', info, worker)
redis.call('HDEL', busy, worker)
redis.call('SREM', draining, worker)
if total > 0 then
  redis.call('HINCRBY', counters, 'active', -total)
  redis.call('HINCRBY', counters, 'reclaimed', total)
end
if #poison > 0 then
  redis.call('HINCRBY', counters, 'failed', #poison)
  shelve_failed(poison, now, tonumber(settings[2] or 10000), tonumber(settings[3] or 2592000), jobs, failed, errors, results)
end
if returned > 0 then
  if redis.call('HINCRBY', counters, 'waiting', returned) == returned then redis.call('PUBLISH', ARGV[4], ARGV[5]) end
  wake_worker(wake)
end
return total
