"""Counts the pictures of an RTP stream that arrive whole: `rtp.py jpeg|h264 PORT`. One JSON line a second, until it is ended.

A picture is whole if every datagram of its timestamp came, its marker included, in an unbroken sequence. Of H.264 it must also
be decodable: after a loss all is broken until a key picture has come whole.
"""

import json
import socket
import struct
import sys
import time

BUFFER = 4 << 20
CLOCK = 90_000
KEY, AGGREGATE, FRAGMENT = 5, 24, 28


class Pictures:
    """Datagrams in, whole pictures out."""

    def __init__(self, codec):
        self.codec = codec
        self.expected = self.stamp = None
        self.whole, self.key = True, False
        # Whether what this picture builds on is there.
        self.sound = codec == "jpeg"
        self.begun = self.finished = 0
        self.delays = []
        self.start = None

    def take(self, datagram, now):
        if len(datagram) < 14:
            return
        mark, sequence, stamp = struct.unpack_from("!xBHI", datagram)
        torn = self.expected is not None and sequence != self.expected
        if stamp != self.stamp:
            if self.stamp is not None:
                self.over(False, now)
            # What is missing in front may be of the picture before alone.
            self.stamp, self.whole, self.key = stamp, not torn or begins(self.codec, datagram), False
            self.begun += 1
        elif torn:
            self.whole = False
        self.expected = (sequence + 1) & 0xFFFF
        self.key |= self.codec == "h264" and is_key(datagram)
        if mark & 0x80:
            self.over(self.whole, now)
            self.stamp = None

    def over(self, whole, now):
        if self.codec == "h264":
            self.sound = whole and (self.sound or self.key)
        if not (whole and self.sound):
            return
        self.finished += 1
        # How much later it came than the stamp says; the least of the run stands for a path without a queue.
        if self.start is None:
            self.start = (self.stamp, now)
        ticks = (self.stamp - self.start[0] + (1 << 31)) % (1 << 32) - (1 << 31)
        self.delays.append(1e3 * (now - self.start[1] - ticks / CLOCK))

    def second(self):
        line = {"event": "stats", "pictures": self.begun, "whole": self.finished, "delays": self.delays}
        self.delays, self.begun, self.finished = [], 0, 0
        return line


def begins(codec, datagram):
    """Whether nothing of the picture comes before it, as far as its own words tell."""
    if codec == "jpeg":
        return datagram[13:16] == b"\0\0\0"
    return datagram[12] & 0x1F != FRAGMENT or bool(datagram[13] & 0x80)


def is_key(datagram):
    kind = datagram[12] & 0x1F
    if kind == FRAGMENT:
        kind = datagram[13] & 0x1F
    elif kind == AGGREGATE:
        # Parameters travel together; small key pictures may travel with them.
        at = 13
        while at + 2 < len(datagram):
            length = struct.unpack_from("!H", datagram, at)[0]
            if datagram[at + 2] & 0x1F == KEY:
                return True
            at += 2 + length
    return kind == KEY


def main(codec, port):
    pictures = Pictures(codec)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        sock.bind(("", port))
        due = time.monotonic() + 1
        while True:
            sock.settimeout(max(0.001, due - time.monotonic()))
            try:
                datagram = sock.recv(1 << 16)
                pictures.take(datagram, time.monotonic())
            except TimeoutError:
                pass
            if time.monotonic() >= due:
                due += 1
                print(json.dumps(pictures.second()), flush=True)


if __name__ == "__main__":
    try:
        main(sys.argv[1], int(sys.argv[2]))
    except (KeyboardInterrupt, BrokenPipeError):
        pass
