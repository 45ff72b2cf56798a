-- Applies some records of one partition: latest values, messages, position; all or nothing.
-- KEYS  positions, latest values of the topic
-- ARGV  field of the position, position expected, position after, channel prefix,
--       1 if messages are left out for want of listeners, MessagePack of
--       {keys, values, places of the latest values among them}
-- Returns what happened, the position found and whether anyone listens.

local LATEST_MAX = 512

local function anyone_listens(prefix)
    local patterns = redis.pcall('PUBSUB', 'NUMPAT')
    if type(patterns) ~= 'number' or patterns > 0 then return 1 end
    local channels = redis.pcall('PUBSUB', 'CHANNELS', prefix .. '*')
    if channels.err or #channels > 0 then return 1 end
    -- Subscribers of a replica are not seen from here.
    local replication = redis.pcall('INFO', 'replication')
    if type(replication) ~= 'string' then return 1 end
    if not string.find(replication, 'connected_slaves:0', 1, true) then return 1 end
    return 0
end

-- Offsets are compared as text: a Lua number is exact to 2^53 only.
local stored = redis.call('HGET', KEYS[1], ARGV[1]) or '0'
if stored ~= ARGV[2] then return {'moved', stored, 0} end
local listened = anyone_listens(ARGV[4])
if ARGV[5] == '1' and listened == 1 then return {'listened', stored, 1} end

local keys, values, places = unpack(cmsgpack.unpack(ARGV[6]))
local latest = {}
for i, place in ipairs(places) do
    latest[2 * i - 1], latest[2 * i] = keys[place], values[place]
end
-- Many at a time: a call costs Lua more than it costs the server. Not all: its stack is limited.
for first = 1, #latest, LATEST_MAX do
    local last = math.min(first + LATEST_MAX - 1, #latest)
    redis.call('HSET', KEYS[2], unpack(latest, first, last))
end
if ARGV[5] ~= '1' then
    for i, key in ipairs(keys) do redis.call('PUBLISH', ARGV[4] .. key, values[i]) end
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return {'applied', ARGV[3], listened}
