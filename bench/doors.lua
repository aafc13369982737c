-- For wrk: POSTs of one body in which every event gets an id and a user of its own, so that no request repeats another.
--
--     wrk … -s doors.lua URL -- BODY RUN gzip|plain [MILLISECONDS]
--
-- BODY is a file with byte 1 in place of each id and byte 2 in place of each user. RUN is a number that no other run over the same
-- data has. MILLISECONDS is the mean pause of a connection before each request; without it there is none.
-- Prints a line that begins with RESULT, and JSON.

local ID, USER, END = "\1", "\2", "\3"
local USERS = 100000
local parts, ids, users, suffixes, names = {}, {}, {}, {}, {}
local run, serial, packed = 0, 0, nil

-- gzip by zlib, with one state for all requests. Only the real body size is worth measuring, so this has the default level.
local function compressor()
    local ffi = require("ffi")
    ffi.cdef [[
        typedef struct {
            const uint8_t *next_in; unsigned avail_in; unsigned long total_in;
            uint8_t *next_out; unsigned avail_out; unsigned long total_out;
            const char *msg; void *state; void *zalloc; void *zfree; void *opaque;
            int data_type; unsigned long adler; unsigned long reserved;
        } z_stream;
        const char *zlibVersion(void);
        int deflateInit2_(z_stream *, int, int, int, int, int, const char *, int);
        int deflate(z_stream *, int);
        int deflateReset(z_stream *);
    ]]
    local z = ffi.load("libz.so.1")
    local stream = ffi.new("z_stream")
    -- -1: default level; 8: deflate; 15 + 16: a window of 32 KiB with gzip's header.
    assert(z.deflateInit2_(stream, -1, 8, 31, 8, 0, z.zlibVersion(), ffi.sizeof(stream)) == 0)
    return function(text)
        local room = #text + 1024
        local out = ffi.new("uint8_t[?]", room)
        z.deflateReset(stream)
        stream.next_in, stream.avail_in = ffi.cast("const uint8_t *", text), #text
        stream.next_out, stream.avail_out = out, room
        assert(z.deflate(stream, 4) == 1)
        return ffi.string(out, room - stream.avail_out)
    end
end

function init(args)
    local file = assert(io.open(args[1], "rb"))
    local body = file:read("*a")
    file:close()
    run = tonumber(args[2])
    if args[3] == "gzip" then packed = compressor() end
    if args[4] then
        local mean = tonumber(args[4])
        math.randomseed(run)
        -- Not the same for all, or the connections would send at once.
        delay = function() return math.random(math.ceil(mean * 0.5), math.ceil(mean * 1.5)) end
    end
    for text, mark in (body .. END):gmatch("([^\1\2\3]*)([\1\2\3])") do
        parts[#parts + 1] = text
        if mark == ID then
            parts[#parts + 1] = ""
            ids[#ids + 1] = #parts
            suffixes[#ids] = string.format("%04x", #ids)
        elseif mark == USER then
            parts[#parts + 1] = ""
            users[#users + 1] = #parts
        end
    end
    for i = 0, USERS - 1 do names[i] = string.format("user-%07d", i) end
end

function request()
    serial = serial + 1
    local prefix = string.format("%08x-%04x-7000-8000-%08x", run, serial / 4294967296, serial % 4294967296)
    for i = 1, #ids do parts[ids[i]] = prefix .. suffixes[i] end
    local first = serial * #users
    for i = 1, #users do parts[users[i]] = names[(first + i) % USERS] end
    local body = table.concat(parts)
    return wrk.format("POST", nil, nil, packed and packed(body) or body)
end

function done(summary, latency, requests)
    local errors = summary.errors
    io.write(string.format(
        'RESULT {"seconds":%.6f,"requests":%d,"refused":%d,"broken":%d,"p50_ms":%.3f,"p99_ms":%.3f}\n',
        summary.duration / 1e6, summary.requests, errors.status, errors.connect + errors.read + errors.write + errors.timeout,
        latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
