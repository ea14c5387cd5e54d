#!lua flags=allow-oom
-- drain: from this call on the named workers are given nothing more, until the mark runs out: whoever wants them drained says
-- so again in time, so that they go on when nobody does any more. Their busy counts come back from the same instant, so that
-- a worker with none can be ended safely. A name that a worker will have is marked ahead: the worker is given nothing from its
-- first heartbeat on.
--
-- KEYS[1] draining  zset  worker or name by ms at which its mark runs out
-- KEYS[2] workers   zset  worker by end of lease, ms
-- KEYS[3] config    hash
-- KEYS[4] audit     stream
-- KEYS[5..] active  hash  id -> attempt, one a worker, in the order of ARGV
-- ARGV[1] lasts     ms from now
-- ARGV[2] by        who and why, as in _audit.lua
-- ARGV[3..] worker or name
-- returns {jobs held | -1 no such worker, ...}
--@include _record
--@include _audit
local draining, workers = KEYS[1], KEYS[2]
local now = now_ms()
local answer, told = {}, {}
redis.call('ZREMRANGEBYSCORE', draining, '-inf', now)
for i = 3, #ARGV do
  local worker = ARGV[i]
  if redis.call('ZADD', draining, now + tonumber(ARGV[1]), worker) == 1 then told[#told + 1] = worker end
  answer[i - 2] = redis.call('ZSCORE', workers, worker) and redis.call('HLEN', KEYS[i + 2]) or -1
end
if #told > 0 then audit(KEYS[4], audit_bound(KEYS[3]), ARGV[2], 'drain', #told, some(told)) end
return answer
