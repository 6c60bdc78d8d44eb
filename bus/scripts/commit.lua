-- Write down a step, if this epoch still owns the job: -1 fenced, 1 cancel was asked, 0 go on.
local id, epoch, progress, usage, checkpoint, audit = unpack(ARGV)
if not owns(id, epoch) then return -1 end
redis.call('SET', CHECKPOINT:format(id), checkpoint)
-- The same row again is this call repeated after a lost connection: it carries the time it was made.
local rows = AUDIT:format(id)
if audit ~= '' and redis.call('LINDEX', rows, -1) ~= audit then redis.call('RPUSH', rows, audit) end
redis.call('ZADD', RUNNING, now(), id)
change(id, 'progress', 'progress', progress, 'usage', usage, 'crashes', 0)
return redis.call('HEXISTS', JOB:format(id), 'cancel')
