#!lua flags=no-writes
-- Lists timers up to a deadline, earliest first, from behind a given one, which may be gone. Timers of one
-- deadline come in the order of their bytes, as Redis keeps them.
--
-- KEYS[1]   a set of timers: a sorted set, the score is the deadline
--
-- ARGV[1]   the latest deadline that is listed
-- ARGV[2]   the greatest number of timers listed
-- ARGV[3]   deadline of the timer behind which the list begins, or '' to begin with the first
-- ARGV[4]   that timer
--
-- Returns   timer, deadline, timer, deadline, …

-- Compares bytes: Lua's own `<` follows the locale of the server.
local function is_behind(a, b)
    for i = 1, math.min(#a, #b) do
        local x, y = string.byte(a, i), string.byte(b, i)
        if x ~= y then
            return x > y
        end
    end
    return #a > #b
end

local first = 0
if ARGV[3] ~= '' then
    first = redis.call('ZCOUNT', KEYS[1], '-inf', '(' .. ARGV[3])
    -- Among timers of the same deadline, looks for the first one behind by halving.
    local beyond = redis.call('ZCOUNT', KEYS[1], '-inf', ARGV[3])
    while first < beyond do
        local middle = math.floor((first + beyond) / 2)
        if is_behind(redis.call('ZRANGE', KEYS[1], middle, middle)[1], ARGV[4]) then
            beyond = middle
        else
            first = middle + 1
        end
    end
end

local count = redis.call('ZCOUNT', KEYS[1], '-inf', ARGV[1])
local last = math.min(count, first + tonumber(ARGV[2])) - 1
if last < first then
    return {}
end
return redis.call('ZRANGE', KEYS[1], first, last, 'WITHSCORES')
