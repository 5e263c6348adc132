/**
 * What is atomic in Redis. All keys of a run share a hash tag, so that they lie on one node of a cluster. `KEYS`: head, journal, index, tasks,
 * leases, batches, late, submissions. `index` has the numbers of a task's rows, so that a claim reads these alone.
 */
const append = `
local function append(now, key, event)
  local sequence = redis.call('HINCRBY', KEYS[1], 'last', 1)
  redis.call('HSET', KEYS[2], sequence, '{"sequence":' .. sequence .. ',"atMs":' .. now .. ',"event":' .. event .. '}')
  if key ~= '' then
    local known = redis.call('HGET', KEYS[3], key)
    redis.call('HSET', KEYS[3], key, known and (known .. ',' .. sequence) or tostring(sequence))
  end
end
`;

/** ARGV: now, manifest, number of tasks, (key, task)..., (key, event)... */
export const beginScript = `${append}
if redis.call('HEXISTS', KEYS[1], 'manifest') == 1 then return 0 end
redis.call('HSET', KEYS[1], 'manifest', ARGV[2], 'created', ARGV[1])
local at = 4
for _ = 1, tonumber(ARGV[3]) do
  redis.call('HSET', KEYS[4], ARGV[at], ARGV[at + 1])
  at = at + 2
end
while at <= #ARGV do
  append(ARGV[1], ARGV[at], ARGV[at + 1])
  at = at + 2
end
return 1
`;

/** ARGV: key, submission. Gives the token, the task and the rows. */
export const claimScript = `
local task = redis.call('HGET', KEYS[4], ARGV[1])
if not task or (redis.call('HGET', KEYS[8], ARGV[1]) or '1') ~= ARGV[2] then return false end
local token = redis.call('HINCRBY', KEYS[1], 'tokens', 1)
redis.call('HSET', KEYS[5], ARGV[1], token)
redis.call('HDEL', KEYS[6], ARGV[1])
local rows = {}
for sequence in string.gmatch(redis.call('HGET', KEYS[3], ARGV[1]) or '', '%d+') do
  rows[#rows + 1] = redis.call('HGET', KEYS[2], sequence)
end
return { token, task, rows }
`;

/** ARGV: now, key, token, batch, number of events, events..., superseded events... */
export const writeScript = `${append}
local events = tonumber(ARGV[5])
if redis.call('HGET', KEYS[5], ARGV[2]) ~= ARGV[3] then
  if redis.call('HEXISTS', KEYS[7], ARGV[3] .. '.' .. ARGV[4]) == 0 then
    for at = 6 + events, #ARGV do append(ARGV[1], ARGV[2], ARGV[at]) end
    redis.call('HSET', KEYS[7], ARGV[3] .. '.' .. ARGV[4], 1)
  end
  return 0
end
local before = tonumber(redis.call('HGET', KEYS[6], ARGV[2]) or '0')
if tonumber(ARGV[4]) <= before then return 1 end
redis.call('HSET', KEYS[6], ARGV[2], ARGV[4])
for at = 6, 5 + events do append(ARGV[1], ARGV[2], ARGV[at]) end
return 1
`;

/** ARGV: now, the number of the last row or an empty text, (key, event)... */
export const appendScript = `${append}
if redis.call('HEXISTS', KEYS[1], 'manifest') == 0 then return 0 end
if ARGV[2] ~= '' and redis.call('HGET', KEYS[1], 'last') ~= ARGV[2] then return 0 end
for at = 3, #ARGV, 2 do append(ARGV[1], ARGV[at], ARGV[at + 1]) end
return 1
`;
