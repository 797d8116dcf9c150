#!lua
-- One atomic commit: checks the time, the record's version and the guards, then writes record, timers and outbox
-- entry. Every check comes before the first write, since a script that fails is not rolled back. A number is at
-- most 2^53, exact as a double, and printed with %.0f wherever Redis gets it as text.
--
-- KEYS[1]   record: record version and status version, 8 bytes each, little-endian, then the value
-- KEYS[2]   floor: the greatest version that a deleted record of the partition had
-- KEYS[3]   sequence of the partition's last outbox entry
-- KEYS[4]   outbox: a stream with ids <sequence>-0, and one field: 8 bytes of time, the entry's head and body
-- KEYS[5…]  the sets of the timers concerned: sorted sets, the score is the deadline
--
-- ARGV[1]   expected record version in the record's form, or '' when there must be no record
-- ARGV[2]   '1' to write the value, '0' to delete the record
-- ARGV[3]   value
-- ARGV[4]   '1' when the status gets a new version
-- ARGV[5]   '1' when there is an outbox entry
-- ARGV[6]   body of the entry
-- ARGV[7]   greatest number of entries in the outbox; the oldest go
-- ARGV[8]   a random number from 0 to 999, added to a version while the clock is behind
-- ARGV[9]   the last time in µs at which the commit may be applied, or '' when it is never too late
-- ARGV[10]  floor: a version that the store may have lost, at most 2^53; the new one is above it
-- ARGV[11]  number of guards; three arguments each follow: index in KEYS, timer, latest deadline that passes
-- then      timer changes, three arguments each: index in KEYS, timer, deadline or '' to remove it
--
-- Returns   {0} conflict | {1} guarded | {3} late |
--           {2, record version, status version, status version before, sequence or 0, time in µs, entries lost}

local HEAD = '<I8I8'

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
if ARGV[9] ~= '' and now > tonumber(ARGV[9]) then
    return {3}
end

local head = redis.call('GETRANGE', KEYS[1], 0, 15)
if string.sub(head, 1, 8) ~= ARGV[1] then
    return {0}
end

local last_guard = 11 + 3 * tonumber(ARGV[11])
for i = 12, last_guard, 3 do
    local deadline = redis.call('ZSCORE', KEYS[tonumber(ARGV[i])], ARGV[i + 1])
    if deadline and tonumber(deadline) > tonumber(ARGV[i + 2]) then
        return {1}
    end
end

local previous, previous_status = 0, 0
if head ~= '' then
    previous, previous_status = struct.unpack(HEAD, head)
else
    previous = tonumber(redis.call('GET', KEYS[2]) or 0)
end

local version = now
local last = math.max(previous, tonumber(ARGV[10]))
if now <= last then
    version = last + 1
    if now < last then
        -- A failover may have lost versions that were given away; these must not be given to something else.
        version = version + tonumber(ARGV[8])
    end
end
local status = previous_status
if ARGV[4] == '1' then
    status = version
end

local sequence, lost = 0, 0
if ARGV[5] == '1' then
    sequence = tonumber(redis.call('GET', KEYS[3]) or 0) + 1
    local text = string.format('%.0f', sequence)
    -- Protobuf: fields 1 to 4 of type fixed64, as in the port's EntryHead.
    local entry = struct.pack('<I8BI8BI8BI8BI8', now, 0x09, sequence, 0x11, version, 0x19, status, 0x21,
        previous_status) .. ARGV[6]
    local room = tonumber(ARGV[7]) - 1
    if redis.call('XLEN', KEYS[4]) > room then
        lost = redis.call('XTRIM', KEYS[4], 'MAXLEN', room)
    end
    redis.call('XADD', KEYS[4], text .. '-0', 'e', entry)
    redis.call('SET', KEYS[3], text)
end

if ARGV[2] == '1' then
    redis.call('SET', KEYS[1], struct.pack(HEAD, version, status) .. ARGV[3])
else
    redis.call('DEL', KEYS[1])
    if version > tonumber(redis.call('GET', KEYS[2]) or 0) then
        redis.call('SET', KEYS[2], string.format('%.0f', version))
    end
end

for i = last_guard + 1, #ARGV, 3 do
    local timers = KEYS[tonumber(ARGV[i])]
    if ARGV[i + 2] == '' then
        redis.call('ZREM', timers, ARGV[i + 1])
    else
        redis.call('ZADD', timers, ARGV[i + 2], ARGV[i + 1])
    end
end

return {2, version, status, previous_status, sequence, now, lost}
