-- waiting_groups: some of the groups that have waiting jobs; call again with the cursor until it is 0. Reads only.
--
-- KEYS[1] group_wait  hash  by group
-- ARGV[1] cursor      0 at first
-- returns {cursor, {group, ...}}: each group at least once; which come or go meanwhile, perhaps
local answer = redis.call('HSCAN', KEYS[1], ARGV[1], 'COUNT', 100)
local groups = {}
for i = 1, #answer[2], 2 do groups[#groups + 1] = answer[2][i] end
return {tonumber(answer[1]), groups}
