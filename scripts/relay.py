"""The work of scripts/relay: runs serve, relay and watchers through five trials, and prints a table of each."""

import argparse
import ctypes
import json
import math
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time

import soak
from peers.relay import JOINS, START_S, Field, Table, Timed, resources, spread
from soak import Program, Wrong, check

LENGTHS = {
    "short": {"kills": 20, "joins": 50, "rounds": 2, "seconds": 8, "steps": [25, 50, 100, 150, 200]},
    "long": {"kills": 200, "joins": 200, "rounds": 6, "seconds": 20, "steps": [25, 50, 75, 100, 150, 200, 250, 300, 400]},
}
PARTS = ("latency", "join", "kills", "capacity", "chain")
# What is asked of a relay, in ms.
ADDED_MS, ADDED_P99_MS, JOIN_MS, BACK_MS = 1, 3, 100, 1_000
SMALL, LARGE, DATAGRAM = "test:500x282@30", "test:1280x720@30", 1_452
# What comes in the first second after the last has joined is not counted.
SETTLE_S = 1
# Of 30 pictures a second so many must have been made: a server that makes fewer is not what is asked for.
LEAST_FPS = 28
# A watcher is given up that shows nothing for so long after all is back.
GIVEN_UP_S = 15
# One restart in so many comes late: by then a watcher has gone through all the stages of its search.
LATE = 4
# What a process may take beyond what it had when it was warm: allocators keep what they were given once.
MARGIN_MB = 8
WARM_UP_S = 6
HOME = "127.0.0.1"
# What is taken from the crowd.
SEEN = ("units", "pictures_missing", "datagrams_lost", "cpu_seconds")


class Trials:
    def __init__(self, options):
        self.options, self.table, self.field = options, Table(), Field()
        self.row = self.table.row

    # Programs.

    def start(self, *arguments):
        program = Timed(self.options.program, *arguments, "--bind", HOME)
        ready = lambda: "listening" in program.last or not program.is_running()
        check(self.field.run(START_S, ready), f"{arguments[0]} did not listen")
        check("listening" in program.last, f"{arguments[0]} did not start: {''.join(program.said).strip()}")
        program.port = program.last["listening"]["port"]
        return program

    def serve(self, source=SMALL, *more, port=0):
        quality = ("--quality", str(self.options.quality)) if source == SMALL else ()
        return self.start("serve", source, *quality, *more, "--port", str(port))

    def relay(self, above, *more, port=0):
        return self.start("relay", f"{HOME}:{above}", *more, "--port", str(port))

    def stop(self, *programs):
        """From the last to the first, so that nobody misses the one above."""
        self.field.leave(*self.field.present)
        for program in reversed(programs):
            program.kill(signal.SIGINT)
            program.end()

    # What a relay adds.

    def latency(self):
        count, pooled, served, sizes = self.options.watchers, [], [], []
        print("ms after the first watcher of the origin had the picture")
        for n in range(self.options.rounds):
            for relayed in (True, False) if n % 2 == 0 else (False, True):
                added, size = self.added(count, relayed)
                (pooled if relayed else served).extend(added)
                sizes.append(size)
        print(f"all, {count} watchers, pictures of {sum(sizes) / len(sizes) / 1e3:.1f} kB:")
        self.row("latency", "relay", spread(pooled), (("p50", ADDED_MS), ("p99", ADDED_P99_MS)))
        self.row("latency", "the same watchers at the origin", spread(served))

    def added(self, count, relayed):
        """Of each picture at each of so many watchers, how much later it came than at the first of the origin's."""
        origin = self.serve()
        programs = [origin, self.relay(origin.port)] if relayed else [origin]
        direct = self.field.join(origin.port)
        self.field.settle(direct)
        watchers = self.field.join_many(programs[-1].port, count)
        self.field.run(SETTLE_S)
        for watcher in (direct, *watchers):
            watcher.forget_pictures()
        self.field.run(self.options.seconds)
        keys = sorted(direct.pictures)[1:-1]
        origins = (direct,) if relayed else (direct, *watchers)
        least = {key: min(one.pictures.get(key, math.inf) for one in origins) for key in keys}
        # Of each picture, what it took to each of the watchers that have it.
        each = [[(one.pictures[key] - least[key]) / 1e6 for one in watchers if key in one.pictures] for key in keys]
        added = [value for values in each for value in values]
        lost = count * len(keys) - len(added)
        check(len(keys) > 20 * self.options.seconds, f"only {len(keys)} pictures came in {self.options.seconds} s")
        check(lost <= count * len(keys) // 1_000, f"{lost} of {count * len(keys)} pictures did not arrive")
        who = "relay" if relayed else "origin"
        self.row("latency", f"{who}: its first watcher", spread([min(values) for values in each]))
        self.row("latency", f"{who}: its last watcher", spread([max(values) for values in each]) | {"lost": lost})
        size = sum(direct.bodies[key] for key in keys) / len(keys)
        self.stop(*programs)
        return added, size

    def chain(self):
        programs = [self.serve()]
        for _ in range(3):
            programs.append(self.relay(programs[-1].port))
        watchers = [self.field.join(program.port) for program in programs]
        self.field.settle(*watchers)
        self.field.run(SETTLE_S)
        for watcher in watchers:
            watcher.forget_pictures()
        self.field.run(self.options.seconds * 2)
        print("ms after the one above, one watcher at each")
        for n, (above, below) in enumerate(zip(watchers, watchers[1:]), 1):
            self.row("chain", f"relay {n}", self.between(above, below))
        self.row("chain", "all three", self.between(watchers[0], watchers[-1]))
        self.stop(*programs)

    def between(self, above, below):
        keys = sorted(above.pictures)[1:-2]
        lost = sum(key not in below.pictures for key in keys)
        took = [(below.pictures[key] - above.pictures[key]) / 1e6 for key in keys if key in below.pictures]
        return spread(took) | {"lost": lost}

    # How soon a newcomer is shown something.

    def join(self):
        origin = self.serve()
        relay = self.relay(origin.port)
        self.field.settle(self.field.join(relay.port))
        print("ms from the first Hello to the first whole picture")
        for who, port in (("relay", relay.port), ("the origin itself", origin.port)):
            times = [self.newcomer(port) for _ in range(self.options.joins)]
            self.row("join", who, spread(times), (("max", JOIN_MS),) if who == "relay" else ())
        self.stop(origin, relay)
        times = [self.first_of_all() for _ in range(self.options.rounds * 3)]
        self.row("join", "relay that nobody watched before", spread(times))

    def newcomer(self, port):
        self.field.run(random.uniform(0, 0.1))
        watcher = self.field.join(port)
        self.field.settle(watcher)
        took = (min(watcher.pictures.values()) - watcher.began) / 1e6
        self.field.leave(watcher)
        return took

    def first_of_all(self):
        """The relay knows the list of streams by then, and has asked for none of them."""
        origin = self.serve()
        relay = self.relay(origin.port)
        self.field.run(1)
        took = self.newcomer(relay.port)
        self.stop(origin, relay)
        return took

    # Kills. One relay stays all the time, beside the one that is killed.

    def kills(self):
        origin = self.serve()
        relay, stays = self.relay(origin.port), self.relay(origin.port)
        view = ["--headless", "--timeout", str(soak.PATIENCE_S)]
        both = [f"{HOME}:{one.port}" for one in (relay, stays)]
        viewers = [Timed(self.options.program, "watch", address, *view) for address in both]
        watchers = [self.field.join(one.port) for one in (relay, stays)]
        self.field.settle(*watchers)
        self.field.run(WARM_UP_S)
        kept = [("relay that stays", stays), ("watch there", viewers[1]), ("watch at the one killed", viewers[0])]
        before = [resources(program) for _, program in kept]
        took = {"origin": [], "relay": []}
        for n in range(self.options.kills):
            who = ("origin", "relay")[n % 2]
            victim, port = (origin, origin.port) if who == "origin" else (relay, relay.port)
            victim.kill()
            victim.gone()
            self.field.run(random.uniform(5, 9) if n // 2 % LATE == LATE - 1 else 1)
            again = self.serve(port=port) if who == "origin" else self.relay(origin.port, port=port)
            origin, relay = (again, relay) if who == "origin" else (origin, again)
            took[who] += self.back(origin, again, watchers if who == "origin" else watchers[:1], f"{who}, kill {n + 1}")
            self.shows_on(viewers)
        print("ms from the restarted one's `listening` to the first live picture at a watcher that stayed")
        for who, times in took.items():
            self.row("kills", f"{who}: {len(times)} returns", spread(times), (("max", BACK_MS),))
        self.field.run(SETTLE_S * 2)
        for (who, program), (threads, files, megabytes) in zip(kept, before):
            self.grown(who, (threads, files, megabytes), resources(program))
        self.stop(origin, stays, relay)
        for viewer in viewers:
            viewer.end()
        soak.Soak.no_strays(self)

    def back(self, origin, again, watchers, what):
        """How long each of them waited for a picture of the stream that the origin has now."""
        asks = self.field.join(origin.port)
        self.field.settle(asks)
        (stream,) = asks.streams
        self.field.leave(asks)
        came = lambda one: [at for (of, _), at in one.pictures.items() if of == stream and at > again.began]
        all_back = lambda: all(came(watcher) for watcher in watchers)
        check(self.field.run(GIVEN_UP_S, all_back), f"{what}: no live picture within {GIVEN_UP_S} s; {watchers[0].refused}")
        times = [(min(came(watcher)) - again.listened) / 1e6 for watcher in watchers]
        slow = [value for value in times if value > BACK_MS]
        if slow:
            said = {watcher.refused for watcher in watchers if watcher.refused}
            print(f"{what}: back only after {slow[0]:.0f} ms; refused since the last time: {said or 'never'}", flush=True)
        for watcher in watchers:
            watcher.forget_pictures()
            watcher.refused = None
        return times

    def shows_on(self, viewers):
        """The real watchers show pictures too; they say so once a second."""
        shown = [viewer.figure("pictures_shown") for viewer in viewers]
        more = lambda: all(viewer.figure("pictures_shown") > before + 15 for viewer, before in zip(viewers, shown))
        check(self.field.run(GIVEN_UP_S, more), "`watch` shows no pictures although others are sent some")

    def grown(self, who, before, after):
        names = ("threads", "files", "MB")
        text = ", ".join(f"{name} {was:.0f}→{now:.0f}" for name, was, now in zip(names, before, after))
        self.row("kills", who, {name: [was, now] for name, was, now in zip(names, before, after)}, text=text)
        for name, was, now, margin in zip(names, before, after, (0, 0, MARGIN_MB)):
            if now > was + margin:
                self.table.missed.append(f"kills: {who} grew from {was:.0f} to {now:.0f} {name}")

    # How many are served, and for what.

    def capacity(self):
        check(self.options.crowd, "capacity needs --crowd FILE, the example that is many watchers")
        shared = f"the crowd shares {os.cpu_count()} processors with all else"
        print(f"1280x720 at 30 pictures a second in datagrams of {DATAGRAM} bytes; {shared}")
        going, most = ["relay", "serve"], {}
        for n, count in enumerate([1, *self.options.steps]):
            for who in going[:: 1 if n % 2 == 0 else -1]:
                # A machine that did something else for a moment has a second chance.
                held = self.crowd(who, count) or self.crowd(who, count)
                going = going if held else [other for other in going if other != who]
                most.setdefault(who, []).extend([held] if held else [])
        for who, held in most.items():
            self.most(who, held)

    def most(self, who, held):
        """What each watcher more takes, and how many one processor would serve beside what the first takes."""
        check(held, f"{who} did not serve one watcher")
        (few, little), (many, much) = held[0], held[-1]
        more = (much - little) / (many - few) if many > few else math.nan
        text = f"all whole with {many} watchers; each takes {1e3 * more:.2f} ms a second beside what the first takes"
        figures = {"most": many, "per_core": many / much, "ms_for_each_more": 1e3 * more}
        self.row("capacity", who, figures, text=f"{text}; {many / much:.0f} watchers a core in all")

    def crowd(self, who, count):
        """The watchers, and what they took of a processor, if all of them were served every picture."""
        small, seconds = ("--datagram", str(DATAGRAM)), self.options.seconds
        origin = self.serve(LARGE, *small)
        programs = [origin, self.relay(origin.port, *small)] if who == "relay" else [origin]
        server = programs[-1]
        command = [self.options.crowd, f"{HOME}:{server.port}", "--watchers", str(count), "--duration", str(seconds)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        crowd = subprocess.Popen([*command, "--stats", "json"], **pipes)
        is_over = lambda: crowd.poll() is not None
        self.field.run(START_S + count / JOINS, lambda: is_over() or server.figure("watchers") >= count)
        self.field.run(SETTLE_S)
        used, at = server.cpu()
        self.field.run(seconds - 2 * SETTLE_S, is_over)
        used_then, then = server.cpu()
        out, said = crowd.communicate()
        self.stop(*programs)
        check(out.strip() or "got a picture" in said, f"the crowd failed: {said.strip()}")
        seen = json.loads(out) if out.strip() else dict.fromkeys(SEEN, 0)
        whole = bool(out.strip()) and seen["pictures_missing"] == 0 and seen["units"] >= LEAST_FPS * seconds
        share = (used_then - used) / (then - at)
        kept = {"watchers": count, "whole": whole, "processors": share} | {name: seen[name] for name in SEEN}
        text = f"{share:5.2f} processors, {1e3 * share / count:6.2f} ms a watcher and second"
        lost = f"{seen['pictures_missing']} pictures missing, {seen['datagrams_lost']} datagrams lost"
        trouble = "all whole" if whole else f"{lost}, {seen['units']} units: {said.strip()}"
        busy = seen["cpu_seconds"] / (seconds + count / JOINS)
        self.row("capacity", f"{who}, {count} watchers", kept, text=f"{text}, crowd {busy:4.2f} processors  {trouble}")
        return (count, share) if whole else None


def options():
    parser = argparse.ArgumentParser(prog="scripts/relay", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="short|long|" + "|".join(PARTS))
    parser.add_argument("--program", required=True, help="the udpstream to measure")
    parser.add_argument("--crowd", help="the example `crowd`, built")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE")
    parser.add_argument("--watchers", type=int, default=200, metavar="N")
    parser.add_argument("--quality", type=int, default=85, metavar="N", help="of the small pictures: 85 makes them 14 kB")
    for name in ("kills", "joins", "rounds", "seconds"):
        parser.add_argument(f"--{name}", type=int, metavar="N")
    parser.add_argument("--steps", type=lambda text: [int(one) for one in text.split(",")], metavar="N,N,…")
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
    trials, broken, files = Trials(chosen), None, tempfile.TemporaryDirectory()
    os.environ["TMPDIR"] = files.name
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
