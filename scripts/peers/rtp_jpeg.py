"""Counts the pictures of JPEG over RTP that are whole once a receiver has mended them: `rtp_jpeg.py INTERFACE PORT FPS`.

On standard input come the mended packets, framed as in RFC 4571. A picture is whole if its fragments (RFC 2435) fill it: that
holds whatever became of sequence numbers. Beside that the datagrams are looked at as they come in by the interface: the
earliest of them for its stamp is where delays are counted from, so that what a receiver waits for repair counts as well. One
JSON line a second, until it is ended.
"""

import json
import os
import selectors
import socket
import struct
import sys
import time

CLOCK, PAYLOAD = 90_000, 26
IPV4, UDP = 0x0800, 17
# Enough of a datagram to see its stamp.
SEEN = 64
# Pictures that may still be filled.
OPEN = 50


def body(packet):
    """Marker, payload type, stamp and what follows the header of an RTP packet."""
    first, second, _, stamp = struct.unpack_from("!BBHI", packet)
    at, until = 12 + 4 * (first & 0x0F), len(packet)
    if first & 0x10:
        at += 4 + 4 * struct.unpack_from("!H", packet, at + 2)[0]
    if first & 0x20:
        until -= packet[-1]
    return bool(second & 0x80), second & 0x7F, stamp, packet[at:until]


def fragment(payload):
    """Where in the picture this payload begins and ends."""
    offset, kind, quality = int.from_bytes(payload[1:4], "big"), payload[4], payload[5]
    at = 8 + (4 if 64 <= kind < 128 else 0)
    if quality >= 128 and offset == 0:
        at += 4 + struct.unpack_from("!H", payload, at + 2)[0]
    return offset, offset + len(payload) - at


class Pictures:
    """Packets in, whole pictures out."""

    def __init__(self, fps):
        self.ticks = CLOCK / fps
        self.first = self.earliest = None
        self.open, self.begun, self.finished, self.newest, self.delays = {}, 0, 0, 0, []

    def since_first(self, stamp):
        if self.first is None:
            self.first = stamp
        return (stamp - self.first + (1 << 31)) % (1 << 32) - (1 << 31)

    def saw(self, stamp, now):
        begin = now - self.since_first(stamp) / CLOCK
        self.earliest = begin if self.earliest is None else min(self.earliest, begin)

    def take(self, packet, now):
        mark, kind, stamp, payload = body(packet)
        if kind != PAYLOAD or len(payload) < 8:
            return
        if stamp not in self.open:
            self.open[stamp] = {"parts": {}, "end": None, "whole": False}
            self.begun += 1
            if len(self.open) > OPEN:
                del self.open[next(iter(self.open))]
        picture = self.open[stamp]
        begin, end = fragment(payload)
        picture["parts"][begin] = end - begin
        if mark:
            picture["end"] = end
        self.newest = max(self.newest, self.since_first(stamp))
        if not picture["whole"] and picture["end"] == sum(picture["parts"].values()):
            picture["whole"] = True
            self.finished += 1
            if self.earliest is not None:
                self.delays.append(1e3 * (now - self.since_first(stamp) / CLOCK - self.earliest))

    def second(self):
        """What is whole and begun is of this second, what was due of all the time."""
        line = {"event": "stats", "pictures": self.begun, "whole": self.finished, "delays": self.delays}
        self.delays, self.begun, self.finished = [], 0, 0
        return line | {"due": round(self.newest / self.ticks)}


def look(sock, port, pictures):
    datagram, now = sock.recv(SEEN), time.monotonic()
    at = 4 * (datagram[0] & 0x0F)
    if datagram[9] == UDP and len(datagram) >= at + 20 and struct.unpack_from("!H", datagram, at + 2)[0] == port:
        if datagram[at + 9] & 0x7F == PAYLOAD:
            pictures.saw(struct.unpack_from("!I", datagram, at + 12)[0], now)


def main(interface, port, fps):
    pictures, framed = Pictures(fps), bytearray()
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(IPV4)) as sock, selectors.DefaultSelector() as ready:
        sock.bind((interface, IPV4))
        ready.register(sock, selectors.EVENT_READ)
        ready.register(0, selectors.EVENT_READ)
        due = time.monotonic() + 1
        while True:
            came = {key.fd for key, _ in ready.select(max(0.0, due - time.monotonic()))}
            if sock.fileno() in came:
                look(sock, port, pictures)
            if 0 in came:
                now, more = time.monotonic(), os.read(0, 1 << 16)
                if not more:
                    return
                framed += more
                while len(framed) >= 2 and len(framed) >= (size := 2 + int.from_bytes(framed[:2], "big")):
                    pictures.take(bytes(framed[2:size]), now)
                    del framed[:size]
            if time.monotonic() >= due:
                due += 1
                print(json.dumps(pictures.second()), flush=True)


if __name__ == "__main__":
    try:
        main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
    except (KeyboardInterrupt, BrokenPipeError):
        pass
