"""A watcher's session with a udpstream server, by docs/PROTOCOL.md and with Python's standard library alone: joins,
stays joined, reports, and hands out the parts of one picture after the other. `watch.py` shows how it is driven."""
import secrets, select, socket, struct, zlib
from collections import Counter
from contextlib import suppress
from time import monotonic

HELLO, CHALLENGE, JOIN, ACCEPT, REFUSE, BYE, PATH_CHECK, PATH_REPLY, UPDATE = range(1, 10)
OBJECT, PROBE, REPORT, LOW = 0x10, 0x12, 0x20, 0xFFFFFFFF
HOP, HEADER = struct.Struct(">HBBIII"), struct.Struct(">BBHQBBBBIHHqHHHH")
NOBODY = "nobody answers at {}: check that `udpstream serve` runs there, its port, and firewalls in between (UDP)"


class Fail(Exception):
    """Exit code and sentence."""


def number(data, *at):
    return int.from_bytes(data[slice(*at)], "big")


def tlvs(data, found):  # Of several of one type the first counts.
    while len(data) >= 4:
        end = 4 + number(data, 2, 4)
        found.setdefault(number(data, 0, 2), data[4:end])
        data = data[end:]
    return found


class Session:
    def __init__(self, host, port, timeout):
        self.name, self.timeout, self.count = f"{host}:{port}", timeout, Counter()
        try:
            family, *_, self.server = sorted(socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM))[0]
        except OSError as why:
            raise Fail(1, f"no address is known for {host}: check the name ({why.strerror})") from None
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.heard, self.stream, self.ended, self.units, self.shown = monotonic(), None, None, {}, -1
        self.look_for_server()

    def look_for_server(self):
        self.nonce, self.cookie, self.session, self.joined = secrets.token_bytes(8), None, 0, False
        self.retry_at, self.tries, self.bye, self.echo = 0, 0, None, None

    def send(self, kind, body, sequence=0):
        tag = 0 if kind in (HELLO, JOIN) else self.session & LOW
        hop = HOP.pack(0x5553, 1, kind, tag, sequence, int(monotonic() * 1e6) & LOW)
        with suppress(OSError):  # No way there, perhaps for a moment: it is sent again, or silence ends it.
            self.socket.sendto(hop + body, self.server)

    def leave(self):
        if self.session:
            self.send(BYE, self.session.to_bytes(8, "big") + bytes(4))

    def wait(self):
        """Up to a millisecond for a datagram; then sends what is due."""
        ready, now = select.select([self.socket], [], [], 0.001)[0], monotonic()
        try:
            if ready:
                self.receive(*self.socket.recvfrom(65536), now)
        except (struct.error, LookupError, ValueError, ZeroDivisionError):
            self.count.update(rejected=1)
        if now - self.heard > self.timeout:
            raise Fail(3, f"{self.name} has fallen silent" if self.stream else NOBODY.format(self.name))
        if self.joined and now - self.heard > max(0.5, self.interval):
            self.look_for_server()
        if not self.joined and now >= self.retry_at:  # Hello until Challenge, Join until the Description is there.
            self.retry_at, self.tries = now + (0.05, 0.1, 0.2, 0.25)[min(self.tries, 3)], self.tries + 1
            if self.cookie and self.tries > 8:
                self.look_for_server()
            elif self.cookie:
                self.send(JOIN, self.nonce + self.cookie + bytes(4))
            else:
                self.send(HELLO, (b"\1\1\0\0" + self.nonce).ljust(1184, b"\0"))
        if self.echo and (now >= self.report_at or self.top - self.first >= 400):
            self.report(now)

    def report(self, now):
        cells = [self.arrived.get(n) for n in range(self.first, min(self.top + 1, self.first + 560))]
        cells = [0x8000 | min(0x1FFF, int((now - at) * 62500)) if at else 0 for at in cells]
        self.reports, self.report_at, held = self.reports + 1, now + self.interval, int((now - self.echo[1]) * 1e6)
        head = self.session, self.reports, self.echo[0], held, self.first & LOW, len(cells), self.update, 0
        self.send(REPORT, struct.pack(f">QIIIIHII{len(cells)}H", *head, *cells), self.reports)
        self.first += len(cells)
        self.arrived = {n: at for n, at in self.arrived.items() if n > self.top - 8192}

    def receive(self, data, address, now):
        (magic, version, kind, tag, sequence, sent), body = HOP.unpack_from(data), data[16:]
        if address != self.server or magic != 0x5553 or version != 1 and kind != REFUSE:
            return
        self.count.update(datagrams=1, bytes=len(data))
        if kind in (CHALLENGE, ACCEPT, REFUSE):
            if body[:8] == self.nonce and not self.session:
                self.answer(kind, tag, body, now)
        elif self.session and tag == self.session & LOW:
            end = body[0] * 4 + number(body, 40, 42) if kind == OBJECT else 0
            if end and (body[0] < 11 or number(body, end, end + 4) != zlib.crc32(body[:end])):
                self.count.update(rejected=1)
                return
            if not self.echo or (sent - self.echo[0]) & LOW < 1 << 31:
                self.echo = sent, now
            self.heard, sequence = now, self.top + (sequence - self.top + (1 << 31)) % (1 << 32) - (1 << 31)
            if kind >= 0x10:
                if sequence in self.arrived or not self.top - 8192 < sequence <= self.top + 65536:
                    return  # A duplicate, or nonsense.
                self.arrived[sequence], self.first, self.top = now, min(self.first, sequence), max(self.top, sequence)
            self.take(kind, body, end, now)

    def answer(self, kind, tag, body, now):
        if kind == REFUSE:
            raise Fail(3, f"{self.name} refused. {body[18:18 + number(body, 16, 18)].decode()}")
        if kind == CHALLENGE and not self.cookie:
            self.cookie, self.tries, self.retry_at = body[8:32], 0, now
        elif kind == ACCEPT and self.cookie and tag == number(body, 12, 16):
            self.session, self.interval = number(body, 8, 16), number(body, 24, 26) / 1e3
            self.tries, self.retry_at, self.report_at, self.heard = 0, now + 0.05, now + self.interval, now
            self.reports, self.update, self.arrived, self.first, self.top = 0, 0, {}, 0, -1

    def take(self, kind, body, end, now):
        if kind == OBJECT:
            words, of, flags, stream, _, cut, tables, _, unit, part, parts, _, *size, x8, y8 = HEADER.unpack_from(body)
            if of == 4:
                self.describe(stream, tlvs(body[words * 4:end], {}), now)
            elif of == 1 and stream == self.stream and unit > self.shown and part < (parts or 65536):
                same, have, _ = self.units.setdefault(unit, ((cut, parts, size), {}, now))
                if same == (cut, parts, size):
                    have.setdefault(part, (flags, tables, x8 * 8, y8 * 8, body[words * 4:end]))
        elif kind == PROBE:
            self.report_at = min(self.report_at, now + 0.0005)
        elif kind == PATH_CHECK:
            self.send(PATH_REPLY, self.session.to_bytes(8, "big") + body[:8])
        elif kind == UPDATE:
            self.update, interval = max(self.update, number(body, 0, 4)), number(tlvs(body[4:], {}).get(2, b""), 0, 2)
            self.interval = min(2000, max(10, interval)) / 1e3 if interval else self.interval
        elif kind == BYE and number(body, 0, 8) == self.session:
            self.bye = number(body, 8, 10), body[12:12 + number(body, 10, 12)].decode()

    def describe(self, stream, told, now):
        if stream != self.stream:  # A server that was started anew counts anew.
            self.stream, self.units, self.shown, self.ended = stream, {}, -1, None
        self.window = min(0.008, number(told[2], 8, 12) / number(told[2], 4, 8) / 4)
        self.ended, self.joined = self.ended or 5 in told and (number(told[5], 0, 4), now + 0.25), True

    def picture(self):
        """The next picture, once it is complete or was waited for long enough: size, parts, how many are missing."""
        unit, now = min(self.units, default=None), monotonic()
        if unit is None:
            return None
        (_, parts, size), have, since = self.units[unit]
        later = min((at for other, (_, _, at) in self.units.items() if other > unit), default=now)
        if len(have) != parts and now - later < self.window and now - since < (0.25 if self.ended else 0.5):
            return None
        self.units.pop(unit)
        self.shown = unit
        return size, list(have.values()), max(parts, 1) - len(have)

    def is_over(self):
        """The server has said goodbye, and all has been handed out."""
        played = not self.ended or self.shown >= self.ended[0] - 1 or monotonic() > self.ended[1]
        return self.bye and played and not self.units
