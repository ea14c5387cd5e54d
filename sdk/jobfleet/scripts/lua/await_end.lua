#!lua flags=allow-oom
-- await_end: look at a job, and if it has not ended, have its end told to the channel of the queue's ends.
--
-- KEYS[1] jobs      hash  id -> record
-- KEYS[2] results   hash  id -> bytes
-- KEYS[3] errors    hash  id -> bytes
-- KEYS[4] progress  hash  id -> bytes
-- KEYS[5] awaited   set   ids
-- ARGV[1] id
-- returns {record, result or false, error or false, progress or false}, or false: no such job
--@include _record
local record = redis.call('HGET', KEYS[1], ARGV[1])
if not record then return false end
local state = string.byte(record)
if state ~= COMPLETED and state ~= FAILED and state ~= CANCELLED then redis.call('SADD', KEYS[5], ARGV[1]) end
return {record, redis.call('HGET', KEYS[2], ARGV[1]), redis.call('HGET', KEYS[3], ARGV[1]), redis.call('HGET', KEYS[4], ARGV[1])}
