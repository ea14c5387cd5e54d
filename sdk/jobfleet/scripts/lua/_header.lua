-- A job in Redis is one field of the hash "jobs": a header of 25 bytes that the scripts read and write; for some jobs an
-- extension, which the scripts read; then the body that the producer packed, which no script looks into.
--
--   state 1, priority 1, attempt 3, failures 1, lost 1, enqueued ms 6, since ms 6, started ms 6   (big-endian)
--   if priority >= 128: length 2, then a MessagePack map: g group, k key of deduplication, m its mode (throttle, debounce,
--   unique), t its time in ms, x ms that the job may wait, r ms that it is kept when it has completed
--
-- attempt: deliveries so far, the fencing token; failures: attempts that a handler failed; lost: leases lost;
-- since: when the job came into its state (of a waiting job: when it became ready); started: the last delivery.
-- Kept in step with record.py by a test.
local HEADER = '>BBI3BBI6I6I6'
local BODY_AT = 26
local WAITING, DELAYED, ACTIVE, COMPLETED, FAILED, CANCELLED = 87, 68, 65, 67, 70, 88

local function now_ms()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end
