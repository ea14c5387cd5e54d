-- read_log: the log of a job, which is small. Reads only.
--
-- KEYS[1] logs  hash  id -> bytes, as in note.lua
-- ARGV[1] id
-- returns bytes, or false: none
return redis.call('HGET', KEYS[1], ARGV[1])
