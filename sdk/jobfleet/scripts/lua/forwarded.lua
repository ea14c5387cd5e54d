#!lua flags=allow-oom
-- forwarded: the dead-letter queue has these jobs; from now on they are kept here as all failed jobs are.
--
-- KEYS[1..44]  the queue, as in _queue.lua
-- KEYS[45] audit  stream
-- ARGV[1] by      who and why, as in _audit.lua; empty: nobody asked for it
-- ARGV[2..] two a job: id, when it failed, ms; where it has been tried again and failed again since, it has to go once more
-- returns how many were on their way
--@include _record
--@include _queue
--@include _shelf
--@include _audit
local there = {}
for n = 2, #ARGV, 2 do
  local id = ARGV[n]
  local record = redis.call('HGET', jobs, id)
  if record and string.byte(record) == FAILED and since_of(record) == tonumber(ARGV[n + 1]) then
    if redis.call('ZREM', forwarding, id) == 1 then there[#there + 1] = id end
  end
end
if #there > 0 and ARGV[1] ~= '' then
  audit(KEYS[QUEUE_KEYS + 1], setting.audit, ARGV[1], 'forward', #there, some(there))
end
shelve(failed, there, setting.keep_failed, setting.keep_failed_seconds)
return #there
