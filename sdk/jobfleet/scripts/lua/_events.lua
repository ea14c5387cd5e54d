-- One event a verb and call, however many jobs it is about. About `keep` events are kept, and fewer of those that are about
-- many jobs: as many as hold some 20 ids for each event of `keep`, so that bulk does not fill Redis with its own news.
local IDS_AN_EVENT = 20
local function add_event(events, keep, verb, ids)
  if #ids == 0 or keep <= 0 then return end
  local most = math.min(keep, math.ceil(keep * IDS_AN_EVENT / #ids))
  redis.call('XADD', events, 'MAXLEN', '~', most, '*', 'verb', verb, 'ids', table.concat(ids, ' '))
end
