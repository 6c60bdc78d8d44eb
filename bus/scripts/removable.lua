-- Name the ended jobs, as ENDED does, whose retention is over.
return redis.call('ZRANGE', ENDED, 0, now(), 'BYSCORE', 'LIMIT', 0, ARGV[1])
