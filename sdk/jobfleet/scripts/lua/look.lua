-- look: one job, whole. Reads only.
--
-- KEYS[1] jobs      hash  id -> record
-- KEYS[2] results   hash  id -> bytes
-- KEYS[3] errors    hash  id -> bytes
-- KEYS[4] progress  hash  id -> bytes
-- ARGV[1] id
-- returns {record, result or false, error or false, progress or false}, or false: no such job
local record = redis.call('HGET', KEYS[1], ARGV[1])
if not record then return false end
return {record, redis.call('HGET', KEYS[2], ARGV[1]), redis.call('HGET', KEYS[3], ARGV[1]), redis.call('HGET', KEYS[4], ARGV[1])}
