-- mend: put jobs that went astray where jobs of their state stand. One that waits in a line after all comes to stand there twice,
-- which does no harm: the first brings the job, the second is stepped over.
--
-- KEYS[1..44]     the queue, as in _queue.lua
-- KEYS[45] audit  stream
-- ARGV[1] by      who and why, as in _audit.lua
-- ARGV[2..] id
-- returns how many were put somewhere: jobs that run, have completed or are unknown are left out
--@include _record
--@include _queue
--@include _wake
--@include _group
--@include _line
--@include _audit
local mended = {}
local set_of = {[DELAYED] = delayed, [FAILED] = setting.dead_letter ~= '' and forwarding or failed, [CANCELLED] = cancelled}
for n = 2, #ARGV do
  local id = ARGV[n]
  local record = redis.call('HGET', jobs, id)
  local state = string.byte(record or '')
  if state == WAITING then
    put_last(id, string.byte(record, 2), extension_of(record))
    mended[#mended + 1] = id
  elseif set_of[state] and redis.call('ZADD', set_of[state], 'NX', since_of(record), id) == 1 then
    mended[#mended + 1] = id
  end
end
if #mended > 0 then
  audit(KEYS[QUEUE_KEYS + 1], setting.audit, ARGV[1], 'mend', #mended, some(mended))
  wake_worker(wake)
end
return #mended
