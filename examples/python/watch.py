"""Shows what a udpstream server sends, but no sound; by docs/PROTOCOL.md alone, with its sections. q or Esc leaves.
Exit codes: 0 done, 1 failed, 2 wrong usage, 3 the server refused, could not be reached, or has fallen silent."""
import argparse, collections, contextlib, os, re, socket, sys, time, zlib
from struct import error as StructError, pack, unpack_from
import repair
import cv2, numpy  # apt install python3-opencv, or pip install numpy opencv-python
HELLO, CHALLENGE, JOIN, ACCEPT, REFUSE, BYE, PATH_CHECK, PATH_REPLY, UPDATE = range(1, 10)  # Kinds, section 5.
OBJECT, PROBE, REPORT, TOKEN, LOW_HALF = 0x10, 0x12, 0x20, 6, 0xFFFFFFFF
PICTURE, DESCRIPTION, SEALED, SAME, LONGEST_SIDE = 1, 4, 0x01, 0x10, 16_384  # Of objects, section 3.

def fail(code, sentence):
    print("error:", "".join(filter(str.isprintable, sentence)), file=sys.stderr)
    sys.exit(code)

def decode(jpeg, quality):
    if quality:  # Section 4. A quantisation table holds no 0, so a marker with the 0 of its length is not in one.
        made = cv2.imencode(".jpg", numpy.zeros((8, 8, 3), "u1"), [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
        dqt, sof, dht, sos = (made.index(bytes((0xFF, marker, 0))) for marker in (0xDB, 0xC0, 0xC4, 0xDA))
        jpeg = jpeg[:2] + made[dqt:sof] + made[dht:sos] + jpeg[2:]
    return cv2.imdecode(numpy.frombuffer(jpeg, numpy.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)

class Watcher:  # All its times are in microseconds.
    def __init__(self, host, port):
        family, kind, _, _, server = min(socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM))  # IPv4 first.
        self.socket = socket.socket(family, kind)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.socket.settimeout(0.002)
        self.socket.connect(server)  # From now on it takes datagrams of that address only.
        self.session, self.stream, self.bye, self.heard = 0, None, None, time.monotonic_ns() // 1000
        self.repair, self.units, self.canvas, self.count = repair.Repair(), {}, None, collections.Counter(last=-1)
        self.joined, self.nonce, self.cookie, self.tries, self.knock_at = False, os.urandom(8), None, 0, 0
    def send(self, kind, message, sequence=0):
        tag, now = self.session & LOW_HALF if kind >= BYE else 0, time.monotonic_ns() // 1000
        with contextlib.suppress(OSError):  # No way there, perhaps for a moment: it is sent again, or silence tells.
            self.socket.send(pack(">HBBIII", 0x5553, 1, kind, tag, sequence, now & LOW_HALF) + message)
    def send_what_is_due(self, now):  # Sections 7 and 8.
        if not self.joined and now >= self.knock_at:  # Hello until there is a cookie, then Join until a Description.
            hello, join = pack(">BBH8s1172x", 1, 1, 0, self.nonce), self.nonce + (self.cookie or b"") + repair.JOIN
            self.send(JOIN if self.cookie else HELLO, join if self.cookie else hello)
            self.knock_at, self.tries = now + min(50_000 << min(self.tries, 3), 250_000), self.tries + 1
        if self.session and (now >= self.report_at or self.newest - self.first >= 400):
            hops = range(self.first, min(self.newest + 1, self.first + 560))
            oldest = max((now - self.arrivals[hop] for hop in hops if hop in self.arrivals), default=0)
            unit = next((shift for shift in range(4) if oldest >> 4 + shift <= 8191), 4)
            cells = [0x8000 | min(now - self.arrivals[hop] >> 4 + unit, 8191) if hop in self.arrivals else 0 for hop in hops]
            self.first, self.reports, self.report_at, self.said = hops.stop, self.reports + 1, now + self.interval, self.said + 1
            self.send(REPORT, pack(f">QIIIIHBII8s{len(hops)}H", self.session, self.reports, self.echo, now - self.heard,
                                   hops.start & LOW_HALF, len(hops), unit, self.update, 0, self.token, *cells), self.said)
        if self.session and (nack := self.repair.asks(self.session, now)):
            self.said += 1
            self.send(repair.NACK, nack, self.said)
    def receive(self, datagram, now):
        (magic, version, kind, tag, hop, sent_at), data = unpack_from(">HBBIII", datagram), datagram[16:]
        join = kind < BYE and not self.session and data[:8] == self.nonce
        if magic != 0x5553 or (version != 1 and kind != REFUSE) or not (join or tag == self.session & LOW_HALF != 0):
            return
        if not join:
            self.hear(kind, hop, sent_at, data, now)
        elif kind == REFUSE:
            fail(3, "the server refused. " + data[18:18 + int.from_bytes(data[16:18], "big")].decode())
        elif kind == CHALLENGE and not self.cookie:
            self.cookie, self.tries, self.knock_at = data[8:32], 0, now
        elif kind == ACCEPT and self.cookie:
            self.session, _, interval, self.token = unpack_from(">QQH6x8s", data, 8)
            self.heard, self.interval, self.report_at = now, 1000 * interval, now + 1000 * interval
            self.said, self.reports, self.update, self.arrivals, self.first, self.newest, self.echo = 0, 0, 0, {}, 0, -1, sent_at
    def hear(self, kind, hop, sent_at, data, now):
        end = 4 * data[0] + int.from_bytes(data[40:42], "big") if kind == OBJECT else 0
        if kind == OBJECT and (data[0] < 11 or data[end:end + 4] != zlib.crc32(data[:end]).to_bytes(4, "big")):
            raise ValueError("damaged: it has not arrived, as far as reports are concerned")
        self.heard, self.echo = now, sent_at
        if kind >= OBJECT:
            hop = self.newest + (hop - self.newest + (1 << 31)) % (1 << 32) - (1 << 31)  # As if it did not wrap.
            self.newest, self.first = max(self.newest, hop), max(min(self.first, hop), self.newest - 8191)
            self.arrivals[hop] = now
            self.arrivals.pop(hop - 8192, None)
        if kind == OBJECT:
            self.take_whole(data[:end + 4], now)
        elif kind == repair.PARITY:
            for whole in self.repair.parity(data):
                self.take_whole(whole, now)
        elif kind == PROBE:
            self.report_at = min(self.report_at, now + 500)
        elif kind == PATH_CHECK:
            self.send(PATH_REPLY, pack(">Q8s", self.session, data[:8]))
        elif kind == UPDATE:
            self.update, tlv = max(self.update, int.from_bytes(data[:4], "big")), 4
            while tlv < len(data):
                name, length = unpack_from(">HH", data, tlv)
                self.token = data[tlv + 4:tlv + 12] if (name, length) == (TOKEN, 8) else self.token
                tlv += 4 + length
        elif kind == BYE and not self.bye:
            self.bye = now + 250_000, data[9], data[12:12 + int.from_bytes(data[10:12], "big")].decode()
    def take_whole(self, whole, now):
        if whole[-4:] != zlib.crc32(whole[:-4]).to_bytes(4, "big"):
            raise ValueError("rebuilt of what does not belong together")
        self.repair.came(whole)
        self.take(whole[:-4], now)
        for other in self.repair.rebuilt(int.from_bytes(whole[16:20], "big")):
            self.take_whole(other, now)
    def take(self, data, now):  # Section 3.
        fields = unpack_from(">xBHQBBBxIHH8xHHHH", data)
        kind, flags, stream, rendition, cut, quality, unit, part, parts, width, height, x8, y8 = fields
        if kind == DESCRIPTION:
            self.stream, self.joined, self.full = stream, True, (width, height)
        if (kind, stream, flags & SEALED) != (PICTURE, self.stream, 0) or unit <= self.count["last"]:
            return
        picture = self.units.get(unit, {"common": (width, height, cut, parts), "parts": {}, "first_at": now})
        image = numpy.zeros((0, 0, 3), numpy.uint8) if flags & SAME else decode(data[4 * data[0]:], quality)
        inside = image is not None and 8 * x8 + image.shape[1] <= width and 8 * y8 + image.shape[0] <= height
        sound = picture["common"] == (width, height, cut, parts) and part < parts and max(width, height) <= LONGEST_SIDE
        if not inside or not sound:
            raise ValueError("no JPEG, or it contradicts itself or the picture's other parts")
        self.units[unit], picture["newest_at"], picture["parts"][part] = picture, now, (image, 8 * x8, 8 * y8)
    def show_next(self, now):  # Section 8: if it is complete, or was waited for. What is missing keeps the old pixels.
        (unit, picture), *later = sorted(self.units.items())
        width, height, _, parts = picture["common"]
        missing = len(picture["parts"]) < parts
        patience = [picture["newest_at"] + 500_000] + [other["first_at"] + 8_000 for _, other in later]
        if missing and now < min(patience) and not (self.bye and now >= self.bye[0]):
            return
        if self.canvas is None:
            self.canvas = numpy.zeros((height, width, 3), numpy.uint8)
        if self.canvas.shape[:2] != (height, width) and not (parts == 1 and picture["parts"][0][0].size == 0):
            self.canvas = cv2.resize(self.canvas, (width, height))  # Another rendition, section 3.3.
        for image, x, y in self.units.pop(unit)["parts"].values():
            self.canvas[y:y + image.shape[0], x:x + image.shape[1]] = image
        self.count.update(shown=1, slices=len(picture["parts"]), damaged=int(missing))
        self.count["last"] = unit
        if not options.headless:
            cv2.imshow("udpstream", cv2.resize(self.canvas, self.full, interpolation=cv2.INTER_CUBIC))
    def run(self):
        while self.count["shown"] != options.frames and (options.headless or cv2.waitKey(1) & 255 not in b"\x1bq"):
            for _ in range(8):
                try:
                    self.receive(self.socket.recv(65_536), time.monotonic_ns() // 1000)
                except OSError:  # Nothing more has come.
                    break
                except (ValueError, LookupError, StructError, cv2.error):
                    self.count["rejected"] += 1
            now = time.monotonic_ns() // 1000
            self.send_what_is_due(now)
            if self.units:
                self.show_next(now)
            elif self.bye and now >= self.bye[0]:
                return fail(1, self.bye[2]) if self.bye[1] == 4 else None
            if now - self.heard > options.timeout * 1e6:
                fail(3, f"nobody answers at {options.server}: check that `udpstream serve` runs there, and its port")

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("server", metavar="HOST[:PORT]", help="IPv6 as [ADDRESS]:PORT; the port is 9688 unless given")
parser.add_argument("--headless", action="store_true", help="open no window")
parser.add_argument("--frames", type=int, metavar="N", help="leave after so many pictures")
parser.add_argument("--save", metavar="FILE.png", help="save the picture shown last")
parser.add_argument("--timeout", type=float, default=5, metavar="SECONDS", help="silence until giving up (5)")
options = parser.parse_args()
place = re.fullmatch(r"(?:\[(.+)\]|([^:\[\]]+))(?::(\d{1,5}))?", options.server)
if not place or not 0 < int(place[3] or 9688) < 65536:
    parser.error(f"{options.server!r} is no server: write HOST or HOST:PORT")
if not (options.headless or {"DISPLAY", "WAYLAND_DISPLAY"} & set(os.environ)):
    fail(1, "there is no display: use --headless")
try:
    watcher = Watcher(place[1] or place[2], int(place[3] or 9688))
    with contextlib.suppress(KeyboardInterrupt):
        watcher.run()
    if watcher.session:
        watcher.send(BYE, pack(">QHH", watcher.session, 0, 0))
    if options.save and (watcher.canvas is None or not cv2.imwrite(options.save, cv2.resize(watcher.canvas, watcher.full))):
        fail(1, f"no picture came, or {options.save} cannot be written")
    print(" ".join(f"{name}={watcher.count[name]}" for name in ("shown", "last", "damaged", "rejected", "slices")))
except (OSError, UnicodeError, cv2.error) as problem:
    fail(1, f"{options.server} cannot be watched: {problem}")
