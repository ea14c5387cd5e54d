-- promote: delayed jobs whose time has come go to the end of their lines; what no worker is there to do, the operator does.
--
-- KEYS[1] jobs      hash
-- KEYS[2] counters  hash
-- KEYS[3] delayed   zset  id by due ms
-- KEYS[4] wake      list
-- KEYS[5..14] lines list  waiting, priority 1 to 10
-- ARGV[1] limit     jobs in one call
-- returns how many moved
--@include _record
--@include _promote
--@include _wake
local jobs, counters, delayed, wake = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local moved = promote_due(now_ms(), tonumber(ARGV[1]), jobs, delayed, counters, function(priority) return KEYS[4 + priority] end)
if moved > 0 then wake_worker(wake) end
return moved
