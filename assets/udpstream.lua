-- Wireshark dissector for udpstream, protocol version 1, by the tables of docs/PROTOCOL.md.
-- Try it: `tshark -X lua_script:udpstream.lua -r capture.pcap -V`; to keep it, copy it to the folder that Wireshark
-- names under Help, About, Folders, Personal Lua Plugins. UDP ports 9688 (pictures) and 9687 (sound), TCP port 9688, and on other ports
-- whatever begins with the magic.

local PORTS = { 9687, 9688 }
local udpstream = Proto("udpstream", "udpstream, pictures and sound over UDP")
udpstream.prefs.crc = Pref.bool("Check the CRC-32 of objects", true, "Takes some milliseconds for each large object")

local kinds = {
  [0x01] = "Hello", [0x02] = "Challenge", [0x03] = "Join", [0x04] = "Accept", [0x05] = "Refuse", [0x06] = "Bye",
  [0x07] = "PathCheck", [0x08] = "PathReply", [0x09] = "Update", [0x0a] = "List", [0x0b] = "Listing",
  [0x0c] = "Say", [0x0d] = "Talk", [0x0e] = "Heard", [0x0f] = "Unsaid",
  [0x10] = "Object", [0x11] = "Parity", [0x12] = "Probe",
  [0x20] = "Report", [0x21] = "Nack", [0x22] = "Want",
  [0x24] = "Get", [0x25] = "Gone",
}
local types = { [1] = "picture", [2] = "sound", [3] = "tables", [4] = "description", [5] = "text" }
local roles = { [0] = "watch", [1] = "relay", [2] = "publish" }
local states = { [0] = "waiting", [1] = "playing", [2] = "paused", [3] = "ended" }
local formats = { [0] = "4:2:0", [1] = "4:2:2", [2] = "4:4:4", [3] = "grey" }
local samples = { [0] = "16 bits, little-endian", [1] = "Opus" }
local places = { [0] = "off", [1] = "here", [2] = "on the sound port" }
local refusals = {
  [1] = "no version in common", [2] = "full", [3] = "too many from this address", [4] = "busy",
  [5] = "the stream has ended", [6] = "no such stream", [7] = "role not served",
  [8] = "datagrams too small", [9] = "a loop of relays",
}
local reasons = { [0] = "nothing limits it", [1] = "the path carries no more", [2] = "a queue stood", [3] = "congestion",
  [4] = "another flow", [5] = "reports stay away", [6] = "another watcher's path", [7] = "no more is wanted",
  [8] = "the path is tried out" }
local goodbyes = { [0] = "leaving", [1] = "ended", [2] = "stopped", [3] = "silent", [4] = "source failed" }
local unsaid = { [1] = "no talk", [2] = "too many lines", [3] = "muted", [4] = "nothing to read" }
local flags = { { 1, "SEALED" }, { 2, "LAST" }, { 4, "WHOLE" }, { 8, "CARD" }, { 16, "SAME" }, { 32, "DISCONTINUITY" } }

-- Fields by their last name; {length, ProtoField, name, base or names}. Length nil: told by what comes before.
local DEC, HEX = base.DEC, base.HEX
local fields = {}
local function field(key, length, name, show, names)
  local make = length and ProtoField["uint" .. length * 8] or ProtoField[show]
  local abbreviation = "udpstream." .. key
  local pf = length and make(abbreviation, name, show or DEC, names) or make(abbreviation, name)
  fields[key] = { length = length, pf = pf }
end
for _, f in ipairs {
  { "magic", 2, "Magic", HEX }, { "version", 1, "Version" }, { "kind", 1, "Kind", HEX, kinds },
  { "tag", 4, "Tag", HEX }, { "sequence", 4, "Hop sequence" }, { "sent_at", 4, "Sent at (µs)" },
  { "highest", 1, "Highest version" }, { "lowest", 1, "Lowest version" }, { "nonce", 8, "Nonce", HEX },
  { "server_nonce", 8, "Server nonce", HEX }, { "role", 1, "Role", DEC, roles }, { "fec", 1, "FEC schemes", HEX },
  { "largest", 2, "Largest datagram wanted" }, { "session", 8, "Session id", HEX }, { "clock", 8, "Clock (µs)" },
  { "interval", 2, "Report interval (ms)" }, { "silence", 2, "Silence limit (ms)" }, { "sound_port", 2, "Sound port" },
  { "refusal", 2, "Code", DEC, refusals }, { "retry", 4, "Retry after (ms)" }, { "goodbye", 2, "Code", DEC, goodbyes },
  { "number", 4, "Number" }, { "size", 2, "Size" }, { "echo", 4, "Echo (µs)" }, { "held", 4, "Held (µs)" },
  { "first", 4, "First hop sequence" }, { "n", 2, "Cells" }, { "shift", 1, "Unit of ages (16 µs, shifted)" }, { "update_ack", 4, "Update acknowledged" },
  { "buffer", 4, "Buffer (µs)" }, { "cell", 2, "Cell", HEX }, { "words", 1, "Header length (words)" },
  { "type", 1, "Type", DEC, types }, { "flags", 2, "Flags", HEX }, { "stream", 8, "Stream id", HEX },
  { "rendition", 1, "Rendition" }, { "cut", 1, "Cut", HEX }, { "tables", 1, "Tables" },
  { "format", 1, "Format", DEC, formats }, { "unit", 4, "Unit" }, { "part", 2, "Part" }, { "parts", 2, "Parts" },
  { "samples", 1, "Samples", DEC, samples }, { "frames", 2, "Frames" }, { "channels", 2, "Channels" },
  { "place", 1, "Place", DEC, places }, { "coarsest", 1, "Coarsest rendition" }, { "width", 2, "Width" }, { "height", 2, "Height" }, { "x8", 2, "Left edge (8 pixels)" },
  { "y8", 2, "Upper edge (8 pixels)" }, { "body_length", 2, "Body length" }, { "crc", 4, "CRC-32", HEX },
  { "repair", 1, "Repair", HEX }, { "patience", 2, "Patience (ms)" }, { "latency", 2, "Latency (ms)" }, { "scheme", 1, "Scheme" }, { "k", 1, "Objects covered" }, { "m", 1, "Symbols made" }, { "index", 1, "Index" }, { "stride", 1, "Stride" },
  { "symbol_length", 2, "Symbol length" }, { "count", 1, "Count" }, { "bitmap", 8, "Bitmap", HEX },
  { "last", 4, "Last unit" }, { "generation", 4, "Generation" }, { "state", 1, "State", DEC, states },
  { "line", 8, "Line id", HEX }, { "author", 4, "Author" }, { "first_line", 4, "First line" }, { "next_line", 4, "Next line" },
  { "unsaid", 1, "Code", DEC, unsaid },
  { "total", 2, "Streams in all" }, { "index16", 2, "First stream" }, { "watchers", 4, "Watchers" }, { "num", 4, "Numerator" }, { "den", 4, "Denominator" }, { "tlv_type", 2, "Type" }, { "tlv_length", 2, "Length" },
  { "reserved8", 1, "Reserved", HEX }, { "reserved16", 2, "Reserved", HEX }, { "length", 2, "Text length" },
  { "number16", 2, "Value" }, { "number32", 4, "Value" }, { "number64", 8, "Value" },
  { "quality", 1, "Quality" }, { "every", 1, "One picture in" }, { "reason", 1, "Reason", DEC, reasons },
  { "estimate", 4, "Estimate (kbit/s)" }, { "queue", 2, "Queue (0.1 ms)" },
  { "cookie", nil, "Cookie", "bytes" },
  { "token", nil, "Token", "bytes" }, { "text", nil, "Text", "string" }, { "body", nil, "Body", "bytes" },
  { "symbol", nil, "Symbol", "bytes" }, { "padding", nil, "Padding", "bytes" }, { "value", nil, "Value", "bytes" },
  { "segment", nil, "JPEG segment", "bytes" }, { "reserved24", nil, "Reserved", "bytes" },
} do field(f[1], f[2], f[3], f[4], f[5]) end
fields.media = { length = 8, pf = ProtoField.int64("udpstream.media", "Media time (µs)") }
fields.crc_ok = { pf = ProtoField.bool("udpstream.crc_ok", "CRC-32 matches") }
local all = {}
for _, f in pairs(fields) do all[#all + 1] = f.pf end
udpstream.fields = all

local group, severity = expert.group, expert.severity
local short = ProtoExpert.new("udpstream.short", "The datagram ends early", group.PROTOCOL, severity.ERROR)
local wrong = ProtoExpert.new("udpstream.wrong", "Impossible value", group.PROTOCOL, severity.ERROR)
local broken = ProtoExpert.new("udpstream.damaged", "CRC-32 does not match", group.CHECKSUM, severity.ERROR)
local strange = ProtoExpert.new("udpstream.unknown", "Unknown", group.UNDECODED, severity.NOTE)
udpstream.experts = { short, wrong, broken, strange }

-- What follows the hop header. `cookie:24` has a length of its own; words with a `*` are functions below.
local layouts = {
  [0x01] = "highest lowest reserved16 nonce *zeros", [0x02] = "nonce cookie:24 server_nonce",
  [0x03] = "nonce cookie:24 role fec largest *tlvs",
  [0x04] = "nonce session clock interval silence sound_port reserved16 token:8 *tlvs",
  [0x05] = "nonce highest lowest refusal retry *text *tlvs", [0x06] = "session goodbye *text", [0x07] = "token:8",
  [0x08] = "session token:8", [0x09] = "number *tlvs", [0x12] = "size *probe",
  [0x11] = "scheme type rendition cut stream unit part k m index stride symbol_length *symbol crc",
  [0x20] = "session number echo held first n shift update_ack buffer token:8 *cells", [0x21] = "session count *names",
  [0x22] = "session number *tlvs", [0x0a] = "nonce cookie:24 index16 *zeros",
  [0x0c] = "session line author *text *text", [0x0d] = "session stream first_line next_line",
  [0x0e] = "session stream next_line", [0x0f] = "session line unsaid *text",
  [0x0b] = "nonce total index16 *tlvs", [0x24] = "session stream type rendition cut reserved8 unit last", [0x10] = "*object",
}
layouts[0x25] = layouts[0x24]
local header = "words type flags stream rendition cut tables format unit part parts media width height x8 y8 "
  .. "body_length reserved16"
-- Of sound.
local sound_header = header:gsub("format", "samples"):gsub("width height", "frames channels")
local names = "stream type rendition cut reserved8 unit part bitmap"
local tlv_layouts = {
  [1] = { "TIMELINE", "generation state reserved24:3 media clock num den" }, [2] = { "REPORT_INTERVAL", "interval" },
  [3] = { "THINNING", "rendition quality every reason estimate queue" }, [4] = { "ELSEWHERE", "*rest" }, [5] = { "CLOCK", "echo held clock" },
  [6] = { "TOKEN", "token:8" }, [7] = { "WANTED", "number" }, [8] = { "HOPS", "*raw" }, [9] = { "UNICAST", "number16" },
  [10] = { "JUMP", "number sequence number32" },
  [16] = { "STREAM", "*rest" }, [17] = { "PROOF", "*raw" }, [18] = { "TICKET", "*raw" },
  [19] = { "WITH_SESSION", "session" }, [20] = { "WANT", "*tlvs" }, [21] = { "NAME", "*rest" },
  [22] = { "VIA", "*raw" },
  [23] = { "GRANT", "*raw" }, [24] = { "ENTRY", "state reserved24:3 watchers *text *description" },
  [28] = { "TOGETHER", "*rest" },
  [32] = { "RENDITION", "rendition cut" }, [33] = { "MAX_RATE", "number64" },
  [34] = { "QUALITY", "quality" }, [35] = { "SOUND", "place *rendition" }, [36] = { "PAUSE", "" }, [37] = { "RESUME", "" },
  [38] = { "PLAY", "number flags reserved24:3 media num den" }, [39] = { "MAX_SIZE", "width height" },
  [40] = { "REPAIR", "repair patience *latency" },
}
local description = {
  [1] = { "title", "*rest" }, [2] = { "pictures", "width height num den" }, [3] = { "length (µs)", "number64" },
  [4] = { "sound", "" }, [5] = { "ended after", "number32" }, [6] = { "live", "" },
  [7] = { "sound ended after", "number32" }, [8] = { "renditions", "*raw" }, [9] = { "film", "*raw" },
}
local line = { [1] = { "name", "*rest" }, [2] = { "text", "*rest" }, [3] = { "line id", "line" }, [4] = { "said by the maker", "" } }

local crc_table = {}
for n = 0, 255 do
  local c = n
  for _ = 1, 8 do
    c = bit.band(c, 1) == 1 and bit.bxor(0xEDB88320, bit.rshift(c, 1)) or bit.rshift(c, 1)
  end
  crc_table[n] = c
end
local function crc32(range)
  local c, bytes = 0xFFFFFFFF, range:bytes()
  for i = 0, bytes:len() - 1 do
    c = bit.bxor(crc_table[bit.band(bit.bxor(c, bytes:get_index(i)), 0xFF)], bit.rshift(c, 8))
  end
  return bit.bnot(c) % 0x100000000
end

-- A place in a datagram: its bytes, position, end, and the numbers seen so far.
local special = {}
local function walk(at, tree, layout)
  for word in layout:gmatch("%S+") do
    if word:sub(1, 1) == "*" then
      if special[word:sub(2)](at, tree) == false then return false end
    else
      local key, bytes = word:match("^([^:]+):?(%d*)$")
      local f = fields[key]
      local length = f.length or tonumber(bytes)
      if at.pos + length > at.stop then
        tree:add_proto_expert_info(short)
        return false
      end
      local range = at.tvb(at.pos, length)
      local item = tree:add(f.pf, range)
      if f.length and f.length <= 4 then at[key] = range:uint() end
      if key == "flags" then
        for _, flag in ipairs(flags) do
          if bit.band(at.flags, flag[1]) ~= 0 then item:append_text(" " .. flag[2]) end
        end
      end
      at.pos = at.pos + length
    end
  end
end

-- As many bytes of one field; false if they are not there.
local function take(at, tree, key, length)
  if at.pos + length > at.stop then
    tree:add_proto_expert_info(short)
    return false
  end
  if length > 0 then tree:add(fields[key].pf, at.tvb(at.pos, length)) end
  at.pos = at.pos + length
end

local function within(at, length)
  return { tvb = at.tvb, pos = at.pos, stop = at.pos + length }
end

function special.text(at, tree)
  if walk(at, tree, "length") == false then return false end
  return take(at, tree, "text", at.length)
end
function special.rest(at, tree) return take(at, tree, "text", at.stop - at.pos) end
function special.raw(at, tree) return take(at, tree, "value", at.stop - at.pos) end
function special.symbol(at, tree) return take(at, tree, "symbol", at.symbol_length) end
-- The last two of a SOUND, which may be left out.
function special.rendition(at, tree)
  if at.pos < at.stop and walk(at, tree, "rendition") == false then return false end
  if at.pos < at.stop then return walk(at, tree, "coarsest") end
end
-- The last of a REPAIR, which may be left out.
function special.latency(at, tree)
  if at.pos < at.stop then return walk(at, tree, "latency") end
end
function special.zeros(at, tree)
  if at.tvb:len() < 1200 then tree:add_proto_expert_info(wrong, "Less than 1200 bytes") end
  return take(at, tree, "padding", at.stop - at.pos)
end
function special.probe(at, tree)
  if at.size ~= at.tvb:len() then tree:add_proto_expert_info(wrong, "The size is not that of the datagram") end
  return take(at, tree, "padding", at.stop - at.pos)
end
local marks = { [0] = "", ", ECT(1)", ", ECT(0)", ", CE" }
function special.cells(at, tree)
  if at.n > 560 then tree:add_proto_expert_info(wrong, "More than 560 cells") end
  at.lost = 0
  for i = 0, at.n - 1 do
    if at.pos + 2 > at.stop then return take(at, tree, "cell", 2) end
    local cell = at.tvb(at.pos, 2):uint()
    local received = cell >= 0x8000
    local mark = marks[math.floor(cell / 0x2000) % 4]
    local fate = received and ("received %d µs before%s"):format(cell % 0x2000 * 16 * 2 ^ at.shift, mark) or "lost"
    tree:add(fields.cell.pf, at.tvb(at.pos, 2)):append_text((" %d %s"):format((at.first + i) % 2 ^ 32, fate))
    at.lost, at.pos = at.lost + (received and 0 or 1), at.pos + 2
  end
end
function special.names(at, tree)
  for i = 1, at.count do
    local length = math.min(26, at.stop - at.pos)
    local name = tree:add(udpstream, at.tvb(at.pos, length), "Name " .. i)
    if walk(at, name, names) == false then return false end
  end
end
function special.tlvs(at, tree, of)
  while at.pos < at.stop do
    local inner = within(at, at.stop - at.pos)
    local item = tree:add(udpstream, at.tvb(at.pos, at.stop - at.pos), "TLV")
    if walk(inner, item, "tlv_type tlv_length") == false then return false end
    if inner.pos + inner.tlv_length > at.stop then
      item:add_proto_expert_info(short)
      return false
    end
    item:set_len(4 + inner.tlv_length)
    local known = (of or tlv_layouts)[inner.tlv_type] or { "unknown", "*raw" }
    item:append_text((" %d: %s"):format(inner.tlv_type, known[1]))
    if known[1] == "unknown" then item:add_proto_expert_info(strange) end
    walk(within(inner, inner.tlv_length), item, known[2])
    at.pos = inner.pos + inner.tlv_length
  end
end
function special.description(at, tree) return special.tlvs(at, tree, description) end

-- The segments of a JPEG, up to its scan.
local segments = { [0xC0] = "SOF0", [0xC4] = "DHT", [0xDA] = "SOS", [0xDB] = "DQT", [0xDD] = "DRI", [0xE0] = "APP0" }
local function jpeg(range, tree)
  local body = tree:add(fields.body.pf, range)
  body:set_text(("JPEG, %d bytes"):format(range:len()))
  if range:len() < 4 or range(0, 2):uint() ~= 0xFFD8 then return body:add_proto_expert_info(wrong, "No JPEG") end
  local at = 2
  while at + 4 <= range:len() do
    local marker, length = range(at + 1, 1):uint(), range(at + 2, 2):uint()
    if range(at, 1):uint() ~= 0xFF or at + 2 + length > range:len() then
      return body:add_proto_expert_info(wrong, "A segment reaches behind the end")
    end
    local item = body:add(fields.segment.pf, range(at, 2 + length))
    item:set_text(("%s, %d bytes"):format(segments[marker] or ("marker ff%02x"):format(marker), 2 + length))
    if marker == 0xC0 then item:append_text((": %d × %d"):format(range(at + 7, 2):uint(), range(at + 5, 2):uint())) end
    if marker == 0xDD then item:append_text((": %d MCUs"):format(range(at + 4, 2):uint())) end
    at = at + 2 + length
    if marker == 0xDA then break end
  end
  if at < range:len() then
    body:add(fields.segment.pf, range(at)):set_text(("scan, %d bytes, and EOI"):format(range:len() - at - 2))
  end
end

local function opus(at, item)
  item:set_text(("Opus, unit %d: %d frames, %d channels"):format(at.unit, at.frames, at.channels))
  local possible = at.frames > 0 and at.frames <= 960 and at.channels == 2
  if not possible or at.body_length == 0 or at.body_length > 1276 then
    item:add_proto_expert_info(wrong, "No packet of 960 frames")
  end
end

local function pcm(at, tree, body)
  local item = tree:add(fields.body.pf, at.tvb(body, at.body_length))
  if at.rendition == 2 then return opus(at, item) end
  item:set_text(("PCM, chunk %d: %d frames, %d channels"):format(at.unit, at.frames, at.channels))
  local possible = at.frames > 0 and at.frames <= 256 and at.channels > 0 and at.channels <= 2
  if not possible or at.body_length ~= at.frames * at.channels * 2 then
    item:add_proto_expert_info(wrong, "Frames and channels do not fit the body")
  end
end

function special.object(at, tree)
  local start = at.pos
  local part = tree:add(udpstream, at.tvb(start, at.stop - start), "Object")
  local sound = start + 2 <= at.stop and at.tvb(start + 1, 1):uint() == 2
  if walk(at, part, sound and sound_header or header) == false then return false end
  local body, stop = start + at.words * 4, start + at.words * 4 + at.body_length
  if at.words < 11 then return part:add_proto_expert_info(wrong, "A header of less than 11 words") end
  if at.parts > 0 and at.part >= at.parts then part:add_proto_expert_info(wrong, "The part is none of the parts") end
  if stop + 4 > at.stop then
    part:add_proto_expert_info(short)
    return false
  end
  at.pos = body
  if at.type == 4 then
    local item = part:add(udpstream, at.tvb(body, at.body_length), "Description")
    special.tlvs(within(at, at.body_length), item, description)
  elseif at.type == 5 and bit.band(at.flags, 1) == 0 then
    local item = part:add(udpstream, at.tvb(body, at.body_length), "Line of talk")
    special.tlvs(within(at, at.body_length), item, line)
  elseif at.body_length > 0 and at.type == 1 and bit.band(at.flags, 1) == 0 then
    jpeg(at.tvb(body, at.body_length), part)
  elseif sound and bit.band(at.flags, 1) == 0 then
    pcm(at, part, body)
  elseif at.body_length > 0 then
    part:add(fields.body.pf, at.tvb(body, at.body_length))
  end
  at.pos = stop
  walk(at, part, "crc")
  if udpstream.prefs.crc then
    local good = crc32(at.tvb(start, stop - start)) == at.crc
    local item = part:add(fields.crc_ok.pf, at.tvb(stop, 4), good)
    item:set_generated()
    if not good then item:add_proto_expert_info(broken) end
  end
end

local function info(at)
  if at.kind == 0x10 and at.parts then
    local words = { [5] = ("line %d"):format(at.unit), [1] = ("picture %d, part %d of %d"):format(at.unit, at.part, at.parts),
      [2] = at.frames and ("sound, %s %d, %d frames, %d channels"):format(
        at.rendition == 2 and "unit" or "chunk", at.unit, at.frames, at.channels) }
    return words[at.type] or types[at.type] or "type " .. at.type
  elseif at.kind == 0x20 and at.lost then
    return ("%d: %d from %d, %d lost"):format(at.number, at.n, at.first, at.lost)
  elseif at.kind == 0x05 and at.refusal then
    return refusals[at.refusal] or at.refusal
  elseif at.kind == 0x06 and at.goodbye then
    return goodbyes[at.goodbye] or at.goodbye
  end
  return at.size and at.size .. " bytes" or at.number and tostring(at.number) or ""
end

function udpstream.dissector(buffer, pinfo, tree)
  if buffer:len() < 2 or buffer(0, 2):uint() ~= 0x5553 then return 0 end
  pinfo.cols.protocol = "udpstream"
  local root = tree:add(udpstream, buffer())
  local at = { tvb = buffer, pos = 0, stop = buffer:len() }
  if walk(at, root, "magic version kind tag sequence sent_at") == false then return end
  local name = kinds[at.kind] or ("kind 0x%02x"):format(at.kind)
  root:append_text(", " .. name)
  if layouts[at.kind] == nil or (at.version ~= 1 and at.kind ~= 0x01 and at.kind ~= 0x05) then
    root:add_proto_expert_info(strange, "Another version, or an unknown kind")
    pinfo.cols.info = name
    return
  end
  local whole = walk(at, root, layouts[at.kind])
  if whole ~= false and at.pos < at.stop then root:add(fields.padding.pf, buffer(at.pos)) end
  pinfo.cols.info = (name .. " " .. info(at)):gsub(" $", "")
end

for _, port in ipairs(PORTS) do DissectorTable.get("udp.port"):add(port, udpstream) end
udpstream:register_heuristic("udp", function(buffer, pinfo, tree)
  local ours = buffer:len() >= 16 and buffer(0, 2):uint() == 0x5553 and kinds[buffer(3, 1):uint()] ~= nil
  if ours then udpstream.dissector(buffer, pinfo, tree) end
  return ours
end)

-- Through TCP each datagram stands behind its length.
local stream = Proto("udpstream_tcp", "udpstream through TCP")
local function framed(buffer, pinfo, tree)
  return dissect_tcp_pdus(buffer, tree, 4, function(head) return 4 + head(0, 4):uint() end, function(whole, at, root)
    udpstream.dissector(whole(4):tvb(), at, root)
    return whole:len()
  end)
end
stream.dissector = framed
DissectorTable.get("tcp.port"):add(9688, stream)
stream:register_heuristic("tcp", function(buffer, pinfo, tree)
  local ours = buffer:len() >= 20 and buffer(4, 2):uint() == 0x5553 and kinds[buffer(7, 1):uint()] ~= nil
  if ours then framed(buffer, pinfo, tree) end
  return ours
end)
