#!lua flags=allow-oom
-- heartbeat: a worker renews its lease, says how it is, and learns what it holds.
--
-- KEYS[1] workers   zset  worker by end of lease, ms
-- KEYS[2] info      hash  worker -> bytes
-- KEYS[3] draining  zset  worker or name by ms at which its mark runs out
-- KEYS[4] busy      hash  worker -> jobs it holds
-- KEYS[5] active    hash  id -> attempt, of this worker alone
-- KEYS[6] forwarding  zset  failed, on their way to the dead-letter queue
-- KEYS[7] config      hash
-- ARGV[1] worker
-- ARGV[2] lease     ms from now
-- ARGV[3] info      bytes: name, pool, slots, packed by the worker
-- ARGV[4] name      what the worker is called; with its first heartbeat it takes over a mark that its name has
-- Where its own lease had ended, it is told of no others': whatever held it up may have held them up too.
-- returns {draining (0|1), {id, attempt, ...} held by this worker, {worker whose lease ended, ...} at most ten,
--          failed jobs to be carried to the dead-letter queue, whether what runs is to come back (0|1)}
--@include _record
local workers, info, draining, busy, active = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local worker = ARGV[1]
local now = now_ms()
local pause = redis.call('HMGET', KEYS[7], 'paused', 'return_running')
local lease = redis.call('ZSCORE', workers, worker)
local overdue = {}
if not lease or tonumber(lease) > now then
  overdue = redis.call('ZRANGEBYSCORE', workers, '-inf', now, 'LIMIT', 0, 10)
end
if not lease then
  local marked = redis.call('ZSCORE', draining, ARGV[4])
  if marked then redis.call('ZADD', draining, marked, worker) end
end
redis.call('ZADD', workers, now + tonumber(ARGV[2]), worker)
redis.call('HSET', info, worker, ARGV[3])
redis.call('HSET', busy, worker, redis.call('HLEN', active))
return {
  tonumber(redis.call('ZSCORE', draining, worker) or 0) > now and 1 or 0,
  redis.call('HGETALL', active),
  overdue,
  redis.call('ZCOUNT', KEYS[6], '-inf', now),
  (pause[1] == '1' and pause[2] == '1') and 1 or 0,
}
