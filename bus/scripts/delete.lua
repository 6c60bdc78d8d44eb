-- Remove every trace of a job that has ended. Answers the state found.
local id = ARGV[1]
local state, owner, idempotency = unpack(redis.call('HMGET', JOB:format(id), 'state', 'owner', 'idempotency'))
if not state or not TERMINAL[state] then return state end
for _, template in ipairs(JOB_KEYS) do redis.call('DEL', template:format(id)) end
-- A key that was used again after its day names a newer job.
local record = IDEMPOTENCY:format(idempotency)
if idempotency ~= '' and redis.call('HGET', record, 'job') == id then redis.call('DEL', record) end
redis.call('ZREM', ENDED, id .. ' ' .. owner)
redis.call('ZREM', ALL, id)
redis.call('ZREM', OF_OWNER:format(owner), id)
return state
