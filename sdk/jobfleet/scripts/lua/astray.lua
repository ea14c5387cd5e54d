-- astray: a page of the jobs that may have gone astray; call again with the cursor until it is 0. Reads only.
--
-- KEYS[1..44]    the queue, as in _queue.lua
-- ARGV[1] cursor 0 at first
-- ARGV[2] limit  jobs looked at in one call, more or less
-- returns {cursor, {id of a waiting job, "priority:group" of the line in which it should stand, ...},
--          {id, ...}: delayed, failed and cancelled jobs that are not in the set of their state}
--@include _record
--@include _queue
local page = redis.call('HSCAN', jobs, ARGV[1], 'COUNT', tonumber(ARGV[2]))
local waiting, unlisted = {}, {}
for i = 1, #page[2], 2 do
  local id, record = page[2][i], page[2][i + 1]
  local state = string.byte(record)
  if state == WAITING then
    local extension = extension_of(record)
    waiting[#waiting + 1] = id
    waiting[#waiting + 1] = string.byte(record, 2) % 128 .. ':' .. (extension and extension.g or '')
  elseif (state == DELAYED and not redis.call('ZSCORE', delayed, id))
    or (state == FAILED and not redis.call('ZSCORE', failed, id) and not redis.call('ZSCORE', forwarding, id))
    or (state == CANCELLED and not redis.call('ZSCORE', cancelled, id)) then
    unlisted[#unlisted + 1] = id
  end
end
return {page[1], waiting, unlisted}
