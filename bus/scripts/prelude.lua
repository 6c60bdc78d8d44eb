-- Shared by every script. Key templates and limits stand above as locals (bus/keys.py).
local PRIORITIES = {'high', 'normal', 'low'}
local TERMINAL = {succeeded = true, failed = true, canceled = true, expired = true}
local JOB_KEYS = {JOB, CHECKPOINT, VERDICTS, EVENTS, AUDIT, ASKS}

-- The server's clock, in milliseconds since 1970.
local function now()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- Whether the job exists and has not ended.
local function alive(id)
  local state = redis.call('HGET', JOB:format(id), 'state')
  return state and not TERMINAL[state]
end

-- Whether this epoch still owns the living job.
local function owns(id, epoch)
  return alive(id) and redis.call('HGET', JOB:format(id), 'epoch') == epoch
end

-- Change a job: its fields, its version, the event that says so, and the bell.
local function change(id, kind, ...)
  redis.call('HSET', JOB:format(id), ...)
  local version = redis.call('HINCRBY', JOB:format(id), 'version', 1)
  redis.call('XADD', EVENTS:format(id), 'MAXLEN', '~', EVENT_LIMIT, version .. '-0', 'kind', kind)
  local bell = BELL:format('events')
  redis.call('XADD', bell, 'MAXLEN', '~', BELL_LIMIT, '*', 'name', id)
  redis.call('EXPIRE', bell, BELL_SECONDS)
end

-- Take a job out of its waiting line, if it stands in one.
local function leave_line(id)
  if redis.call('ZREM', WAITING, id) == 0 then return end
  local owner, priority = unpack(redis.call('HMGET', JOB:format(id), 'owner', 'priority'))
  local line = LINE:format(priority, owner)
  redis.call('LREM', line, 1, id)
  if redis.call('LLEN', line) == 0 then redis.call('LREM', TURN:format(priority), 0, owner) end
end

-- Remove an open ask with its pictures.
local function drop_ask(id, name, pictures)
  local asks = ASKS:format(id)
  redis.call('HDEL', asks, name .. '/ask', name .. '/bell', name .. '/reached')
  for i = 0, pictures - 1 do redis.call('HDEL', asks, name .. '/' .. i) end
end

-- End a living job: state, event, and a time to live on every key it has.
local function conclude(id, state)
  local job = JOB:format(id)
  leave_line(id)
  redis.call('ZREM', ADMITTED, id)
  redis.call('ZREM', RUNNING, id)
  redis.call('ZREM', DEADLINES, id)
  redis.call('DEL', CHECKPOINT:format(id), ASKS:format(id))
  local owner, retention = unpack(redis.call('HMGET', job, 'owner', 'retention'))
  local at = now()
  local removal = at + retention * 1000
  change(id, 'done', 'state', state, 'worker', '', 'completed_at', at, 'expires_at', removal)
  redis.call('ZADD', ENDED, removal, id .. ' ' .. owner)
  for _, template in ipairs(JOB_KEYS) do redis.call('PEXPIREAT', template:format(id), removal) end
end
