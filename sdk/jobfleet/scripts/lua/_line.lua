-- Where a waiting job stands: at the end or the head of its priority's line, or of its group's.
local function put_last(id, priority, extension)
  if extension and extension.g then return group_put(id, priority % 128, extension.g, false) end
  redis.call('RPUSH', KEYS[priority % 128], id)
end

local function put_first(id, priority, extension)
  if extension and extension.g then return group_put(id, priority % 128, extension.g, true) end
  redis.call('LPUSH', KEYS[priority % 128], id)
end
