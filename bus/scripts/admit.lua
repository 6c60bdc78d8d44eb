-- Move jobs from the waiting lines to the admitted ones: by priority, then one of each owner in turn, then first come first served.
local room = tonumber(ARGV[1]) - redis.call('ZCARD', ADMITTED)
local taken = {}
for _, priority in ipairs(PRIORITIES) do
  local turn = TURN:format(priority)
  while #taken < room do
    local owner = redis.call('LPOP', turn)
    if not owner then break end
    local line = LINE:format(priority, owner)
    local id = redis.call('LPOP', line)
    if redis.call('LLEN', line) > 0 then redis.call('RPUSH', turn, owner) end
    redis.call('ZREM', WAITING, id)
    redis.call('ZADD', ADMITTED, now(), id)
    taken[#taken + 1] = id
  end
end
return taken
