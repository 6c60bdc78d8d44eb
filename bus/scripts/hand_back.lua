-- A worker lets go of a job in good order: its next claim counts no crash.
local id, epoch = unpack(ARGV)
if owns(id, epoch) then redis.call('HSET', JOB:format(id), 'worker', '') end
