-- A page of jobs, whole: five values a job. Uses jobs, results, errors and progress, which are keys.
local page = {}
local function show(id, record)
  local n = #page
  page[n + 1], page[n + 2], page[n + 3] = id, record, redis.call('HGET', results, id)
  page[n + 4], page[n + 5] = redis.call('HGET', errors, id), redis.call('HGET', progress, id)
end
