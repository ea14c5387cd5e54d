-- note: a running attempt tells its progress, or adds lines to its log; refused when its worker no longer holds it.
--
-- KEYS[1] active    hash  id -> attempt, of this worker alone
-- KEYS[2] progress  hash  id -> bytes
-- KEYS[3] logs      hash  id -> lines
-- ARGV[1] id
-- ARGV[2] attempt
-- ARGV[3] progress  bytes; empty: not told
-- ARGV[4] lines     text that ends with a line feed; empty: none
-- ARGV[5] limit     bytes that a job's log may have; the older half goes when it is over
-- returns 1, or 0: refused
local active, progress, logs = KEYS[1], KEYS[2], KEYS[3]
if redis.call('HGET', active, ARGV[1]) ~= ARGV[2] then return 0 end
if ARGV[3] ~= '' then redis.call('HSET', progress, ARGV[1], ARGV[3]) end
if ARGV[4] ~= '' then
  local text, limit = (redis.call('HGET', logs, ARGV[1]) or '') .. ARGV[4], tonumber(ARGV[5])
  if #text > limit then
    text = string.sub(text, -math.floor(limit / 2))
    text = string.sub(text, (string.find(text, '\n', 1, true) or 0) + 1)
  end
  redis.call('HSET', logs, ARGV[1], text)
end
return 1
