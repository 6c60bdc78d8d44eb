-- The records of some jobs, in the order asked for; an empty one where there is none (any more).
local found = {}
for i, id in ipairs(ARGV) do found[i] = redis.call('HGETALL', JOB:format(id)) end
return found
