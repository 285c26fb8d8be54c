"""The work of scripts/compare path: a stream and its peers on a path that becomes narrow, beside a download, and undisturbed."""

import collections
import json
import os
import pathlib
import queue
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import measuring
from link import RECEIVER, SENDER, Link, end, octets
from path_table import Broken, Table

FILM = "assets/sample.mp4"
PORT, FPS, QUALITY = 9_688, 25, 80
# Of the sample at 25 pictures a second and quality 80, 720p takes 28 Mb/s and 360p 9: of RTP's peers the same is asked.
FILMS = {"720p": [], "360p": ["--width", "640"]}
# Mb/s at first, after the fall and after the rise; how long each lasts, s.
FALLS = {"40-10-40": (40, 10), "20-2-20": (20, 2)}
PHASES, SHORT_PHASES = (10, 10, 14), (5, 5, 6)
QUEUE_MS = 100
SHARED_MBIT, SHARED_S = 20, 50
# From here on after the fall all is to be well again, s.
SETTLED = 3
# Bytes are counted so often, and rates are means over so long, s.
TICK, WINDOW = 0.05, 0.2
# A rise counts from when it holds for so long, s.
HOLDS = 1.0
# Payloads of RTP that a path of 1 500 bytes carries, and what TCP takes of one besides.
RTP_BYTES, TCP_PART = 1_400, 1_448 / 1_500
# The size of quality 80: a JPEG of ffmpeg takes a whole number, and this one comes nearest in bytes.
FFMPEG_QUALITY = 4
PATIENCE_S = 20

Second = collections.namedtuple("Second", "at whole shown late rung")


def ours(line):
    """A second of `watch`, whose counts are of all the time: they become differences later."""
    block = line.get("latency_ms")
    late = [(share, block[name]) for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("max", 1.0))] if block else []
    rung = (line.get("rendition") or 0, line["quality"]) if line.get("quality") else None
    return line["pictures_shown"] - line["pictures_damaged"], line["pictures_shown"], spread(late, block["n"] if block else 0), rung


def spread(points, count):
    """So many values as lie between these points of a distribution: what seconds hold in common can be told from them."""
    values = []
    for n in range(count):
        share, below, value = (n + 0.5) / count, (0.0, 0.0), 0.0
        for point in points:
            if share <= point[0]:
                part = (share - below[0]) / (point[0] - below[0])
                value = below[1] + part * (point[1] - below[1]) if below[0] else point[1]
                break
            below = point
        values.append(value)
    return values


class Watcher:
    """What receives, and says once a second what came of it."""

    def __init__(self, link, words, counts_all, stdin=subprocess.DEVNULL):
        self.errors = tempfile.TemporaryFile("w+")
        self.process = link.start("b", words, stdin=stdin, stdout=subprocess.PIPE, stderr=self.errors, text=True)
        self.counts_all, self.lines, self.last = counts_all, queue.Queue(), (0, 0)
        # The line of the second that was asked for last, and the one at the end.
        self.bytes, self.line, self.summary = [], {}, {}
        threading.Thread(target=self.read, daemon=True).start()
        threading.Thread(target=self.sample, daemon=True).start()

    def read(self):
        for text in self.process.stdout:
            line = json.loads(text)
            if line["event"] == "stats":
                self.lines.put((time.monotonic(), line))
            elif line["event"] == "summary":
                self.summary = line
        self.lines.put(None)

    def sample(self):
        while self.process.poll() is None:
            try:
                self.bytes.append((time.monotonic(), octets(self.process)))
            except (OSError, ValueError):
                return
            time.sleep(TICK)

    def second(self):
        """The next, as it ends."""
        try:
            came = self.lines.get(timeout=PATIENCE_S)
        except queue.Empty:
            came = None
        if came is None:
            self.errors.seek(0)
            raise Broken(f"who watches says nothing more: {self.errors.read().strip()[-300:]}")
        at, self.line = came
        line = self.line
        if not self.counts_all:
            return Second(at, line["whole"], line["pictures"], line["delays"], None)
        whole, shown, late, rung = ours(line)
        before, self.last = self.last, (whole, shown)
        return Second(at, max(0, whole - before[0]), max(0, shown - before[1]), late, rung)

    def seconds(self, count):
        return [self.second() for _ in range(count)]

    def begun(self):
        """Waits for the first second with pictures in it."""
        for _ in range(PATIENCE_S):
            if self.second().shown:
                return
        self.errors.seek(0)
        raise Broken(f"no picture came: {self.errors.read().strip()[-300:]}")

    def rate(self, since, until):
        """Mb/s of IP."""
        within = [(at, count) for at, count in list(self.bytes) if since <= at <= until]
        if len(within) < 2:
            return 0.0
        (first, before), (last, after) = within[0], within[-1]
        return (after - before) * 8e-6 / (last - first)

    def reached(self, since, mbit):
        """Seconds until the path carries so much, and goes on to; None: it never does."""
        samples = list(self.bytes)
        for at, _ in samples:
            if at >= since and at + HOLDS <= samples[-1][0]:
                if self.rate(at, at + WINDOW + TICK / 2) >= mbit and self.rate(at, at + HOLDS) >= mbit:
                    return at + WINDOW - since
        return None


# Who sends: given a link, each of these starts both ends on it and returns the watcher.


def stream(program, source, arguments, watching=()):
    def start(link):
        serve = [program, "serve", source, *arguments, "--fps", FPS, "--port", PORT, "--bind", SENDER, "-q"]
        link.start("a", serve, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(0.5)
        watch = [program, "watch", f"{SENDER}:{PORT}", "--headless", "--stats", "json", "--timeout", "60", *watching]
        return Watcher(link, watch, True)

    return start


def rtp(codec, words):
    def start(link):
        watcher = Watcher(link, [sys.executable, pathlib.Path(__file__).with_name("rtp.py"), codec, PORT], False)
        time.sleep(0.3)
        link.start("a", words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return watcher

    return start


def gstreamer(film):
    sender = f"filesrc location={film} ! qtdemux ! h264parse ! avdec_h264 max-threads=1 ! videoconvert ! jpegenc quality={QUALITY} ! "
    return rtp("jpeg", ["gst-launch-1.0", "-q", *f"{sender} rtpjpegpay mtu={RTP_BYTES} ! udpsink host={RECEIVER} port={PORT}".split()])


def ffmpeg(codec, *arguments):
    reading = ["ffmpeg", "-v", "error", "-nostdin", "-re", "-stream_loop", "-1", "-i", FILM, "-an"]
    return rtp(codec, [*reading, *arguments, "-f", "rtp", f"rtp://{RECEIVER}:{PORT}?pkt_size={RTP_BYTES}"])


def ffmpeg_jpeg():
    tables = ["-huffman", "default", "-force_duplicated_matrix", "1"]
    return ffmpeg("jpeg", "-vf", "scale=out_range=full,format=yuvj420p", "-c:v", "mjpeg", "-q:v", str(FFMPEG_QUALITY), *tables)


def ffmpeg_h264(mbit):
    """At three quarters of what the path carries at first: somebody has to choose a rate."""
    rate = f"{int(mbit * 750)}k"
    fixed = ["-b:v", rate, "-maxrate", rate, "-bufsize", f"{int(mbit * 75)}k", "-g", str(FPS)]
    return ffmpeg("h264", "-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", *fixed)


def make_film(folder, seconds):
    """The sample as often as it takes, nothing encoded anew."""
    film = folder / "film.mp4"
    copies = ["ffmpeg", "-v", "error", "-nostdin", "-stream_loop", "-1", "-i", FILM, "-an", "-c", "copy", "-t", str(seconds), str(film)]
    subprocess.run(copies, check=True)
    return film


class Screen:
    """A virtual screen on which the film plays."""

    def __init__(self, film):
        reading, writing = os.pipe()
        words = ["Xvfb", "-noreset", "-displayfd", str(writing), "-screen", "0", "1280x720x24", "-nolisten", "tcp"]
        settings = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "start_new_session": True}
        self.processes = [subprocess.Popen(words, pass_fds=[writing], **settings)]
        os.close(writing)
        with os.fdopen(reading) as answer:
            number = answer.readline().strip()
        if not number:
            self.end()
            raise Broken("no virtual screen could be started")
        self.name = f":{number}"
        player = f"gst-launch-1.0 -q filesrc location={film} ! qtdemux ! h264parse ! avdec_h264 max-threads=1 ! videoconvert ! ximagesink"
        self.processes.append(subprocess.Popen(player.split(), env=os.environ | {"DISPLAY": self.name}, **settings))
        time.sleep(1.5)

    def end(self):
        end(self.processes[::-1])


def fall(start, rates, phases):
    """The path falls and rises while the stream runs; each phase begins as a second of the watcher ends."""
    wide, narrow = rates
    with Link(wide, QUEUE_MS) as link:
        watcher = start(link)
        watcher.begun()
        before = watcher.seconds(phases[0])
        link.set_rate(narrow)
        fell = time.monotonic()
        below = watcher.seconds(phases[1])
        link.set_rate(wide)
        rose = time.monotonic()
        after = watcher.seconds(phases[2])
        took = watcher.rate(before[len(before) // 2].at, fell)
        aim = 0.7 * min(wide, took)
        return {
            "before_mbit": took,
            "first_whole": below[0].whole,
            "fall_fps": statistics.mean(one.whole for one in below[SETTLED:]),
            "fall_p95_ms": percentile([value for one in below[SETTLED:] for value in one.late], watcher.counts_all, before),
            "fall_mbit": watcher.rate(fell + SETTLED, rose),
            "rise_s": watcher.reached(rose, aim),
            "quality_s": quality_back(before, after),
            "after_mbit": watcher.rate(rose + 5, after[-1].at),
            "told": before[-1].rung is not None,
            "each": [[one.whole, one.shown, one.rung] for one in (*before, *below, *after)],
        }


def percentile(late, absolute, before, share=0.95):
    """Peers do not say when a picture was due: theirs is counted from their least before the fall."""
    if not late:
        return None
    least = 0.0 if absolute else min((value for one in before for value in one.late), default=0.0)
    ordered = sorted(late)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] - least


def quality_back(before, after):
    """Seconds until pictures are as fine as before the fall, two steps of quality aside; None: not yet, or nobody says."""
    known = [one.rung for one in before[-3:] if one.rung]
    if not known:
        return None
    size, quality = min(rung[0] for rung in known), statistics.median(rung[1] for rung in known)
    fine = [n for n, one in enumerate(after, 1) if one.rung and one.rung[0] <= size and one.rung[1] >= quality - 2]
    return fine[0] if fine else None


class Download:
    """iperf3, CUBIC, from `a` to `b`."""

    def __init__(self, link, seconds):
        self.server = link.start("b", ["iperf3", "-s", "-1", "-J", "-i", TICK * 4], stdout=subprocess.PIPE, text=True)
        time.sleep(0.3)
        self.begun = time.monotonic()
        # Said, because machines have other defaults.
        words = ["iperf3", "-c", RECEIVER, "-C", "cubic", "-t", seconds]
        self.client = link.start("a", words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def result(self, patience):
        """Mb/s of IP, in all and by intervals."""
        text = self.server.communicate(timeout=patience)[0]
        found = json.loads(text)
        if "sum_received" not in found.get("end", {}):
            raise Broken(f"iperf3 failed: {found.get('error', 'it does not say why')}")
        # Its server counts in an interval what it read; the connection's start is that of the client, near enough.
        each = [(one["sum"]["start"], one["sum"]["bits_per_second"] * 1e-6 / TCP_PART) for one in found["intervals"]]
        return found["end"]["sum_received"]["bits_per_second"] * 1e-6 / TCP_PART, each


def download_alone(rates, phases):
    """The same fall for CUBIC alone: how fast the path can be found again."""
    wide, narrow = rates
    with Link(wide, QUEUE_MS) as link:
        download = Download(link, sum(phases))
        time.sleep(phases[0])
        link.set_rate(narrow)
        time.sleep(phases[1])
        link.set_rate(wide)
        rose = phases[0] + phases[1]
        _, each = download.result(phases[2] + PATIENCE_S)
        mean = lambda since, until: statistics.mean(rate for at, rate in each if since <= at < until)
        found = next((at - rose + WINDOW for at, rate in each if at >= rose and rate >= 0.7 * wide), None)
        return {"before_mbit": mean(phases[0] / 2, phases[0]), "fall_mbit": mean(phases[0] + SETTLED, rose),
                "rise_s": found, "after_mbit": mean(rose + 5, sum(phases))}


def share(start, queue_ms, seconds):
    """What is left to the stream beside a download."""
    with Link(SHARED_MBIT, queue_ms) as link:
        watcher = start(link)
        watcher.begun()
        watcher.seconds(3)
        download = Download(link, seconds)
        seen = []
        while time.monotonic() < download.begun + seconds:
            seen.append(watcher.second())
        theirs, _ = download.result(PATIENCE_S)
        both = watcher.rate(download.begun, download.begun + seconds)
        mine = max(0.0, both - theirs)
        late = percentile([value for one in seen for value in one.late], watcher.counts_all, seen)
        return {"ours_mbit": mine, "theirs_mbit": theirs, "share": mine / max(both, 1e-9),
                "fps": statistics.mean(one.whole for one in seen), "p95_ms": late}


def clean(start, seconds):
    """Nothing in the way: what adapting costs where it has nothing to do."""
    with Link() as link:
        watcher = start(link)
        watcher.begun()
        serve = link.processes[0]
        begun, spent = time.monotonic(), [cpu(serve), cpu(watcher.process)]
        seen = watcher.seconds(seconds)
        took = time.monotonic() - begun
        used = [(after - before) / took for before, after in zip(spent, (cpu(serve), cpu(watcher.process)))]
        watcher.process.terminate()
        watcher.process.wait(10)
        # The last line comes as the pipe closes.
        while watcher.lines.get(timeout=PATIENCE_S) is not None:
            pass
        summary = watcher.summary
        block = lambda name: summary.get(name) or {}
        return {"fps": statistics.mean(one.whole for one in seen), "p50_ms": block("latency_ms").get("p50"),
                "p95_ms": block("latency_ms").get("p95"), "p99_ms": block("latency_ms").get("p99"),
                "interval_ms": block("interval_ms").get("stdev"), "serve_cpu": used[0], "watch_cpu": used[1]}


def cpu(process):
    """Processor seconds so far, without its children's that still run."""
    fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")


def measure(options, table, folder):
    phases = SHORT_PHASES if options.short else PHASES
    film = make_film(folder, sum(phases) + 60)
    film_of = lambda program, name: stream(program, FILM, ["--loop", "--quality", QUALITY, *FILMS[name]])
    falls = dict(list(FALLS.items())[-1:]) if options.short else FALLS
    if "fall" in options.parts:
        for name, rates in falls.items():
            for size in ["720p"] if options.short else FILMS:
                table.fall(name, f"udpstream {size}", lambda: fall(film_of(options.udpstream, size), rates, phases), True)
            if not options.short:
                table.fall(name, "udpstream screen", lambda: of_screen(options.udpstream, film, rates, phases), True)
            if "peers" in options.parts:
                peers(table, name, rates, phases, film)
    if "share" in options.parts:
        for queue_ms in (25, 100, 300) if options.long else (100,):
            seconds = 15 if options.short else SHARED_S
            table.share(queue_ms, lambda: share(film_of(options.udpstream, "720p"), queue_ms, seconds))
    if "clean" in options.parts:
        for n in range(1 if options.short else 2):
            # Who comes first changes: it has the machine as others have left it.
            for who, program in (("before", options.before), ("udpstream", options.udpstream))[:: 1 - 2 * n]:
                if program:
                    table.clean(f"{who} {n + 1}", lambda: clean(film_of(program, "720p"), 5 if options.short else 15))


def of_screen(program, film, rates, phases):
    screen = Screen(film)
    try:
        return fall(stream(program, f"screen:{screen.name}", ["--quality", QUALITY, "--no-pointer"]), rates, phases)
    finally:
        screen.end()


def peers(table, name, rates, phases, film):
    table.fall(name, "GStreamer JPEG", lambda: fall(gstreamer(film), rates, phases))
    table.fall(name, "ffmpeg JPEG", lambda: fall(ffmpeg_jpeg(), rates, phases))
    table.fall(name, "ffmpeg H.264", lambda: fall(ffmpeg_h264(rates[0]), rates, phases))
    table.fall(name, "iperf3 CUBIC", lambda: download_alone(rates, phases))


if __name__ == "__main__":
    chosen = measuring.options("path", ("fall", "peers", "share", "clean"), "--long")
    measuring.run(chosen, Table(), measure)
