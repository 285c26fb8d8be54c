"""The tables of scripts/compare path, as lines and as values, with what is asked of udpstream."""

import os
import pathlib
import re
import subprocess
import time

# What is asked: of 25 pictures in the first second after the fall, so many whole; from then on pictures a second and ms from
# due to shown; seconds until the path is used again, and until pictures are as fine; a download's neighbour has its part.
FIRST_WHOLE, FPS, P95_MS, RISE_S, QUALITY_S, SHARE = 16, 24.0, 90.0, 4.0, 12.0, (25, 75)
HELD, MISSED = "✓", "✗"

FALL = (
    ("", 12), ("", 18), ("Mb/s", 8), ("whole in s 1", 14), ("fps then", 11), ("p95 ms", 10), ("Mb/s", 8), ("70 % after, s", 15),
    ("fine after, s", 15), ("Mb/s", 8),
)
WORDS = (
    "The p95 of udpstream is from due to shown; that of RTP's peers is from their least before the fall to the last datagram.\n"
    "A picture is whole if all of it came in time; one of H.264 also if all that it builds on did."
)


class Broken(Exception):
    """What went wrong, as a sentence."""


class Table:
    """Takes what is measured, prints it line by line, and keeps it."""

    def __init__(self):
        self.rows, self.marks, self.broken, self.heads = [], [], False, set()

    def head(self, kind, title, columns):
        if kind not in self.heads:
            self.heads.add(kind)
            print(f"\n== {title}\n" + "".join(f"{name:>{width}}" if n > 1 else f"{name:<{width}}" for n, (name, width) in enumerate(columns)))

    def run(self, kind, scene, who, measure):
        """Measures; None, and a line that says why, if that failed."""
        try:
            found = measure()
        except (Broken, OSError, LookupError, ValueError, subprocess.SubprocessError) as why:
            return self.failed(kind, scene, who, why)
        self.rows.append({"table": kind, "scene": scene, "who": who} | found)
        return found

    def failed(self, kind, scene, who, why):
        self.broken = True
        self.rows.append({"table": kind, "scene": scene, "who": who, "error": str(why)})
        print(f"{scene:<12}{who:<18}  error: {why}", flush=True)

    def cell(self, value, digits, aim=None):
        """A figure; with an aim, whether it is held."""
        text = "–" if value is None else f"{value:.{digits}f}"
        if not aim:
            return text
        what, limit, holds = aim
        held = value is not None and holds(value)
        self.marks.append({"what": what, "measured": value, "limit": limit, "met": held})
        return f"{text} {HELD if held else MISSED}"

    def fall(self, scene, who, measure, asked=False):
        self.head("fall", "the path falls and rises: before | after the fall | after the rise", FALL)
        found = self.run("fall", scene, who, measure)
        if not found:
            return
        aim = lambda what, limit, holds: (f"{scene}, {who}: {what}", limit, holds) if asked else None
        first = aim("whole pictures in the first second after the fall", f"≥ {FIRST_WHOLE}", lambda v: v >= FIRST_WHOLE)
        fps = aim("whole pictures a second from 3 s on", f"≥ {FPS:g}", lambda v: v >= FPS)
        p95 = aim("due → shown from 3 s on, p95, ms", f"≤ {P95_MS:g}", lambda v: v <= P95_MS)
        rise = aim("70 % of the path, or of what it took before, after so many s", f"≤ {RISE_S:g}", lambda v: v <= RISE_S)
        # An earlier program does not say how fine its pictures are.
        fine = found.get("told") and aim("as fine as before after so many s", f"≤ {QUALITY_S:g}", lambda v: v <= QUALITY_S)
        cells = [
            self.cell(found["before_mbit"], 1), self.cell(found.get("first_whole"), 0, first), self.cell(found.get("fall_fps"), 1, fps),
            self.cell(found.get("fall_p95_ms"), 0, p95), self.cell(found["fall_mbit"], 1), self.cell(found["rise_s"], 1, rise),
            self.cell(found.get("quality_s"), 0, fine), self.cell(found["after_mbit"], 1),
        ]
        self.line(scene, who, cells, FALL)

    def line(self, scene, who, cells, columns):
        widths = [width for _, width in columns]
        words = [f"{scene:<{widths[0]}}", f"{who:<{widths[1]}}", *(f"{cell:>{width}}" for cell, width in zip(cells, widths[2:]))]
        print("".join(words), flush=True)

    def share(self, queue_ms, measure):
        columns = (("queue", 12), ("", 18), ("ours Mb/s", 12), ("CUBIC Mb/s", 12), ("share %", 12), ("fps", 8), ("p95 ms", 9))
        self.head("share", "beside one download (iperf3, CUBIC) on 20 Mb/s", columns)
        scene, who = f"{queue_ms} ms", "udpstream 720p"
        found = self.run("share", scene, who, measure)
        if found:
            low, high = SHARE
            part = ("beside CUBIC, queue " + scene + ": share, %", f"{low}–{high}", lambda v: low <= v <= high)
            cells = [self.cell(found["ours_mbit"], 1), self.cell(found["theirs_mbit"], 1), self.cell(100 * found["share"], 0, part),
                     self.cell(found["fps"], 1), self.cell(found["p95_ms"], 0)]
            self.line(scene, who, cells, columns)

    def clean(self, who, measure):
        names = ("fps", "p50_ms", "p95_ms", "p99_ms", "interval_ms", "serve_cpu", "watch_cpu")
        columns = (("", 12), ("", 18), ("fps", 8), ("p50 ms", 9), ("p95 ms", 9), ("p99 ms", 9), ("interval stdev", 16), ("serve %", 9), ("watch %", 9))
        self.head("clean", "nothing in the way (no bucket): due → shown, arrivals, processor without ffmpeg", columns)
        found = self.run("clean", "clean", who, measure)
        if found:
            values = [100 * found[name] if name.endswith("cpu") else found[name] for name in names]
            self.line("clean", who, [self.cell(value, 2 if n in (1, 2, 3, 4) else 1) for n, value in enumerate(values)], columns)

    def verdict(self, words=WORDS):
        print(f"\n{words}\n")
        for mark in self.marks:
            measured = "–" if mark["measured"] is None else f"{mark['measured']:.1f}"
            print(f"{'met' if mark['met'] else 'NOT met':<8} {mark['what']}: {measured} ({mark['limit']})")
        print(f"\n== {machine()}")
        self.rows += [{"table": "aims"} | mark for mark in self.marks] + [{"table": "machine", "what": machine()}]


def machine():
    system, processor = os.uname(), re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    load = " ".join(f"{value:.2f}" for value in os.getloadavg())
    name = processor[1] if processor else "unknown"
    return f"{time.strftime('%F')}: {system.sysname} {system.release} {system.machine}, {os.cpu_count()} × {name}, load {load}"
