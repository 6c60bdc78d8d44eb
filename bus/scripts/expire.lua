-- End the jobs past their deadline.
local grace_ms, batch = unpack(ARGV)
local at = now()
for _, id in ipairs(redis.call('ZRANGE', DEADLINES, 0, at, 'BYSCORE', 'LIMIT', 0, batch)) do
  -- A worker ends an overdue job itself, and knows what it has cost; only when it does not, we do.
  local overdue = at - redis.call('ZSCORE', DEADLINES, id)
  if overdue >= tonumber(grace_ms) or not redis.call('ZSCORE', RUNNING, id) then conclude(id, 'expired') end
end
