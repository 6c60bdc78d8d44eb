-- A waiting job's place in the order of admission, from 1; nil when it does not wait.
local id = ARGV[1]
if redis.call('ZSCORE', ADMITTED, id) then return 1 end
if not redis.call('ZSCORE', WAITING, id) then return false end
local owner, priority = unpack(redis.call('HMGET', JOB:format(id), 'owner', 'priority'))

local before = 0
for _, higher in ipairs(PRIORITIES) do
  if higher == priority then break end
  for _, other in ipairs(redis.call('LRANGE', TURN:format(higher), 0, -1)) do
    before = before + redis.call('LLEN', LINE:format(higher, other))
  end
end
-- Of each owner whose turn comes first, one job more than of the others goes before the n-th of this owner.
local own = redis.call('LPOS', LINE:format(priority, owner), id)
local earlier = true
for _, other in ipairs(redis.call('LRANGE', TURN:format(priority), 0, -1)) do
  if other == owner then
    before, earlier = before + own, false
  else
    before = before + math.min(redis.call('LLEN', LINE:format(priority, other)), own + (earlier and 1 or 0))
  end
end
return before + 1
