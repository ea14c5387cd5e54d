--@include _header
-- What is read of a record and written into it.
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
