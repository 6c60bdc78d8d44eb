-- Name the living jobs that have shown no sign of life for too long, and give each of them as long again.
local admitted_ms, running_ms, batch = unpack(ARGV)
local at = now()
local silent = {}
for set, patience in pairs({[ADMITTED] = admitted_ms, [RUNNING] = running_ms}) do
  for _, id in ipairs(redis.call('ZRANGE', set, 0, at - patience, 'BYSCORE', 'LIMIT', 0, batch)) do
    redis.call('ZADD', set, at, id)
    silent[#silent + 1] = id
  end
end
return silent
