-- Who did what to a queue: the stream "audit", which only the verbs of people and of the operator declare. They append to it in
-- the call that acts, so that no act goes without its entry, and none is told that did not happen.
--
-- `by` is what Author.packed in audit.py makes: who, why, and further words about what, a line each; then '+' where this call
-- goes on with what the same author's last one began: that is one act, and its entry is written anew with the sum.
local NAMED, WHAT_BYTES = 3, 1024

-- The first few of some names.
local function some(names)
  local text = table.concat(names, ' ', 1, math.min(#names, NAMED))
  return #names > NAMED and text .. ' ...' or text
end

local function audit_bound(config)
  return tonumber(redis.call('HGET', config, 'audit')) or DEFAULT.audit
end

local function newest_of(stream)
  local found = redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)[1]
  if not found then return {} end
  local fields = found[2]
  return {id = found[1], who = fields[2], verb = fields[4], count = tonumber(fields[6]), what = fields[8], why = fields[10]}
end

local function audit(stream, keep, by, verb, count, what)
  local who, why, words, goes_on = string.match(by, '^(.-)\n(.-)\n(.-)\n(%+?)$')
  if words ~= '' then what = what == '' and words or words .. ': ' .. what end
  if goes_on == '+' then
    local begun = newest_of(stream)
    if begun.who == who and begun.why == why and begun.verb == verb and string.sub(begun.what, 1, #words) == words then
      redis.call('XDEL', stream, begun.id)
      count = count + begun.count
      what = string.sub(begun.what, -4) == ' ...' and begun.what or begun.what .. ' ...'
    end
  end
  what = string.sub(what, 1, WHAT_BYTES)
  redis.call('XADD', stream, 'MAXLEN', keep, '*', 'who', who, 'verb', verb, 'count', count, 'what', what, 'why', why)
  redis.call('PERSIST', stream) -- a purge lets it end some day
end
