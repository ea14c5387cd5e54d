-- drain: from this call on the named workers are given nothing more, until the mark runs out: whoever wants them drained says
-- so again in time, so that they go on when nobody does any more. Their busy counts come back from the same instant, so that
-- a worker with none can be ended safely.
--
-- KEYS[1] draining  zset  worker by ms at which its mark runs out
-- KEYS[2] workers   zset  worker by end of lease, ms
-- KEYS[3..] active  hash  id -> attempt, one a worker, in the order of ARGV
-- ARGV[1] lasts     ms from now
-- ARGV[2..] worker
-- returns {jobs held | -1 no such worker, ...}
--@include _record
local draining, workers = KEYS[1], KEYS[2]
local runs_out = now_ms() + tonumber(ARGV[1])
local answer = {}
for i = 2, #ARGV do
  local worker = ARGV[i]
  if redis.call('ZSCORE', workers, worker) then
    redis.call('ZADD', draining, runs_out, worker)
    answer[i - 1] = redis.call('HLEN', KEYS[i + 1])
  else
    answer[i - 1] = -1
  end
end
return answer
