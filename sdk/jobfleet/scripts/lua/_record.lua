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

local function unpack_header(record)
  return struct.unpack(HEADER, record)
end

local function with_header(record, state, priority, attempt, failures, lost, enqueued, since, started)
  return struct.pack(HEADER, state, priority, attempt, failures, lost, enqueued, since, started) .. string.sub(record, BODY_AT)
end

-- A time as a record has it.
local function time_bytes(ms)
  return struct.pack('>I6', ms)
end

local function since_of(record)
  return struct.unpack('>I6', record, 14)
end

local function started_of(record)
  return struct.unpack('>I6', record, 20)
end

-- The record with another state since then; all else stays.
local function in_state(record, state, since_bytes)
  return string.char(state) .. string.sub(record, 2, 13) .. since_bytes .. string.sub(record, 20)
end

local function extension_of(record)
  if string.byte(record, 2) < 128 then return nil end
  local length = struct.unpack('>H', record, BODY_AT)
  return cmsgpack.unpack(string.sub(record, BODY_AT + 2, BODY_AT + 1 + length))
end

local function body_of(record)
  if string.byte(record, 2) < 128 then return string.sub(record, BODY_AT) end
  return string.sub(record, BODY_AT + 2 + struct.unpack('>H', record, BODY_AT))
end

local function now_ms()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end
