#!/usr/bin/env python3
"""Watches a udpstream server: docs/PROTOCOL.md in Python, NumPy and OpenCV. `watch.py HOST[:PORT]`; q or Esc leaves.
Exit codes: 0 done, 1 failed, 2 wrong usage, 3 the server could not be reached or refused."""
import argparse, re, secrets, select, socket, struct, sys, zlib
from collections import Counter
from contextlib import suppress
from functools import lru_cache
from time import monotonic
try:
    import cv2, numpy as np
except ImportError as why:
    sys.exit(f"error: {why}: install NumPy and OpenCV (apt install python3-opencv, or pip install opencv-python)")

HELLO, CHALLENGE, JOIN, ACCEPT, REFUSE, BYE, PATH_CHECK, PATH_REPLY, UPDATE = range(1, 10)
OBJECT, PROBE, REPORT, LOW = 0x10, 0x12, 0x20, 0xFFFFFFFF
HOP, HEADER = struct.Struct(">HBBIII"), struct.Struct(">BBHQBBBBIHHqHHHH")

@lru_cache
def tables(quality):  # Annex K's, scaled: the DQT and DHT segments that libjpeg puts in front of any picture.
    jpeg = cv2.imencode(".jpg", np.zeros((8, 8, 3), np.uint8), (cv2.IMWRITE_JPEG_QUALITY, quality))[1].tobytes()
    return b"".join(re.findall(rb"\xff\xdb\0\x43.{65}|\xff\xc4\0\x1f.{29}|\xff\xc4\0\xb5.{179}", jpeg, re.S))

def number(data, *at):
    return int.from_bytes(data[slice(*at)], "big")

def tlvs(data, found):  # Of several of one type the first counts.
    while len(data) >= 4:
        end = 4 + number(data, 2, 4)
        found.setdefault(number(data, 0, 2), data[4:end])
        data = data[end:]
    return found

def fail(code, sentence):
    print(f"error: {sentence}", file=sys.stderr)
    sys.exit(code)

class Watcher:
    def __init__(self, host, port):
        self.name, self.count = f"{host}:{port}", Counter()
        try:
            family, *_, self.server = sorted(socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM))[0]
        except OSError as why:
            fail(3, f"no address is known for {host}: check the name ({why.strerror})")
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.nonce, self.retry_at, self.tries, self.heard = secrets.token_bytes(8), 0, 0, monotonic()
        self.cookie = self.echo = self.stream = self.picture = self.bye = None
        self.session, self.reports, self.update, self.interval, self.report_at = 0, 0, 0, 0.05, 0
        self.arrived, self.first, self.top, self.units, self.shown, self.ended = {}, 0, -1, {}, -1, None

    def send(self, kind, body, sequence=0):
        hop = HOP.pack(0x5553, 1, kind, self.session & LOW, sequence, int(monotonic() * 1e6) & LOW)
        with suppress(OSError):  # No way there, perhaps for a moment: it is sent again, or silence ends it.
            self.socket.sendto(hop + body, self.server)

    def timers(self, now, timeout):
        if not self.stream and now >= self.retry_at:  # Hello until Challenge, Join until the Description is there.
            self.retry_at, self.tries = now + (0.05, 0.1, 0.2, 0.25)[min(self.tries, 3)], self.tries + 1
            if self.cookie and self.tries <= 8:
                self.send(JOIN, self.nonce + self.cookie + bytes(4))
            else:
                self.cookie, self.session, self.nonce = None, 0, secrets.token_bytes(8) if self.cookie else self.nonce
                self.send(HELLO, (b"\1\1\0\0" + self.nonce).ljust(1184, b"\0"))
        if self.echo and (now >= self.report_at or self.top - self.first >= 400):
            cells = [self.arrived.get(n) for n in range(self.first, min(self.top + 1, self.first + 560))]
            cells = [0x8000 | min(0x1FFF, int((now - at) * 62500)) if at else 0 for at in cells]
            self.reports, self.report_at, held = self.reports + 1, now + self.interval, int((now - self.echo[1]) * 1e6)
            head = self.session, self.reports, self.echo[0], held, self.first & LOW, len(cells), self.update, 0
            self.send(REPORT, struct.pack(f">QIIIIHII{len(cells)}H", *head, *cells), self.reports)
            self.first += len(cells)
            self.arrived = {n: at for n, at in self.arrived.items() if n > self.top - 8192}
        if now - self.heard > timeout:
            fail(3, f"{self.name} has fallen silent" if self.session else f"nobody answers at {self.name}: check that "
                 "`udpstream serve` runs there, its port, and firewalls in between (UDP)")

    def receive(self, data, address, now):
        (magic, version, kind, tag, sequence, sent), body = HOP.unpack_from(data), data[16:]
        if address != self.server or magic != 0x5553 or version != 1 and kind != REFUSE:
            return
        self.count.update(datagrams=1, bytes=len(data))
        if kind in (CHALLENGE, ACCEPT, REFUSE) and body[:8] == self.nonce and not self.session:
            if kind == REFUSE:
                fail(3, f"{self.name} refused. {body[18:18 + number(body, 16, 18)].decode()}")
            if kind == CHALLENGE and not self.cookie:
                self.cookie, self.tries, self.retry_at = body[8:32], 0, now
            elif kind == ACCEPT and tag == number(body, 12, 16):
                self.session, self.interval = number(body, 8, 16), number(body, 24, 26) / 1e3
                self.tries, self.retry_at = 0, now + 0.05
        elif kind > REFUSE and self.session and tag == self.session & LOW:
            end = body[0] * 4 + number(body, 40, 42)
            if kind == OBJECT and (body[0] < 11 or number(body, end, end + 4) != zlib.crc32(body[:end])):
                return self.count.update(rejected=1)
            if not self.echo or (sent - self.echo[0]) & LOW < 1 << 31:
                self.echo = sent, now
            self.heard, sequence = now, self.top + (sequence - self.top + (1 << 31)) % (1 << 32) - (1 << 31)
            if kind >= 0x10:
                if sequence in self.arrived or not self.top - 8192 < sequence <= self.top + 65536:
                    return  # A duplicate, or nonsense.
                self.arrived[sequence], self.first, self.top = now, min(self.first, sequence), max(self.top, sequence)
            self.take(kind, body, end, now)

    def take(self, kind, body, end, now):
        if kind == OBJECT:
            words, of, flags, stream, _, cut, tab, _, unit, part, parts, _, *size, x8, y8 = HEADER.unpack_from(body)
            if of == 4:
                told = tlvs(body[words * 4:end], {})
                self.stream = self.stream or stream
                self.window = min(0.008, number(told[2], 8, 12) / number(told[2], 4, 8) / 4)
                self.ended = self.ended or 5 in told and (number(told[5], 0, 4), now + 0.25)
            elif of == 1 and stream == self.stream and unit > self.shown and part < (parts or 65536):
                same, have, _ = self.units.setdefault(unit, ((cut, parts, size), {}, now))
                if same == (cut, parts, size):
                    have.setdefault(part, (flags, tab, x8 * 8, y8 * 8, body[words * 4:end]))
        elif kind == PROBE:
            self.report_at = min(self.report_at, now + 0.0005)
        elif kind == PATH_CHECK:
            self.send(PATH_REPLY, self.session.to_bytes(8, "big") + body[:8])
        elif kind == UPDATE:
            self.update, interval = max(self.update, number(body, 0, 4)), number(tlvs(body[4:], {}).get(2, b""), 0, 2)
            self.interval = min(2000, max(10, interval)) / 1e3 if interval else self.interval
        elif kind == BYE and number(body, 0, 8) == self.session:
            self.bye = number(body, 8, 10), body[12:12 + number(body, 10, 12)].decode()

    def show(self, now):  # The next picture, once it is complete or was waited for long enough. True: there is one.
        unit = min(self.units)
        (_, parts, (width, height)), have, since = self.units[unit]
        later = min((at for other, (_, _, at) in self.units.items() if other > unit), default=now)
        if len(have) != parts and now - later < self.window and now - since < (0.25 if self.ended else 0.5):
            return False
        canvas, same = np.zeros((height, width, 3), np.uint8), any(flags & 16 for flags, *_ in have.values())
        if self.picture is not None and (same or self.picture.shape == canvas.shape):
            canvas = self.picture.copy()  # SAME; and what is missing keeps the pixels of the picture before.
        good = sum(same or decode(canvas, *part) for part in have.values())
        self.count.update(shown=1, slices=len(have), damaged=int(good != parts))
        self.picture, self.shown = canvas, unit
        return bool(self.units.pop(unit))

    def is_over(self, now):  # All has been said and shown.
        played = not self.ended or self.shown >= self.ended[0] - 1 or now > self.ended[1]
        return self.bye and played and not self.units

def decode(canvas, _flags, quality, x, y, data):
    height, width = canvas.shape[:2]
    if quality:  # Abbreviated: SOF0 stands where it always stands; tables go in behind SOI.
        (height, width), data = struct.unpack_from(">HH", data, 13), data[:2] + tables(quality) + data[2:]
    place, image = canvas[y:y + height, x:x + width], None
    if place.shape[:2] == (height, width):
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if image is not None and image.shape == place.shape:
        place[:] = image
    return image is not None and image.shape == place.shape

def run(watcher, options):
    while not watcher.is_over(monotonic()):
        ready, now = select.select([watcher.socket], [], [], 0.001)[0], monotonic()
        try:
            if ready:
                watcher.receive(*watcher.socket.recvfrom(65536), now)
        except (struct.error, LookupError, ValueError, ZeroDivisionError):
            watcher.count.update(rejected=1)
        watcher.timers(now, options.timeout)
        new = watcher.units and watcher.show(now)
        if new and watcher.count["shown"] == options.frames:
            return
        if new and not options.headless:
            cv2.imshow(watcher.name, watcher.picture)
        if watcher.picture is not None and not options.headless and cv2.waitKey(1) & 0xFF in (27, ord("q")):
            return

parser = argparse.ArgumentParser(epilog="Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not reached or refused.")
parser.add_argument("server", metavar="HOST[:PORT]")
parser.add_argument("--headless", action="store_true", help="no window")
parser.add_argument("--frames", type=int, help="leave after so many pictures")
parser.add_argument("--save", metavar="FILE.png", help="save the last picture")
parser.add_argument("--timeout", type=float, default=5, help="seconds of silence until giving up (5)")
options = parser.parse_args()
place = re.fullmatch(r"(?:udp://)?(?:\[(.+)\]|([^:\[\]]+))(?::(\d{1,5}))?", options.server)
if not place or not 0 < int(place[3] or 9688) < 65536:
    parser.error(f"{options.server!r} is no server: write HOST, HOST:PORT, 192.0.2.7:9688 or [2001:db8::7]:9688")
watcher = Watcher(place[1] or place[2], int(place[3] or 9688))
try:
    run(watcher, options)
except KeyboardInterrupt:
    pass
except cv2.error as why:
    fail(1, f"OpenCV cannot show pictures here: use --headless ({str(why).splitlines()[0]})")
finally:
    watcher.send(BYE, watcher.session.to_bytes(8, "big") + bytes(4))
if options.save and (watcher.picture is None or not cv2.imwrite(options.save, watcher.picture)):
    fail(1, f"no picture was saved: {options.save!r} cannot be written, or none came")
print(" ".join(f"{name}={watcher.count[name]}" for name in "shown damaged slices datagrams bytes rejected".split()),
      f"last={watcher.shown}", watcher.bye[1] if watcher.bye else "")
sys.exit(watcher.bye is not None and watcher.bye[0] == 4)
