-- holder: which of some workers runs a job. Reads only; as many steps as there are workers.
--
-- KEYS[1..]  hash  id -> attempt, one a worker, in the order of ARGV
-- ARGV[1] id
-- ARGV[2..] worker
-- returns worker, or '': none of them
for n = 2, #ARGV do
  if redis.call('HEXISTS', KEYS[n - 1], ARGV[1]) == 1 then return ARGV[n] end
end
return ''
