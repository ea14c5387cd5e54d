#!lua flags=allow-oom
-- settle_and_claim: take the results of finished jobs and hand out new ones, in one round trip.
-- An outcome counts only while this worker still holds the job at that attempt (its field in "active"): the fence.
--
-- KEYS[1..44]          the queue, as in _queue.lua
-- KEYS[45] active      hash  id -> attempt, of this worker alone
-- ARGV[1] worker
-- ARGV[2] want         free slots to fill, at most 1,000 in one call; 0: settle only
-- ARGV[3] lease        ms that the worker's lease lasts from now
-- ARGV[4] channel      where the end of a job is told to those who wait for it
-- ARGV[5] error        bytes kept with a job that waited too long
-- ARGV[6] outcomes     empty, or a MessagePack array, five an outcome, at most 1,000 of them: id, attempt, verdict (complete |
--                      retry | fail | return | snooze | limit | cancel), delay in ms (retry, snooze: until the next attempt;
--                      limit: for how long nothing is handed out), and which of the bytes belong to it, from 1, or 0
-- ARGV[7] blameless    empty, or a MessagePack array: the outcomes, from 1, whose failure says nothing of what handlers depend on
-- ARGV[8..] bytes      complete: result; retry, fail: failure
-- returns {now ms, next due ms or 0, hold (0 | 1 paused | 2 draining | 3 paused, and what runs is
--          to come back | 4 the circuit lets nothing more through now), again (1: more may be had at once),
--          resume ms at which a limit lets more through or 0, {refused id, ...},
--          MessagePack array, five a job: id, attempt, failures, lost, enqueued ms, {body, ...}}
--@include _record
--@include _queue
local active = KEYS[QUEUE_KEYS + 1]
local MOST = 1000 -- see _parts.lua
local worker, want, lease, channel, expired_error = ARGV[1], math.min(tonumber(ARGV[2]), MOST), tonumber(ARGV[3]), ARGV[4], ARGV[5]
local BYTES = 7
local SWEEP_MS = 10000 -- an idle worker looks about as often
local now_bytes = time_bytes(now)
local outcomes = ARGV[6] ~= '' and cmsgpack.unpack(ARGV[6]) or {}
if #outcomes > 5 * MOST then return redis.error_reply('more than 1,000 outcomes in one call') end
local blameless
if ARGV[7] ~= '' then
  blameless = {}
  for _, n in ipairs(cmsgpack.unpack(ARGV[7])) do blameless[n] = true end
end
local let_through, whole = math.huge, nil -- by the queue's circuit; which it is, where it is not closed
local refused, gone = {}, {}
local taken, bodies, claimed, again, resume = {}, {}, {}, 0, 0
-- Each call makes its functions anew, and that is most of what a call about one job costs: so what it may not need is included
-- where it is needed.
--@include _wake
--@include _group
--@include _circuit
if #outcomes > 0 then
--@include _settle
end
local hold = 0
if setting.paused == 1 and setting.return_running == 1 then hold = 3
elseif tonumber(redis.call('ZSCORE', draining, worker) or 0) > now then hold = 2
elseif setting.paused == 1 then hold = 1 end
redis.call('ZADD', workers, now + lease, worker)
local blocked_until, swept = unpack(redis.call('HMGET', counters, 'blocked_until', 'swept'))
blocked_until = tonumber(blocked_until or 0)
if guarded and not by_group then let_through, whole = admitted('') end
if hold == 0 and let_through == 0 then
  hold = 4
  if whole.half == 0 then blocked_until = math.max(blocked_until, whole.ends) end
end
if want > 0 then -- also where they must wait: a worker comes back when the next one is due
  local limit = want + 100
--@include _promote
end
if blocked_until > now then
  resume = blocked_until
elseif want > 0 and hold == 0 then
--@include _claim
end
if #gone > 0 or #claimed > 0 then redis.call('HSET', busy, worker, redis.call('HLEN', active)) end
if want > 0 and #gone == 0 and #claimed == 0 and now - tonumber(swept or 0) >= SWEEP_MS
  and redis.call('EXISTS', completed, failed, cancelled, kept) > 0 then
--@include _sweep
end
-- a worker that could not take all, or may take nothing, lays the token down for another; where nobody may, nobody does
local left_over = resume == 0 and let_through > #claimed and (hold == 2 or (hold == 0 and (#claimed == want or again == 1)))
if left_over and count('waiting') > 0 and (setting.max_active == 0 or count('active') < setting.max_active) then wake_worker(wake) end
local next_due = redis.call('ZRANGE', delayed, 0, 0, 'WITHSCORES')[2]
local heads = #taken > 0 and cmsgpack.pack(taken) or '\144' -- an empty table would be packed as a map
return {now, tonumber(next_due or 0), hold, again, resume, refused, heads, bodies}
