-- read_audit: the newest entries of the audit. Reads only.
--
-- KEYS[1] audit  stream, as in _audit.lua
-- ARGV[1] count
-- returns {{id, {field, value, ...}}, ...}, the newest first
return redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', ARGV[1])
