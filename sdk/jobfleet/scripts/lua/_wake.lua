-- One token at most lies on the wake list: whoever takes it claims, and a claim that leaves work behind lays it down
-- again (a baton, so that one enqueue wakes one worker and a backlog wakes them all, one after the other).
local function wake_worker(wake)
  if redis.call('LLEN', wake) == 0 then redis.call('RPUSH', wake, '1') end
end

-- So many more jobs wait. A queue that was empty tells the operator, who may have no worker there.
local function more_wait(counters, jobs, channel, address)
  if redis.call('HINCRBY', counters, 'waiting', jobs) == jobs then redis.call('PUBLISH', channel, address) end
end
