-- Write an answer under its ask's name, once; remove the ask with its pictures; ring whoever waits. 1: this answer is the one.
local id, name, full_name, answer, pictures = unpack(ARGV)
local asks = ASKS:format(id)
local bell = redis.call('HGET', asks, name .. '/bell')
local first = 0
if alive(id) then first = redis.call('HSETNX', VERDICTS:format(id), name, answer) end
redis.call('HDEL', asks, name .. '/ask', name .. '/bell')
for i = 0, pictures - 1 do redis.call('HDEL', asks, name .. '/' .. i) end
if bell then
  local stream = BELL:format(bell)
  redis.call('XADD', stream, 'MAXLEN', '~', BELL_LIMIT, '*', 'name', full_name)
  redis.call('EXPIRE', stream, BELL_SECONDS)
end
return first
