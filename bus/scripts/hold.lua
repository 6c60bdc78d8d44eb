-- Keep the leases of calls that are under way. One that has run out stays so: others may have gone in its place.
local leases, lease = LIMIT_LEASES:format(ARGV[1]), ARGV[2]
for i = 3, #ARGV do redis.call('ZADD', leases, 'XX', now() + lease, ARGV[i]) end
