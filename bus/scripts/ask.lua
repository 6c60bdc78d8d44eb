-- Put an ask with its pictures up for a judge, unless it has been answered or its job has ended; without pictures, look only.
-- Answers {answer, cancel, missing}: the answer where there is one; whether the pictures have to be sent (again).
local id, name, bell, seconds, ask = unpack(ARGV, 1, 5)
local answer = redis.call('HGET', VERDICTS:format(id), name)
local cancel = redis.call('HEXISTS', JOB:format(id), 'cancel')
local asks = ASKS:format(id)
local missing = 0
if not answer and alive(id) then
  if #ARGV > 5 then
    -- Who sends the pictures is told first. A look does not take the bell from whoever sent them later: it may be a zombie's.
    redis.call('HSET', asks, name .. '/ask', ask, name .. '/bell', bell)
    for i = 6, #ARGV do redis.call('HSET', asks, name .. '/' .. (i - 6), ARGV[i]) end
    if redis.call('TTL', asks) < tonumber(seconds) then redis.call('EXPIRE', asks, seconds) end
  else
    missing = 1 - redis.call('HEXISTS', asks, name .. '/ask')
  end
end
return {answer, cancel, missing}
