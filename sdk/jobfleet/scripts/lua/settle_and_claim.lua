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
local worker, want, lease = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local now = now_ms()
local settings = redis.call('HMGET', config, 'paused', 'keep_completed', 'keep_completed_seconds', 'keep_failed', 'keep_failed_seconds')
local function line_of(priority) return KEYS[LINES + priority] end

--@include _settle
--@include _claim
settle()
local hold = 0
if redis.call('SISMEMBER', draining, worker) == 1 then hold = 2
elseif settings[1] == '1' then hold = 1 end
redis.call('ZADD', workers, now + lease, worker)
if want > 0 and hold == 0 then claim() end
if #gone > 0 or #taken > 0 then redis.call('HSET', busy, worker, redis.call('HLEN', active)) end
-- a worker that could not take all, or may take nothing, lays the token down for another; of a paused queue, nobody does
local left_over = hold == 2 or (hold == 0 and #taken == 6 * want)
if left_over and tonumber(redis.call('HGET', counters, 'waiting') or 0) > 0 then wake_worker(wake) end
local next_due = redis.call('ZRANGE', delayed, 0, 0, 'WITHSCORES')[2]
return {now, tonumber(next_due or 0), hold, again, refused, taken}
