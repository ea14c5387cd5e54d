-- drain: from this call on the named workers are given nothing more. Their busy counts come back from the same instant, so
-- that a worker with none can be ended safely.
--
-- KEYS[1] draining  set
-- KEYS[2] workers   zset  worker by end of lease, ms
-- KEYS[3..] active  hash  id -> attempt, one a worker, in the order of ARGV
-- ARGV[1..] worker
-- returns {jobs held | -1 no such worker, ...}
local draining, workers = KEYS[1], KEYS[2]
local answer = {}
for i, worker in ipairs(ARGV) do
  if redis.call('ZSCORE', workers, worker) then
    redis.call('SADD', draining, worker)
    answer[i] = redis.call('HLEN', KEYS[2 + i])
  else
    answer[i] = -1
  end
end
return answer
