-- End a job that no worker holds at once; tell the worker of one that runs. Answers the state found.
local id = ARGV[1]
local state, worker = unpack(redis.call('HMGET', JOB:format(id), 'state', 'worker'))
if not state or TERMINAL[state] then return state end
if worker == '' then
  redis.call('HSET', JOB:format(id), 'cancel', 1)
  conclude(id, 'canceled')
elseif state ~= 'canceling' then
  change(id, 'status', 'state', 'canceling', 'cancel', 1)
end
return state
