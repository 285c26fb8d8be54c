"""The work of scripts/relay: runs serve, relay and watchers through five trials, and prints a table of each."""

import argparse
import ctypes
import json
import math
import os
import pathlib
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time

import soak
from peers.relay import Field
from soak import Program, Wrong, check, proc

LENGTHS = {
    "short": {"kills": 20, "joins": 50, "rounds": 2, "seconds": 8, "steps": [25, 50, 100, 150, 200]},
    "long": {"kills": 200, "joins": 200, "rounds": 6, "seconds": 20, "steps": [25, 50, 75, 100, 150, 200, 250, 300, 400]},
}
PARTS = ("latency", "join", "kills", "capacity", "chain")
# What is asked of a relay, in ms.
ADDED_MS, ADDED_P99_MS, JOIN_MS, BACK_MS = 1, 3, 100, 1_000
SMALL, LARGE, DATAGRAM = "test:500x282@30", "test:1280x720@30", 1_452
# Watchers that start in one second, as in the crowd; what comes in the first second after the last is not counted.
JOINS = 200
SETTLE_S = 1
START_S = 10
# A watcher is given up that shows nothing for so long after all is back.
GIVEN_UP_S = 15
# One restart in so many comes late: by then a watcher has gone through all the stages of its search.
LATE = 4
# What a process may take beyond what it had when it was warm: allocators keep what they were given once.
MARGIN_MB = 8
WARM_UP_S = 6
TICKS = os.sysconf("SC_CLK_TCK")
BOTH = "127.0.0.1"


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


class Trials:
    def __init__(self, options):
        self.options, self.found, self.missed, self.field = options, {}, [], Field()

    # Programs.

    def start(self, *arguments):
        program = Timed(self.options.program, *arguments, "--bind", BOTH)
        ready = lambda: "listening" in program.last or not program.is_running()
        check(self.field.run(START_S, ready), f"{arguments[0]} did not listen")
        check("listening" in program.last, f"{arguments[0]} did not start: {''.join(program.said).strip()}")
        program.port = program.last["listening"]["port"]
        return program

    def serve(self, source=SMALL, *more, port=0):
        quality = ("--quality", str(self.options.quality)) if source == SMALL else ()
        return self.start("serve", source, *quality, *more, "--port", str(port))

    def relay(self, above, *more, port=0):
        return self.start("relay", f"{BOTH}:{above}", *more, "--port", str(port))

    def stop(self, *programs):
        """From the last to the first, so that nobody misses the one above."""
        self.field.leave(*self.field.present)
        for program in reversed(programs):
            program.kill(signal.SIGINT)
            program.end()

    def settle(self, *watchers):
        there = lambda: all(watcher.pictures for watcher in watchers)
        if not self.field.run(START_S, there):
            lacking = [watcher for watcher in watchers if not watcher.pictures]
            raise Wrong(f"{len(lacking)} of {len(watchers)} watchers were shown nothing; {lacking[0].refused}")

    def join_many(self, port, count):
        begun, joined = time.monotonic(), []
        for n in range(count):
            self.field.run(begun + n / JOINS - time.monotonic())
            joined.append(self.field.join(port))
        self.settle(*joined)
        return joined

    def row(self, part, who, figures, aims=(), text=None):
        """Keeps figures, and prints them; `aims` are names with the most that each may be."""
        self.found.setdefault(part, []).append({"who": who} | figures)
        words = text or "  ".join(f"{name} {value:8.3f}" if isinstance(value, float) else f"{name} {value}" for name, value in figures.items())
        marks = ""
        for name, most in aims:
            held = figures[name] <= most
            marks += f"  {name} ≤ {most}: {'✓' if held else '✗'}"
            if not held:
                self.missed.append(f"{part}, {who}: {name} {figures[name]:.2f}, at most {most} is asked")
        print(f"{who:<34}{words}{marks}", flush=True)

    # What a relay adds.

    def latency(self):
        count, pooled, served, sizes = self.options.watchers, [], [], []
        for n in range(self.options.rounds):
            for relayed in (True, False) if n % 2 == 0 else (False, True):
                added, size = self.added(count, relayed)
                (pooled if relayed else served).extend(added)
                sizes.append(size)
        print(f"ms after the first watcher of the origin; pictures of {sum(sizes) / len(sizes) / 1e3:.1f} kB, {count} watchers")
        self.row("latency", "relay", spread(pooled), (("p50", ADDED_MS), ("p99", ADDED_P99_MS)))
        self.row("latency", "the same watchers at the origin", spread(served))

    def added(self, count, relayed):
        """Of each picture at each of so many watchers, how much later it came than at the first of the origin's."""
        origin = self.serve()
        programs = [origin, self.relay(origin.port)] if relayed else [origin]
        direct = self.field.join(origin.port)
        self.settle(direct)
        # Watchers elsewhere take no processor from the relay: here they wait until it sleeps or its share is used up.
        if not os.environ.get("NOBATCH"): os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
        watchers = self.join_many(programs[-1].port, count)
        self.field.run(SETTLE_S)
        for watcher in (direct, *watchers):
            watcher.forget_pictures()
        self.field.run(self.options.seconds)
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
        keys = sorted(direct.pictures)[1:-1]
        least = direct.pictures if relayed else {key: min(one.pictures.get(key, math.inf) for one in (direct, *watchers)) for key in keys}
        added = [(one.pictures[key] - least[key]) / 1e6 for one in watchers for key in keys if key in one.pictures]
        lost = count * len(keys) - len(added)
        check(len(keys) > 20 * self.options.seconds, f"only {len(keys)} pictures came in {self.options.seconds} s")
        check(lost <= count * len(keys) // 1_000, f"{lost} of {count * len(keys)} pictures did not arrive")
        size = sum(direct.bodies[key] for key in keys) / len(keys)
        first = [min(one.pictures[key] for one in watchers if key in one.pictures) - least[key] for key in keys]
        last = [max(one.pictures[key] for one in watchers if key in one.pictures) - least[key] for key in keys]
        who = f"{'relay' if relayed else 'origin'}: "
        self.row("latency", who + "its first watcher", spread([value / 1e6 for value in first]))
        self.row("latency", who + "its last watcher", spread([value / 1e6 for value in last]) | {"lost": lost})
        self.stop(*programs)
        return added, size

    def chain(self):
        programs = [self.serve()]
        for _ in range(3):
            programs.append(self.relay(programs[-1].port))
        watchers = [self.field.join(program.port) for program in programs]
        self.settle(*watchers)
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
        return spread([(below.pictures[key] - above.pictures[key]) / 1e6 for key in keys if key in below.pictures]) | {"lost": lost}

    # How soon a newcomer is shown something.

    def join(self):
        origin = self.serve()
        relay = self.relay(origin.port)
        self.settle(self.field.join(relay.port))
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
        self.settle(watcher)
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

    def kills(self, count):
        origin = self.serve()
        relay, stays = self.relay(origin.port), self.relay(origin.port)
        viewers = [Timed(self.options.program, "watch", f"{BOTH}:{one.port}", "--headless", "--timeout", "600") for one in (relay, stays)]
        watchers = [self.field.join(one.port) for one in (relay, stays)]
        self.settle(*watchers)
        self.field.run(WARM_UP_S)
        kept = [("relay", stays), ("watch at the relay killed", viewers[0]), ("watch at the relay that stays", viewers[1])]
        before = [resources(program) for _, program in kept]
        took = {"origin": [], "relay": []}
        for n in range(count):
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
        self.settle(asks)
        (stream,) = asks.streams
        self.field.leave(asks)
        came = lambda one: [at for (of, _), at in one.pictures.items() if of == stream and at > again.began]
        all_back = lambda: all(came(watcher) for watcher in watchers)
        check(self.field.run(GIVEN_UP_S, all_back), f"{what}: no live picture came within {GIVEN_UP_S} s; {watchers[0].refused}")
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
                self.missed.append(f"kills: {who} grew from {was:.0f} to {now:.0f} {name}")

    # How many are served, and for what.

    def capacity(self):
        check(self.options.crowd, "capacity needs --crowd FILE, the example that is many watchers")
        print(f"1280x720 at 30 pictures a second in datagrams of {DATAGRAM} bytes; the crowd shares {os.cpu_count()} processors with all else")
        going = ["relay", "serve"]
        for n, count in enumerate([1, *self.options.steps]):
            for who in list(going) if n % 2 == 0 else list(reversed(going)):
                if not self.crowd(who, count):
                    going.remove(who)

    def crowd(self, who, count):
        """Whether so many were served every picture."""
        small = ("--datagram", str(DATAGRAM))
        origin = self.serve(LARGE, *small)
        programs = [origin, self.relay(origin.port, *small)] if who == "relay" else [origin]
        server, seconds = programs[-1], self.options.seconds
        command = [self.options.crowd, f"{BOTH}:{server.port}", "--watchers", str(count), "--duration", str(seconds), "--stats", "json"]
        crowd = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        here = lambda: crowd.poll() is not None or server.figure("watchers") >= count
        self.field.run(START_S + count / JOINS, here)
        self.field.run(SETTLE_S)
        used, at = server.cpu()
        self.field.run(seconds - 2 * SETTLE_S, lambda: crowd.poll() is not None)
        used_then, then = server.cpu()
        out, said = crowd.communicate()
        share = (used_then - used) / (then - at)
        figures = json.loads(out) if out.strip() else {"units": 0, "pictures_missing": math.nan, "bytes": 0, "cpu_seconds": math.nan}
        whole = figures["pictures_missing"] == 0 and figures["units"] >= 28 * seconds
        kept = {
            "watchers": count, "whole": whole, "missing": figures["pictures_missing"], "units": figures["units"], "processor": share,
            "ms_per_watcher_second": 1e3 * share / count, "per_core": count / share if share else math.nan,
        }
        text = f"{share:6.2f} processors, {1e3 * share / count:6.2f} ms a watcher and second, {kept['per_core']:6.0f} watchers a core"
        text += "  all whole" if whole else f"  missing {kept['missing']} in {kept['units']} units: {said.strip()}"
        self.row("capacity", f"{who}, {count} watchers", kept, text=text)
        self.stop(*programs)
        return whole


def resources(program):
    """Threads, descriptors, and MB."""
    program.samples = []
    program.sample()
    return program.samples[0]


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
    trials, broken = Trials(chosen), None
    try:
        for part in chosen.parts:
            print(f"\n== {part}", flush=True)
            begun = time.monotonic()
            trials.kills(chosen.kills) if part == "kills" else getattr(trials, part)()
            print(f"took {time.monotonic() - begun:.0f} s", flush=True)
    except Wrong as wrong:
        broken = f"error: {wrong}"
    finally:
        for program in list(Program.running):
            program.kill()
            program.gone()
    print("\n" + ("\n".join(f"✗ {line}" for line in trials.missed) or "all that is asked was met"))
    if chosen.json:
        chosen.json.write_text(json.dumps(trials.found, indent=1) + "\n")
    sys.exit(broken or (1 if trials.missed else 0))


if __name__ == "__main__":
    main()
