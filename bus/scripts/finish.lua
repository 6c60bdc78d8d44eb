-- End a job, if this epoch still owns it: 1 done, -1 fenced.
local id, epoch, state, result, error, usage = unpack(ARGV)
local job = JOB:format(id)
if not owns(id, epoch) then
  -- The same end by the same epoch is this call repeated after a lost connection.
  return redis.call('HGET', job, 'finish') == epoch .. ' ' .. state and 1 or -1
end
redis.call('HSET', job, 'finish', epoch .. ' ' .. state)
if usage ~= '' then redis.call('HSET', job, 'usage', usage) end
-- Whoever asked for the end of a job sees it canceled, however the worker stopped, unless its picture is there.
if state ~= 'succeeded' and redis.call('HEXISTS', job, 'cancel') == 1 then state, error = 'canceled', '' end
if result ~= '' then redis.call('HSET', job, 'result', result) end
if error ~= '' then redis.call('HSET', job, 'error', error) end
conclude(id, state)
return 1
