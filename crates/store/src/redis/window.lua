#!lua
-- Allows a call, and notes when, if fewer than so many were allowed in the span before it.
--
-- KEYS[1]  window: a string, the times of the allowed calls in µs, 8 bytes each, little-endian, in order
--
-- ARGV[1]  the greatest number of calls in a span
-- ARGV[2]  the span in µs
--
-- Returns  the time in µs, and in how many µs a call would be allowed; 0 if this one is

local limit, span = tonumber(ARGV[1]), tonumber(ARGV[2])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])

local held = redis.call('GET', KEYS[1]) or ''
local live = {}
-- What is no sequence of times counts as none.
if #held % 8 == 0 then
    for at = 1, #held, 8 do
        local allowed = struct.unpack('<I8', held, at)
        -- After a failover the clock may be behind: a call that is yet to come blocks nothing.
        if allowed > now - span and allowed <= now then
            live[#live + 1] = allowed
        end
    end
end

if limit < 1 then
    return {now, span}
elseif #live >= limit then
    return {now, live[#live - limit + 1] + span - now}
end
live[#live + 1] = now
for place, allowed in ipairs(live) do
    live[place] = struct.pack('<I8', allowed)
end
redis.call('SET', KEYS[1], table.concat(live), 'PX', math.ceil(span / 1000))
return {now, 0}
