-- Put an ask with its pictures up for a judge, unless it has been answered or its job has ended.
-- Answers {answer, cancel}: the answer where there is one.
local id, name, bell, seconds, ask = unpack(ARGV, 1, 5)
local answer = redis.call('HGET', VERDICTS:format(id), name)
local cancel = redis.call('HEXISTS', JOB:format(id), 'cancel')
if not answer and alive(id) then
  local asks = ASKS:format(id)
  redis.call('HSET', asks, name .. '/ask', ask, name .. '/bell', bell)
  for i = 6, #ARGV do redis.call('HSET', asks, name .. '/' .. (i - 6), ARGV[i]) end
  if redis.call('TTL', asks) < tonumber(seconds) then redis.call('EXPIRE', asks, seconds) end
end
return {answer, cancel}
