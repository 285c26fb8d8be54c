"""The work of scripts/publish: runs a server, publishers and watchers through two trials, and prints a table of each."""

import argparse
import ctypes
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time

import soak
from peers.relay import START_S, Field, Table, Timed, resources, spread
from soak import Program, Wrong, check

LENGTHS = {"short": {"kills": 20, "seconds": 15}, "long": {"kills": 200, "seconds": 60}}
PARTS = ("glass", "kills")
# What is asked, in ms.
GLASS_MS, BACK_MS = 25, 1_000
SOURCE, FPS = "test:500x282@30", 30
# Of the processors so much has to be idle, or a picture waits for them and not for the network.
BUSY_IDLE = 0.2
# A watcher is given up that shows nothing for so long after all is back.
GIVEN_UP_S = 15
# One restart in so many comes late: by then a watcher has gone through all the stages of its search.
LATE = 4
# What a process may take beyond what it had when it was warm: allocators keep what they were given once.
MARGIN_MB = 8
WARM_UP_S = 6
HOME = "127.0.0.1"


class Publisher(Timed):
    """A publisher that tells when it was taken."""

    accepted = None

    def read_figures(self):
        for line in self.process.stdout:
            event = json.loads(line)
            if event["event"] == "accepted":
                self.accepted = time.time_ns()
            self.last[event["event"]] = event


class Screen:
    """An X server that draws nowhere."""

    def __init__(self, size):
        read, write = os.pipe()
        command = ["Xvfb", "-displayfd", str(write), "-screen", "0", f"{size}x24", "-nolisten", "tcp", "-noreset"]
        self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL, pass_fds=[write])
        os.close(write)
        with os.fdopen(read) as line:
            self.name = f":{line.readline().strip()}"
        self.environment = {**os.environ, "DISPLAY": self.name}

    def end(self):
        self.process.terminate()
        self.process.wait()


class Trials:
    def __init__(self, options):
        self.options, self.table, self.field = options, Table(), Field()
        self.row = self.table.row
        self.keep = pathlib.Path(os.environ["TMPDIR"]) / "code"

    def serve(self, port=0, *what):
        at = ("--bind", HOME, "--port", str(port), "--audio-port", "0")
        hub = Timed(self.options.program, "serve", *(what or ("--accept-publishers",)), *at)
        ready = lambda: "listening" in hub.last or not hub.is_running()
        check(self.field.run(START_S, ready), "the server did not listen")
        check("listening" in hub.last, f"the server did not start: {''.join(hub.said).strip()}")
        hub.port = hub.last["listening"]["port"]
        return hub

    def publish(self, hub, source, *more):
        address = f"{HOME}:{hub.port}"
        publisher = Publisher(self.options.program, "publish", address, source, "--keep", str(self.keep), *more)
        ready = lambda: publisher.accepted or not publisher.is_running()
        check(self.field.run(START_S, ready), "the server did not take the stream")
        check(publisher.accepted, f"the publisher did not start: {''.join(publisher.said).strip()}")
        return publisher

    def stop(self, *programs):
        self.field.leave(*self.field.present)
        for program in programs:
            program.kill(signal.SIGINT)
            program.end()

    # From one screen to another.

    def glass(self):
        check(self.options.examples, "glass needs --examples DIR")
        print("ms from drawn on one screen to shown on the other")
        self.through("screen → serve → watch", self.served, ())
        self.through("screen → publish → serve → watch", self.published, (("p50", GLASS_MS),))

    def served(self, screen):
        """A screen that is served where it is."""
        server = self.serve(0, screen, "--fps", str(FPS), "--no-pointer")
        return f"{HOME}:{server.port}", [server]

    def published(self, screen):
        hub = self.serve()
        publisher = self.publish(hub, screen, "--fps", str(FPS), "--no-pointer")
        code = self.keep.read_text().split()[0]
        self.keep.unlink()
        return f"{HOME}:{hub.port}/{code}", [publisher, hub]

    def through(self, way, stream, asked):
        size, examples, log = self.options.size, self.options.examples, self.keep.with_name("shown")
        shown, seen = Screen(size), Screen("1600x1000")
        try:
            address, programs = stream(f"screen:{shown.name}")
            watch = [self.options.program, "watch", address, "--no-audio", "--stats", "json"]
            viewer = subprocess.Popen(watch, stdout=subprocess.PIPE, text=True, env=seen.environment)
            command = [examples / "glass", size, str(self.options.seconds + 10)]
            glass = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=seen.environment)
            time.sleep(2)
            pictures = str(self.options.seconds * FPS)
            draw = ["--to", "screen", "--size", size, "--fps", str(FPS), "--pictures", pictures, "--log", log]
            idle, since = idle_seconds(), time.monotonic()
            subprocess.run([examples / "barcode", *draw, "--range", "full"], check=True, env=shown.environment)
            idle = (idle_seconds() - idle) / (time.monotonic() - since) / os.cpu_count()
            arrived = numbered(glass.communicate()[0])
            viewer.terminate()
            viewer.communicate()
            drawn = numbered(log.read_text())
            # Until everything has run once it is not what one gets used to.
            wanted = [number for number in drawn if number >= FPS]
            delays = [arrived[number] - drawn[number] for number in wanted if number in arrived]
            check(delays, f"nothing came from glass to glass: {way}")
            values = spread(delays) | {"missing": len(wanted) - len(delays), "idle %": round(100 * idle)}
            self.row("glass", way, values, asked)
            if idle < BUSY_IDLE:
                print(f"  says little: of the processors {100 * idle:.0f} % were idle; --size 960x240 asks for less")
            self.stop(*programs)
            log.unlink()
        finally:
            shown.end()
            seen.end()

    # Kills.

    def kills(self):
        hub = self.serve()
        publisher = self.publish(hub, SOURCE, "--public", "--quality", "85")
        view = ["--headless", "--timeout", str(soak.PATIENCE_S)]
        viewer = Timed(self.options.program, "watch", f"{HOME}:{hub.port}", *view)
        watcher = self.field.join(hub.port)
        self.field.settle(watcher)
        self.field.run(WARM_UP_S)
        before, took = resources(viewer), {"publisher": [], "server": []}
        for n in range(self.options.kills):
            who = ("publisher", "server")[n % 2]
            victim = publisher if who == "publisher" else hub
            victim.kill()
            victim.gone()
            late = n // 2 % LATE == LATE - 1
            self.field.run(random.uniform(5, 9) if late else 1)
            if who == "publisher":
                publisher = self.publish(hub, SOURCE, "--public", "--quality", "85")
                began, since = publisher.began, publisher.accepted
            else:
                hub = self.serve(hub.port)
                began, since = hub.began, hub.listened
            took[who].append(self.back(hub, watcher, began, since, f"{who}, kill {n + 1}"))
            self.shows_on(viewer, f"{who}, kill {n + 1}{', late' if late else ''}")
        print("ms from the publisher's `accepted`, or the server's `listening`, to the first live picture at a watcher that stayed")
        for who, times in took.items():
            self.row("kills", f"{who}: {len(times)} returns", spread(times), (("max", BACK_MS),))
        self.grown("watch", before, resources(viewer))
        self.stop(publisher, hub)
        viewer.end()
        self.keep.unlink()
        soak.Soak.no_strays(self)

    def back(self, hub, watcher, began, since, what):
        """How long the watcher waited for a picture of the stream that is published now."""
        asks = self.field.join(hub.port)
        self.field.settle(asks)
        streams = set(asks.streams)
        self.field.leave(asks)
        came = lambda: [at for (of, _), at in watcher.pictures.items() if of in streams and at > began]
        check(self.field.run(GIVEN_UP_S, came), f"{what}: no live picture within {GIVEN_UP_S} s; {watcher.refused}")
        value = max(0, (min(came()) - since) / 1e6)
        if value > BACK_MS:
            print(f"{what}: back only after {value:.0f} ms; refused: {watcher.refused or 'never'}", flush=True)
        watcher.forget_pictures()
        watcher.refused = None
        return value

    def shows_on(self, viewer, what):
        """The real watcher shows pictures too; it says so once a second."""
        shown = viewer.figure("pictures_shown")
        more = lambda: viewer.figure("pictures_shown") > shown + 15
        said = lambda: f"{''.join(viewer.said[-4:])}{viewer.last.get('stats')}"
        shows = self.field.run(GIVEN_UP_S, more)
        check(shows, f"{what}: `watch` shows no pictures although others are sent some: {'' if shows else said()}")

    def grown(self, who, before, after):
        names = ("threads", "files", "MB")
        text = ", ".join(f"{name} {was:.0f}→{now:.0f}" for name, was, now in zip(names, before, after))
        self.row("kills", who, {name: [was, now] for name, was, now in zip(names, before, after)}, text=text)
        for name, was, now, margin in zip(names, before, after, (0, 0, MARGIN_MB)):
            if now > was + margin:
                self.table.missed.append(f"kills: {who} grew from {was:.0f} to {now:.0f} {name}")


def idle_seconds():
    """For how long processors had nothing to do since the machine was started, added up (proc_stat(5))."""
    return int(pathlib.Path("/proc/stat").read_text().split()[4]) / os.sysconf("SC_CLK_TCK")


def numbered(text):
    """What `barcode` and `glass` note: pictures and their moments, in ms."""
    return {int(number): int(moment) / 1e6 for number, moment in map(str.split, text.splitlines())}


def options():
    parser = argparse.ArgumentParser(prog="scripts/publish", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="short|long|" + "|".join(PARTS))
    parser.add_argument("--program", required=True, help="the udpstream to measure")
    parser.add_argument("--examples", type=pathlib.Path, help="where glass and barcode are, built")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE")
    parser.add_argument("--size", default="1280x720", metavar="WxH", help="of the screen that is published")
    for name in ("kills", "seconds"):
        parser.add_argument(f"--{name}", type=int, metavar="N")
    chosen = parser.parse_args()
    unknown = set(chosen.parts) - {*PARTS, *LENGTHS}
    if unknown:
        parser.error(f"{', '.join(sorted(unknown))} is not known here")
    length = "long" if "long" in chosen.parts else "short"
    chosen.parts = [part for part in PARTS if part in chosen.parts] or list(PARTS)
    for name, value in LENGTHS[length].items():
        if getattr(chosen, name) is None:
            setattr(chosen, name, value)
    return chosen


def main():
    chosen = options()
    ctypes.CDLL(None).prctl(soak.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    broken, files = None, tempfile.TemporaryDirectory()
    os.environ["TMPDIR"] = files.name
    trials = Trials(chosen)
    try:
        for part in chosen.parts:
            print(f"\n== {part}", flush=True)
            begun = time.monotonic()
            getattr(trials, part)()
            print(f"took {time.monotonic() - begun:.0f} s", flush=True)
        left = os.listdir(files.name)
        check(not left, f"files are left: {left}")
    except Wrong as wrong:
        broken = f"error: {wrong}"
    finally:
        for program in list(Program.running):
            program.kill()
            program.gone()
        files.cleanup()
    print("\n" + ("\n".join(f"✗ {line}" for line in trials.table.missed) or "all that is asked was met"))
    if chosen.json:
        chosen.json.write_text(json.dumps(trials.table.found, indent=1) + "\n")
    sys.exit(broken or (1 if trials.table.missed else 0))


if __name__ == "__main__":
    main()
