-- read_log: the log lines of a job. Reads only.
--
-- KEYS[1] logs  hash  id -> lines
-- ARGV[1] id
-- returns text, or false: none
return redis.call('HGET', KEYS[1], ARGV[1])
