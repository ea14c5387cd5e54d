-- promote: delayed jobs whose time has come go to the end of their lines; what no worker is there to do, the operator does.
--
-- KEYS[1..44]       the queue, as in _queue.lua
-- ARGV[1] limit     jobs in one call
-- returns how many moved
--@include _record
--@include _queue
--@include _wake
--@include _group
--@include _line
--@include _promote
local moved = promote_due(tonumber(ARGV[1]))
if moved > 0 then wake_worker(wake) end
return moved
