-- Lua's stack has room for some 8,000 values, and a script that dies of more leaves what it wrote before half done. So what has
-- no small bound is passed on in parts. Where `unpack` stands without, few values are sure: what one exchange brings (at most
-- 1,000 outcomes and 1,000 jobs; a claim writes fewer than 2,000 records), one batch of an enqueue, one page, all settings.
local PART = 4000 -- even, as fields and values come in pairs

local function in_parts(command, key, values)
  for first = 1, #values, PART do
    redis.call(command, key, unpack(values, first, math.min(first + PART - 1, #values)))
  end
end
