-- tell: say one word to workers; whoever runs jobs hears it at once.
--
-- KEYS[1..] control  list  what a worker is told, one a worker
-- ARGV[1] word
-- returns how many were told
for _, control in ipairs(KEYS) do
  redis.call('RPUSH', control, ARGV[1])
  redis.call('EXPIRE', control, 60)
end
return #KEYS
