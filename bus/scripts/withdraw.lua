-- Take down an ask that nobody waits for, unless another one has put it up since. Answers {withdrawn, reached, answer}.
local id, name, bell, pictures = unpack(ARGV)
local asks = ASKS:format(id)
local answer = redis.call('HGET', VERDICTS:format(id), name)
local reached = redis.call('HEXISTS', asks, name .. '/reached')
local waiting = redis.call('HGET', asks, name .. '/bell')
if waiting and waiting ~= bell then return {0, reached, answer} end
drop_ask(id, name, pictures)
return {1, reached, answer}
