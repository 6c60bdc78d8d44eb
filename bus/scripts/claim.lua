-- Give a job to a worker under a new epoch, or end it where nobody may run it. Nil: nothing to run.
local id, worker, token, max_crashes, poison = unpack(ARGV)
local job = JOB:format(id)
if not alive(id) then return false end

local cancel, before, seen = unpack(redis.call('HMGET', job, 'cancel', 'worker', 'claim'))
local deadline = redis.call('ZSCORE', DEADLINES, id)
if cancel then conclude(id, 'canceled') return false end
if deadline and now() >= tonumber(deadline) then conclude(id, 'expired') return false end

-- The same token again is this call repeated after a lost connection.
if seen ~= token then
  if before ~= '' and redis.call('HINCRBY', job, 'crashes', 1) >= tonumber(max_crashes) then
    redis.call('HSET', job, 'error', poison)
    conclude(id, 'failed')
    redis.call('XADD', DEAD_LETTERS, 'MAXLEN', '~', DEAD_LETTER_LIMIT, '*', 'job', id, 'worker', before)
    return false
  end
  leave_line(id)
  redis.call('ZREM', ADMITTED, id)
  redis.call('HSETNX', job, 'started_at', now())
  redis.call('HINCRBY', job, 'epoch', 1)
  change(id, 'status', 'state', 'running', 'worker', worker, 'claim', token)
end
redis.call('ZADD', RUNNING, now(), id)
return {redis.call('HGETALL', job), redis.call('GET', CHECKPOINT:format(id))}
