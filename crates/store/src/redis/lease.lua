#!lua
-- One step in the life of a boot's lease. Every check comes before the one write, and none writes a lease that is
-- not live but to remove it. Boot, token and nonce are bytes, and compared as such: as numbers they would lose digits.
--
-- KEYS[1]  leases: a hash; the field names a boot, the value has 48 bytes: hash of the token (32), nonce (8), when its
--          life ended in µs (7, little-endian; zero while it is live), and how (1; zero for dead, one for retired)
--
-- ARGV[1]  the step: open | renew | retire | kill | forget
-- ARGV[2]  boot
-- ARGV[3]  open, renew, retire: hash of the token; kill: the nonce that the lease must have
-- ARGV[4]  open: the greatest number of leases; renew: the nonce
--
-- Returns  open: 0 the boot has one | 1 opened | 2 too many; renew: 0 over or unknown | 1 live | 2 wrong token;
--          retire: 0 wrong token | 1 over; kill, forget: 0 left as it is | 1 done

local ZERO = string.rep('\0', 8)

local key, boot = KEYS[1], ARGV[2]
local held = redis.call('HGET', key, boot)
-- What has another length is not ours, and as nothing but for its place.
local is_ours = held and #held == 48
local token = is_ours and string.sub(held, 1, 32)
local nonce = is_ours and string.sub(held, 33, 40)
local is_live = is_ours and string.sub(held, 41, 48) == ZERO

local function finish(how)
    local time = redis.call('TIME')
    local now = struct.pack('<I8', tonumber(time[1]) * 1000000 + tonumber(time[2]))
    redis.call('HSET', key, boot, token .. nonce .. string.sub(now, 1, 7) .. how)
end

local steps = {}

function steps.open()
    if held then
        return 0
    elseif redis.call('HLEN', key) >= tonumber(ARGV[4]) then
        return 2
    end
    redis.call('HSET', key, boot, ARGV[3] .. ZERO .. ZERO)
    return 1
end

function steps.renew()
    if is_ours and token ~= ARGV[3] then
        return 2
    elseif not is_live then
        return 0
    elseif nonce ~= ARGV[4] then
        redis.call('HSET', key, boot, token .. ARGV[4] .. ZERO)
    end
    return 1
end

function steps.retire()
    if is_ours and token ~= ARGV[3] then
        return 0
    elseif is_live then
        finish('\1')
    end
    return 1
end

function steps.kill()
    if not is_live or nonce ~= ARGV[3] then
        return 0
    end
    finish('\0')
    return 1
end

function steps.forget()
    if not is_ours or is_live then
        return 0
    end
    return redis.call('HDEL', key, boot)
end

return steps[ARGV[1]]()
