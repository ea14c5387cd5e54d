-- list_active: a page of the jobs that some workers run, worker by worker. Reads only; what one worker holds is looked at as a
-- whole, and no worker behind the page.
--
-- KEYS[1] jobs      hash  id -> record
-- KEYS[2] results   hash  id -> bytes
-- KEYS[3] errors    hash  id -> bytes
-- KEYS[4] progress  hash  id -> bytes
-- KEYS[5..] active  hash  id -> attempt, one a worker, in the order of ARGV
-- ARGV[1] start   how many to leave out
-- ARGV[2] limit   how many to give
-- ARGV[3..] worker
-- returns {ids looked at, {id, record, result or false, error or false, progress or false, worker, ...}}
local start, limit = tonumber(ARGV[1]), tonumber(ARGV[2])
local jobs, results, errors, progress = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
--@include _page
local looked = 0
for n = 3, #ARGV do
  local active = KEYS[n + 2]
  local held = redis.call('HLEN', active)
  if start >= held then
    start = start - held
  else
    local ids = redis.call('HKEYS', active)
    for i = start + 1, math.min(#ids, start + limit - looked) do
      local id = ids[i]
      looked = looked + 1
      local record = redis.call('HGET', jobs, id)
      if record then
        show(id, record)
        page[#page + 1] = ARGV[n]
      end
    end
    start = 0
    if looked == limit then break end
  end
end
return {looked, page}
