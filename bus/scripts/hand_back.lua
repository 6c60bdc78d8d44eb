-- A worker lets go of a job in good order: its next claim counts no crash. One that was to be canceled needs no next claim.
local id, epoch = unpack(ARGV)
if not owns(id, epoch) then return end
redis.call('HSET', JOB:format(id), 'worker', '')
if redis.call('HEXISTS', JOB:format(id), 'cancel') == 1 then conclude(id, 'canceled') end
