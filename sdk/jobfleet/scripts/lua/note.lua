-- note: a running attempt tells its progress, or adds lines to its log; refused when its worker no longer holds it.
-- Lines that come a second time, after a lost answer, are taken once.
--
-- KEYS[1] active    hash  id -> attempt, of this worker alone
-- KEYS[2] progress  hash  id -> bytes
-- KEYS[3] logs      hash  id -> number of the first line kept 4, attempt that told last 3, lines it has told 4 (big-endian); lines
-- ARGV[1] id
-- ARGV[2] attempt
-- ARGV[3] progress  bytes; empty: not told
-- ARGV[4] lines     text that ends with a line feed; empty: none
-- ARGV[5] first     the number of the first of these lines, from 0, within the attempt
-- ARGV[6] limit     bytes that a job's log may have; the older half goes when it is over
-- returns 1, or 0: refused
local HEAD, TEXT_AT = '>I4I3I4', 12
local active, progress, logs = KEYS[1], KEYS[2], KEYS[3]
if redis.call('HGET', active, ARGV[1]) ~= ARGV[2] then return 0 end
if ARGV[3] ~= '' then redis.call('HSET', progress, ARGV[1], ARGV[3]) end

local function lines_in(text)
  return select(2, string.gsub(text, '\n', ''))
end

local attempt, fresh, first, limit = tonumber(ARGV[2]), ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6])
local kept = redis.call('HGET', logs, ARGV[1])
local from, by, told, text = 0, attempt, 0, ''
if kept and fresh ~= '' then
  from, by, told = struct.unpack(HEAD, kept)
  text = string.sub(kept, TEXT_AT)
  if by ~= attempt then told = 0 end
end
while first < told and fresh ~= '' do
  fresh = string.sub(fresh, string.find(fresh, '\n', 1, true) + 1)
  first = first + 1
end
if fresh ~= '' then
  if first > told then from, text = from + lines_in(text) + first - told, '' end -- some were lost on their way: no gaps
  text = text .. fresh
  if #text > limit then
    local cut = #text - math.floor(limit / 2)
    cut = string.find(text, '\n', cut, true) or #text
    from = from + lines_in(string.sub(text, 1, cut))
    text = string.sub(text, cut + 1)
  end
  redis.call('HSET', logs, ARGV[1], struct.pack(HEAD, from, attempt, first + lines_in(fresh)) .. text)
end
return 1
