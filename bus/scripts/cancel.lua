-- End a job that nobody runs at once; tell the worker of one that runs. Answers the state found.
local id = ARGV[1]
local state = redis.call('HGET', JOB:format(id), 'state')
if state == 'queued' then
  redis.call('HSET', JOB:format(id), 'cancel', 1)
  conclude(id, 'canceled')
elseif state and not TERMINAL[state] and state ~= 'canceling' then
  change(id, 'status', 'state', 'canceling', 'cancel', 1)
end
return state
