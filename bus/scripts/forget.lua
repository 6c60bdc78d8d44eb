-- Take an ended job, named as ENDED does, out of the listings; its own keys have a time to live.
local member = ARGV[1]
local id, owner = member:match('^(%S+) (.*)$')
redis.call('ZREM', ENDED, member)
redis.call('ZREM', ALL, id)
redis.call('ZREM', OF_OWNER:format(owner), id)
