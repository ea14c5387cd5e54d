#!lua flags=allow-oom
-- promote: delayed jobs whose time has come go to the end of their lines; what no worker is there to do, the operator does.
--
-- KEYS[1..44]       the queue, as in _queue.lua
-- ARGV[1] limit     jobs in one call, at most 1,000
-- returns how many moved
--@include _record
--@include _queue
--@include _wake
--@include _group
local limit = math.min(tonumber(ARGV[1]), 1000)
--@include _promote
if #moved > 0 then wake_worker(wake) end
return #moved
