-- Expire overdue jobs, and forget the removed ones.
local grace_ms, batch = unpack(ARGV)
local at = now()

for _, id in ipairs(redis.call('ZRANGE', DEADLINES, 0, at, 'BYSCORE', 'LIMIT', 0, batch)) do
  -- A worker ends an overdue job itself, and knows what it has cost; only when it does not, we do.
  local overdue = at - redis.call('ZSCORE', DEADLINES, id)
  if overdue >= tonumber(grace_ms) or not redis.call('ZSCORE', RUNNING, id) then conclude(id, 'expired') end
end

for _, member in ipairs(redis.call('ZRANGE', ENDED, 0, at, 'BYSCORE', 'LIMIT', 0, batch)) do
  local id, owner = member:match('^(%S+) (.*)$')
  redis.call('ZREM', ENDED, member)
  redis.call('ZREM', ALL, id)
  redis.call('ZREM', OF_OWNER:format(owner), id)
end
