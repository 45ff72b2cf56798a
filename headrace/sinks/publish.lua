-- Applies some records of one partition: latest values, messages, position; all or nothing.
-- KEYS  positions, latest values of the topic
-- ARGV  field of the position, position expected, position after, channel prefix,
--       1 if messages are left out for want of listeners, MessagePack of
--       {keys, values} of the latest and {keys, values} of the messages
-- Returns what happened, the position found and whether anyone listens.

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

local batch = cmsgpack.unpack(ARGV[6])
for i, key in ipairs(batch[1]) do redis.call('HSET', KEYS[2], key, batch[2][i]) end
for i, key in ipairs(batch[3]) do redis.call('PUBLISH', ARGV[4] .. key, batch[4][i]) end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return {'applied', ARGV[3], listened}
