-- record: append to the audit what was done outside of Redis. The same entry twice in a row is one call that was repeated
-- after a lost answer.
--
-- KEYS[1] audit   stream
-- KEYS[2] config  hash
-- ARGV[1] by      who and why, as in _audit.lua
-- ARGV[2] verb
-- ARGV[3] count   how many workers it is about
-- ARGV[4] what
-- returns 1, or 0: it was there
--@include _audit
local newest = newest_of(KEYS[1])
local who, why = string.match(ARGV[1], '^(.-)\n(.-)\n')
if newest.who == who and newest.why == why and newest.verb == ARGV[2] and newest.what == ARGV[4] then return 0 end
audit(KEYS[1], audit_bound(KEYS[2]), ARGV[1], ARGV[2], ARGV[3], ARGV[4])
return 1
