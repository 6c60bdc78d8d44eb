-- Publish a worker's card for a while, and forget the workers whose cards are gone.
local name, card, seconds = unpack(ARGV)
redis.call('SET', CARD:format(name), card, 'EX', seconds)
redis.call('SADD', WORKERS, name)
redis.call('EXPIRE', WORKERS, seconds)
for _, other in ipairs(redis.call('SMEMBERS', WORKERS)) do
  if redis.call('EXISTS', CARD:format(other)) == 0 then redis.call('SREM', WORKERS, other) end
end
