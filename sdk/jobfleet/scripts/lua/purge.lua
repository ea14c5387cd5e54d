-- purge: delete a queue with all that is in it. The memory is given back in the background.
--
-- KEYS[1]  jobs  hash  (counted, then deleted)
-- KEYS[2..]      every other key of the queue
-- returns jobs removed
local removed = redis.call('HLEN', KEYS[1])
redis.call('UNLINK', unpack(KEYS))
return removed
