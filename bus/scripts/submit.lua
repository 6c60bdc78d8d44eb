-- Accept a job: its record, its idempotency record and its place in the waiting line, or none of them.
local id, owner, priority, spec, progress, deadline, retention, limit, idempotency, fingerprint = unpack(ARGV)

if idempotency ~= '' then
  local seen, printed = unpack(redis.call('HMGET', IDEMPOTENCY:format(idempotency), 'job', 'fingerprint'))
  if seen then
    if printed ~= fingerprint then return {'reused', seen} end
    return {seen == id and 'accepted' or 'replayed', seen}
  end
end
-- The same id again is this call repeated after a lost connection.
if redis.call('EXISTS', JOB:format(id)) == 1 then return {'accepted', id} end
if redis.call('ZCARD', WAITING) >= tonumber(limit) then return {'full', id} end

if idempotency ~= '' then
  local record = IDEMPOTENCY:format(idempotency)
  redis.call('HSET', record, 'job', id, 'fingerprint', fingerprint)
  redis.call('EXPIRE', record, IDEMPOTENCY_SECONDS)
end
change(id, 'status', 'spec', spec, 'state', 'queued', 'progress', progress, 'owner', owner, 'priority', priority,
  'retention', retention, 'epoch', 0, 'crashes', 0, 'worker', '', 'idempotency', idempotency)
redis.call('ZADD', WAITING, now(), id)
if deadline ~= '' then redis.call('ZADD', DEADLINES, deadline, id) end
if redis.call('RPUSH', LINE:format(priority, owner), id) == 1 then
  redis.call('RPUSH', TURN:format(priority), owner)
end
redis.call('ZADD', ALL, 0, id)
redis.call('ZADD', OF_OWNER:format(owner), 0, id)
return {'accepted', id}
