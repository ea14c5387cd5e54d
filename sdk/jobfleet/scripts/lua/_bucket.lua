-- A token bucket: `size` tokens at most, refilled evenly over `period` ms. Returns what is in it now.
local function tokens_now(text, size, period)
  local tokens, at = size, now
  if text then
    local a, b = string.match(text, '^(%S+) (%S+)$')
    tokens, at = tonumber(a), tonumber(b)
  end
  return math.min(size, tokens + math.max(0, now - at) * size / period)
end

-- When a bucket with `tokens` in it will have a whole one, ms.
local function next_token(tokens, size, period)
  return now + math.max(1, math.ceil((1 - tokens) * period / size))
end
