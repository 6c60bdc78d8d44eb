-- Calls to one account at a provider: who may go now, in what order, and what those that went say of it.
--   enter: let a call through, or put it in line. Answers {'go'}, {'wait', ms, first} (not before so many ms; whether it is the
--          first in line, hence the one that has to look again then) or {'open', ms} (nobody is asked for so long).
--   leave: a call has ended, or is waited for no longer.
-- A ticket is "process number tokens job". Jobs with waiting calls stand once in the turn, so each job's next call goes before any
-- job's next but one. Rates are GCRA: `requests` and `tokens` hold the time at which the bucket is full again.
local verb, account, ticket = unpack(ARGV, 1, 3)
local rates = {
  requests = {ms = tonumber(ARGV[4]), burst = tonumber(ARGV[5])},
  tokens = {ms = tonumber(ARGV[6]), burst = tonumber(ARGV[7])},
}
local concurrency, max_failures = tonumber(ARGV[8]), tonumber(ARGV[9])
local pause, longest_pause = tonumber(ARGV[10]), tonumber(ARGV[11]) -- milliseconds of the open breaker
local lease = tonumber(ARGV[12]) -- milliseconds
local at = now()
local state, leases = LIMITS:format(account), LIMIT_LEASES:format(account)
local waiting, turn = LIMIT_WAITING:format(account), LIMIT_TURN:format(account)

local function get(field) return tonumber(redis.call('HGET', state, field) or 0) end
local function put(field, value) redis.call('HSET', state, field, string.format('%.3f', value)) end

local function job_of(one) return one:match('^%S+ %S+ %S+ (.*)$') end
local function tokens_of(one) return tonumber(one:match('^%S+ %S+ (%S+)')) end
local function line_of(job) return LIMIT_LINE:format(account, job) end

local function ring(one)
  local stream = BELL:format(one:match('^%S+'))
  redis.call('XADD', stream, 'MAXLEN', '~', BELL_LIMIT, '*', 'name', one)
  redis.call('EXPIRE', stream, BELL_SECONDS)
end

local function drop(one)
  local job = job_of(one)
  redis.call('ZREM', waiting, one)
  redis.call('LREM', line_of(job), 1, one)
  if redis.call('LLEN', line_of(job)) == 0 then redis.call('LREM', turn, 0, job) end
end

-- The next call in turn, or false. One whose process looks no more is dropped.
local function first_in_line()
  while true do
    local job = redis.call('LINDEX', turn, 0)
    if not job then return false end
    local first = redis.call('LINDEX', line_of(job), 0)
    if not first then
      redis.call('LPOP', turn)
    elseif tonumber(redis.call('ZSCORE', waiting, first) or 0) < at - lease then
      drop(first)
    else
      return first
    end
  end
end

-- Milliseconds until a rate lets `weight` pass after `ahead`. What weighs more than the burst goes when the bucket is full.
local function delay(name, ahead, weight)
  local rate = rates[name]
  if rate.ms == 0 then return 0 end
  return math.max(at, get(name)) - at + (ahead + math.min(weight, rate.burst) - rate.burst) * rate.ms
end

-- Milliseconds until a call may go as far as rates know, after so many calls like it. Those of other jobs do not count here: they may
-- give up, and a job that was refused at once for them would run through its steps unjudged, where it can wait.
local function wait_of(one, ahead)
  local tokens = tokens_of(one)
  return math.max(0, get('not_before') - at, delay('requests', ahead, 1), delay('tokens', ahead * tokens, tokens))
end

local function charge(name, weight)
  put(name, math.max(at, get(name)) + weight * rates[name].ms)
end

-- Closed, or half open and nobody tries it out just now.
local function breaker_lets()
  local open_until = get('open_until')
  if open_until == 0 then return true end
  local probe = redis.call('HGET', state, 'probe')
  return at >= open_until and not (probe and redis.call('ZSCORE', leases, probe))
end

local function grant(first)
  local job = job_of(first)
  redis.call('LPOP', line_of(job))
  redis.call('LPOP', turn)
  if redis.call('LLEN', line_of(job)) > 0 then redis.call('RPUSH', turn, job) end
  redis.call('ZREM', waiting, first)
  redis.call('ZADD', leases, at + lease, first)
  charge('requests', 1)
  charge('tokens', tokens_of(first))
  if get('open_until') > 0 then redis.call('HSET', state, 'probe', first) end
  if first ~= ticket then ring(first) end
end

-- Let through, in turn, whoever may go. Who is first in line then has to know it: nobody else looks at the right time.
local function serve()
  redis.call('ZREMRANGEBYSCORE', leases, '-inf', at)
  local first = first_in_line()
  while first and breaker_lets() and wait_of(first, 0) <= 0
    and (concurrency == 0 or redis.call('ZCARD', leases) < concurrency) do
    grant(first)
    first = first_in_line()
  end
  if first and first ~= redis.call('HGET', state, 'first') then
    redis.call('HSET', state, 'first', first)
    if first ~= ticket then ring(first) end
  end
  return first
end

local function enter()
  redis.call('ZREMRANGEBYSCORE', leases, '-inf', at)
  if redis.call('ZSCORE', leases, ticket) then return {'go'} end -- granted meanwhile, or this call repeated
  local open_until = get('open_until')
  if open_until > 0 then
    local first = first_in_line()
    if not breaker_lets() or (first and first ~= ticket) then
      drop(ticket)
      return {'open', math.max(math.ceil(open_until - at), pause)}
    end
  end
  local job, new = job_of(ticket), not redis.call('ZSCORE', waiting, ticket)
  redis.call('ZADD', waiting, at, ticket)
  if new and redis.call('RPUSH', line_of(job), ticket) == 1 then redis.call('RPUSH', turn, job) end
  redis.call('EXPIRE', line_of(job), LIMIT_SECONDS)
  local first = serve()
  if redis.call('ZSCORE', leases, ticket) then return {'go'} end
  local ms = wait_of(first, 0)
  if new then ms = math.max(ms, wait_of(ticket, redis.call('LLEN', line_of(job)) - 1)) end
  return {'wait', math.ceil(ms), first == ticket and 1 or 0}
end

local function open_breaker()
  local times = redis.call('HINCRBY', state, 'openings', 1)
  put('open_until', at + math.min(pause * 2 ^ (times - 1), longest_pause))
  redis.call('HDEL', state, 'probe')
  for _, one in ipairs(redis.call('ZRANGE', waiting, 0, -1)) do
    drop(one)
    ring(one) -- it fails at once
  end
end

-- `outcome`: answered (whatever it said), failed, unknown (cut off), unmade (it was let through, and not made).
local function leave(outcome, unused_tokens, retry_after)
  drop(ticket)
  if redis.call('ZREM', leases, ticket) == 0 then return end -- this call repeated, or its lease had run out
  if unused_tokens > 0 then put('tokens', get('tokens') - unused_tokens * rates.tokens.ms)
  elseif unused_tokens < 0 then charge('tokens', -unused_tokens) end
  if outcome == 'unmade' then put('requests', get('requests') - rates.requests.ms) end
  if retry_after > 0 then put('not_before', math.max(get('not_before'), at + retry_after)) end
  local probed = redis.call('HGET', state, 'probe') == ticket
  if outcome == 'answered' then
    redis.call('HDEL', state, 'failures', 'openings', 'open_until', 'probe')
  elseif outcome == 'failed' then
    local failures = redis.call('HINCRBY', state, 'failures', 1)
    if probed or (failures >= max_failures and get('open_until') == 0) then open_breaker() end
  elseif probed then
    redis.call('HDEL', state, 'probe')
  end
end

local answer = {}
if verb == 'enter' then
  answer = enter()
else
  leave(ARGV[13], tonumber(ARGV[14]), tonumber(ARGV[15]))
  serve()
end
for _, key in ipairs({state, leases, waiting, turn}) do redis.call('EXPIRE', key, LIMIT_SECONDS) end
return answer
