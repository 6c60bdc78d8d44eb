-- Give a judge the pictures of an ask, and note that it was reached; nil where nobody waits any more.
local id, name, pictures = unpack(ARGV)
local asks = ASKS:format(id)
if redis.call('HEXISTS', JOB:format(id), 'cancel') == 1 or redis.call('HEXISTS', asks, name .. '/ask') == 0 then return false end
redis.call('HSET', asks, name .. '/reached', 1)
local found = {}
for i = 0, pictures - 1 do found[i + 1] = redis.call('HGET', asks, name .. '/' .. i) end
return found
