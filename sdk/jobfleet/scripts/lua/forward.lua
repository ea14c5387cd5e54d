-- forward: take failed jobs that are on their way to the dead-letter queue, to carry them there. Who takes them has them to
-- himself for a while; where he does not come back with forwarded, another takes them.
--
-- KEYS[1..44]    the queue, as in _queue.lua
-- ARGV[1] limit  jobs in one call
-- ARGV[2] lease  ms for which no other takes them
-- returns {dead-letter queue, {id, record, error or false, ...}}; where there is none any more, {'', {}}: what was on its way
--         is kept here, as all failed jobs are
--@include _record
--@include _queue
--@include _shelf
local ids = redis.call('ZRANGEBYSCORE', forwarding, '-inf', now, 'LIMIT', 0, tonumber(ARGV[1]))
if setting.dead_letter == '' then
  if #ids > 0 then redis.call('ZREM', forwarding, unpack(ids)) end
  shelve(failed, ids, setting.keep_failed, setting.keep_failed_seconds)
  return {'', {}}
end
local letters, until_ms = {}, now + tonumber(ARGV[2])
for _, id in ipairs(ids) do
  redis.call('ZADD', forwarding, until_ms, id)
  letters[#letters + 1] = id
  letters[#letters + 1] = redis.call('HGET', jobs, id) or ''
  letters[#letters + 1] = redis.call('HGET', errors, id)
end
return {redis.call('HGET', config, 'dead_letter'), letters}
