"""What scripts/relay.py measures with. Least clients: many watchers of the protocol in one process that read headers only, and
note when the kernel received each picture; docs/PROTOCOL.md, section 13. They ask for no repair: what is lost stays lost, and
shows. Beside them the programs that it starts, and the table."""

import heapq
import json
import math
import os
import selectors
import socket
import time
from struct import pack, unpack_from

from soak import Program, Wrong, check, proc

HELLO, CHALLENGE, JOIN, ACCEPT, REFUSE, BYE, PATH_CHECK, PATH_REPLY, UPDATE = range(1, 10)
OBJECT, PROBE, REPORT = 0x10, 0x12, 0x20
PICTURE, DESCRIPTION = 1, 4
INTERVAL, TOKEN, ENDED = 2, 6, 5
# Linux: receive stamps in nanoseconds of the wall clock, and a buffer beyond the system's cap, which root may ask for.
SO_TIMESTAMPNS, SO_RCVBUFFORCE = 35, 33
BUFFER = 4 << 20
# Headers and messages; what is longer is cut off by the kernel, so that watching costs little beside what is measured.
HEADERS = 1_200
LOW_HALF = 0xFFFFFFFF
SILENCE_NS, EARLY_NS, MS = 500_000_000, 100_000_000, 1_000_000
# Cells of one Report.
CELLS = 560
# Watchers that start in one second, as in the crowd; and when all must have had a picture.
JOINS = 200
START_S = 10
TICKS = os.sysconf("SC_CLK_TCK")


class Watcher:
    """One session, on a socket of its own. All its times are in nanoseconds of the wall clock."""

    def __init__(self, port, now, datagram=0):
        self.datagram = datagram
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER)
        except PermissionError:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.socket.setblocking(False)
        self.socket.connect(("127.0.0.1", port))
        self.session, self.described, self.closed = 0, False, False
        self.began, self.heard, self.sessions, self.refused = now, now, 0, None
        # When each picture was whole, by (stream, unit); when the first of each stream was; what came of pictures in parts.
        self.pictures, self.streams, self.parts, self.bodies = {}, {}, {}, {}
        self.missing_from_sequence = 0
        self.knock(now)

    def knock(self, at):
        """Begins with a Hello at that moment; an old session stays in use until a new one is there."""
        self.nonce, self.cookie, self.tries, self.knocked, self.knock_at = os.urandom(8), None, 0, 0, at
        self.knocking, self.due = True, at

    def send(self, kind, message, now, sequence=0):
        tag = self.session & LOW_HALF if kind >= BYE else 0
        try:
            self.socket.send(pack(">HBBIII", 0x5553, 1, kind, tag, sequence, now // 1000 & LOW_HALF) + message)
        except OSError:
            # Nobody listens there at the moment: what matters is sent again.
            pass

    def turn(self, now):
        """Sends what is due; `due` says when to come again."""
        if self.session and not self.knocking and now - self.heard >= SILENCE_NS:
            self.knock(now)
        if self.knocking and now >= self.knock_at:
            if self.tries == 8:
                self.knock(now)
            self.knocked = self.knocked or now
            if self.cookie:
                self.send(JOIN, self.nonce + self.cookie + pack(">BBH", 0, 0, self.datagram), now)
            else:
                self.send(HELLO, pack(">BBH8s1172x", 1, 1, 0, self.nonce), now)
            self.knock_at, self.tries = now + min(50 * MS << min(self.tries, 3), 250 * MS), self.tries + 1
        if self.session and now >= self.report_at:
            self.report(now)
        self.due = self.knock_at if self.knocking else self.heard + SILENCE_NS
        if self.session:
            self.due = min(self.due, self.report_at)

    def report(self, now):
        hops = range(self.first, min(self.newest + 1, self.first + CELLS))
        ages = {hop: (now - self.arrivals.pop(hop)) // 1000 for hop in hops if hop in self.arrivals}
        oldest = max(ages.values(), default=0)
        unit = next((shift for shift in range(4) if oldest >> 4 + shift <= 8191), 4)
        cells = [0x8000 | min(ages[hop] >> 4 + unit, 8191) if hop in ages else 0 for hop in hops]
        self.missing_from_sequence += len(cells) - len(ages)
        self.first, self.reports = hops.stop, self.reports + 1
        self.report_at = now if self.first <= self.newest else now + self.interval
        held = (now - self.heard) // 1000
        fields = self.session, self.reports, self.echo, held, hops.start & LOW_HALF, len(hops), unit, self.update, 0, self.token
        self.send(REPORT, pack(f">QIIIIHBII8s{len(hops)}H", *fields, *cells), now, self.reports)

    def receive(self, data, at):
        """A datagram, or its beginning, that came at that moment."""
        magic, version, kind, tag, hop, sent_at = unpack_from(">HBBIII", data)
        if magic != 0x5553 or (version != 1 and kind != REFUSE):
            return
        if kind < BYE:
            if self.knocking and bytes(data[16:24]) == self.nonce:
                self.answered(kind, data, sent_at, at)
        elif self.session and tag == self.session & LOW_HALF:
            self.hear(kind, hop, sent_at, data, at)

    def answered(self, kind, data, sent_at, at):
        if kind == CHALLENGE and not self.cookie and (not self.session or at - self.knocked >= EARLY_NS):
            self.cookie, self.tries, self.knock_at = bytes(data[24:48]), 0, at
        elif kind == REFUSE:
            code, retry = unpack_from(">HI", data, 26)
            self.refused = bytes(data[34 : 34 + int.from_bytes(data[32:34], "big")]).decode(errors="replace")
            self.session = 0
            self.knock(at + MS * (250 if code == ENDED else max(250, min(retry, 60_000))))
        elif kind == ACCEPT and self.cookie:
            session, _, interval, self.token = unpack_from(">QQH6x8s", data, 24)
            if session != self.session:
                self.session, self.described, self.sessions = session, False, self.sessions + 1
                self.interval, self.report_at = MS * min(max(interval, 10), 2_000), at + MS * interval
                self.reports, self.update, self.arrivals, self.first, self.newest = 0, 0, {}, 0, -1
            self.heard, self.echo = at, sent_at
        self.due = at

    def hear(self, kind, hop, sent_at, data, at):
        # Of the old session, while a new one is sought: it was only a pause.
        self.knocking &= bool(self.cookie) or not self.described
        self.heard, self.echo = at, sent_at
        if kind >= OBJECT:
            self.newest = max(self.newest, hop)
            self.arrivals[hop] = at
            self.first = min(self.first, hop) if self.newest - hop < CELLS else self.first
        if kind == OBJECT:
            self.take(data, at)
        elif kind == PROBE:
            self.report_soon(at)
        elif kind == PATH_CHECK:
            self.send(PATH_REPLY, pack(">Q8s", self.session, bytes(data[16:24])), at)
        elif kind == UPDATE:
            self.told(data)
        elif kind == BYE:
            self.leave(at)
            self.session = 0
            self.knock(at + 250 * MS)

    def report_soon(self, at):
        self.report_at = min(self.report_at, at + MS // 2)
        self.due = min(self.due, self.report_at)

    def told(self, data):
        self.update, at = max(self.update, int.from_bytes(data[16:20], "big")), 20
        while at + 4 <= len(data):
            name, length = unpack_from(">HH", data, at)
            if name == TOKEN:
                self.token = bytes(data[at + 4 : at + 12])
            elif name == INTERVAL:
                self.interval = MS * min(max(int.from_bytes(data[at + 4 : at + 6], "big"), 10), 2_000)
            at += 4 + length

    def take(self, data, at):
        kind, stream, unit, part, parts, body = unpack_from(">xBxxQ4xIHH16xH", data, 16)
        if kind == DESCRIPTION:
            if not self.described:
                self.described, self.knocking = True, False
                self.report_soon(at)
            return
        key = (stream, unit)
        if kind != PICTURE or not parts or key in self.pictures:
            return
        if parts > 1:
            came = self.parts.setdefault(key, set())
            came.add(part)
            self.bodies[key] = self.bodies.get(key, 0) + body
            if len(came) < parts:
                return
            del self.parts[key]
        else:
            self.bodies[key] = body
        self.pictures[key] = at
        self.streams.setdefault(stream, at)

    def forget_pictures(self):
        """What is noted from now on counts."""
        self.pictures, self.parts, self.bodies = {}, {}, {}

    def leave(self, now):
        if self.session:
            self.send(BYE, pack(">QHH", self.session, 0, 0), now)


class Field:
    """All watchers of this process, and the loop that keeps them going."""

    def __init__(self):
        self.selector, self.dues, self.present = selectors.DefaultSelector(), [], set()
        self.buffer = bytearray(HEADERS)
        self.count = 0

    def join(self, port, datagram=0):
        watcher = Watcher(port, time.time_ns(), datagram)
        watcher.number, self.count = self.count, self.count + 1
        self.selector.register(watcher.socket, selectors.EVENT_READ, watcher)
        self.present.add(watcher)
        self.tend(watcher)
        return watcher

    def leave(self, *watchers):
        for watcher in watchers:
            watcher.leave(time.time_ns())
            self.selector.unregister(watcher.socket)
            self.present.discard(watcher)
            watcher.closed = True
            watcher.socket.close()

    def tend(self, watcher):
        watcher.turn(time.time_ns())
        heapq.heappush(self.dues, (watcher.due, watcher.number, watcher))

    def turn(self, limit):
        """Waits for datagrams, or until something is due, but no longer than so many seconds."""
        now = time.time_ns()
        first = self.dues[0][0] if self.dues else now + 1_000_000_000
        for key, _ in self.selector.select(max(0, min(limit, (first - now) / 1e9))):
            self.read(key.data)
        now = time.time_ns()
        while self.dues and self.dues[0][0] <= now:
            due, _, watcher = heapq.heappop(self.dues)
            # One that was told to come sooner has another entry.
            if not watcher.closed and due == watcher.due:
                self.tend(watcher)

    def read(self, watcher):
        before = watcher.due
        while True:
            try:
                length, ancillary, _, _ = watcher.socket.recvmsg_into([self.buffer], 64)
            except ConnectionRefusedError:
                continue
            except OSError:
                break
            seconds, nanoseconds = unpack_from("@qq", ancillary[0][2])
            if length >= 16:
                watcher.receive(memoryview(self.buffer)[:length], seconds * 1_000_000_000 + nanoseconds)
        if watcher.due != before:
            heapq.heappush(self.dues, (watcher.due, watcher.number, watcher))

    def run(self, seconds, enough=lambda: False):
        """Goes on for so long, or until enough; returns whether it was enough."""
        end = time.monotonic() + seconds
        while not enough():
            left = end - time.monotonic()
            if left <= 0:
                return False
            self.turn(min(left, 0.02))
        return True

    def settle(self, *watchers):
        there = lambda: all(watcher.pictures for watcher in watchers)
        if not self.run(START_S, there):
            lacking = [watcher for watcher in watchers if not watcher.pictures]
            raise Wrong(f"{len(lacking)} of {len(watchers)} watchers were shown nothing; {lacking[0].refused}")

    def join_many(self, port, count):
        begun, joined = time.monotonic(), []
        for n in range(count):
            self.run(begun + n / JOINS - time.monotonic())
            joined.append(self.join(port))
        self.settle(*joined)
        return joined


def percentile(values, share):
    """The smallest value that so many of a hundred do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share / 100 * len(ordered)) - 1)] if ordered else math.nan


def spread(values):
    return {"n": len(values), "p50": percentile(values, 50), "p95": percentile(values, 95)} | {
        "p99": percentile(values, 99), "max": max(values, default=math.nan)
    }


class Timed(Program):
    """A program that tells when it said that it listens, in nanoseconds of the wall clock."""

    def __init__(self, program, *arguments):
        self.began = time.time_ns()
        super().__init__(program, *arguments)

    def read_figures(self):
        for line in self.process.stdout:
            event = json.loads(line)
            if event["event"] == "listening":
                self.listened = time.time_ns()
            self.last[event["event"]] = event
            if event["event"] not in ("stats", "listening"):
                self.events.append(event["event"])

    def cpu(self):
        """Seconds of processor so far, and when that was asked."""
        fields = proc(self.process.pid, "stat").rpartition(")")[2].split()
        check(fields, f"{self.process.args[1]} has gone")
        return (int(fields[11]) + int(fields[12])) / TICKS, time.monotonic()


def resources(program):
    """Threads, descriptors, and MB."""
    program.samples = []
    program.sample()
    return program.samples[0]


class Table:
    """Prints figures, and keeps them with what was asked and not met."""

    def __init__(self):
        self.found, self.missed = {}, []

    def row(self, part, who, figures, aims=(), text=None):
        """Keeps figures, and prints them; `aims` are names with the most that each may be."""
        self.found.setdefault(part, []).append({"who": who} | figures)
        word = lambda value: f"{value:7.3f}" if isinstance(value, float) else f"{value}"
        words, marks = text or "  ".join(f"{name} {word(value)}" for name, value in figures.items()), ""
        for name, most in aims:
            held = figures[name] <= most
            marks += f"  {name} ≤ {most}: {'✓' if held else '✗'}"
            if not held:
                self.missed.append(f"{part}, {who}: {name} {figures[name]:.2f}, at most {most} is asked")
        print(f"{who:<34}{words}{marks}", flush=True)
