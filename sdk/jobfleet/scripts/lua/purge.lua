#!lua flags=allow-oom
-- purge: delete a queue with all that is in it but its audit, which outlives it by 90 days, or until it is used again. The
-- memory is given back in the background.
--
-- KEYS[1]  jobs    hash  (counted, then deleted)
-- KEYS[2]  config  hash
-- KEYS[3]  audit   stream
-- KEYS[4..]        every other key of the queue
-- ARGV[1] by       who and why, as in _audit.lua
-- returns jobs removed
--@include _audit
local AUDIT_SECONDS = 90 * 86400
local removed, keep = redis.call('HLEN', KEYS[1]), audit_bound(KEYS[2])
local existed = redis.call('UNLINK', KEYS[1], KEYS[2])
for n = 4, #KEYS do existed = existed + redis.call('UNLINK', KEYS[n]) end -- one by one: two keys a worker are not few
if existed > 0 then
  audit(KEYS[3], keep, ARGV[1], 'purge', removed, '')
  redis.call('EXPIRE', KEYS[3], AUDIT_SECONDS)
end
return removed
