-- Write an answer under its ask's name, once; remove the ask with its pictures; ring whoever waits. 1: this answer is the one.
local id, name, full_name, answer, pictures = unpack(ARGV)
local bell = redis.call('HGET', ASKS:format(id), name .. '/bell')
local first = 0
if alive(id) then first = redis.call('HSETNX', VERDICTS:format(id), name, answer) end
drop_ask(id, name, pictures)
if bell then
  local stream = BELL:format(bell)
  redis.call('XADD', stream, 'MAXLEN', '~', BELL_LIMIT, '*', 'name', full_name)
  redis.call('EXPIRE', stream, BELL_SECONDS)
end
return first
