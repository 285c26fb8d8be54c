"""The work of scripts/soak: runs serve and watch through four trials and prints one table."""

import argparse
import ctypes
import json
import os
import pathlib
import random
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

FILM = ["assets/sample.mp4", "--loop", "--width", "480"]
LENGTHS = {
    "short": {"kills": 5, "film": 20, "hellos": 5_000, "guests": 8},
    "long": {"kills": 200, "film": 3_600, "hellos": 100_000, "guests": 200},
}
# The film lasts five seconds: by then it has gone round twice, and every pool has its size.
WARM_UP_S = 12
# What a process may take beyond the most of its warm-up: allocators keep what they were given once.
MARGIN_MB = 8
# Threads and descriptors come and go with each round of the film, and with a sound device that is opened anew: one has
# grown if the least of so many samples, half a second apart, is more than the most of the warm-up.
SETTLED = 20
# Coming back: half a second of silence, a quarter until the next question, and a start of ffmpeg on a busy machine.
RETURN_S = 10
# A machine that stands still for a while is not what is tried here.
PATIENCE_S = 600
# A watcher that was killed is dropped after three seconds of silence.
FORGET_S = 6
HELLOS_A_SECOND = 2_000
HELLO_BYTES = 1_200
# One stranger in so many hears what comes back.
LISTEN = 49
# Goodbyes that are sent again before the answer to the first has come.
TAIL = 16
PR_SET_CHILD_SUBREAPER = 36


class Wrong(Exception):
    """What must not be, as a sentence."""


def check(holds, sentence):
    if not holds:
        raise Wrong(sentence)


def until(holds, seconds, sentence):
    """Waits until something holds; returns how long that took."""
    start = time.monotonic()
    while not holds():
        check(time.monotonic() - start < seconds, f"{sentence} within {seconds} s")
        time.sleep(0.02)
    return time.monotonic() - start


def proc(pid, name):
    """A file of /proc; empty if the process has gone."""
    try:
        return pathlib.Path(f"/proc/{pid}/{name}").read_text()
    except OSError:
        return ""


def children(pid):
    """Process ids and states of all whose parent this is."""
    found = []
    for entry in os.listdir("/proc"):
        fields = proc(entry, "stat").rpartition(")")[2].split() if entry.isdigit() else []
        if len(fields) > 1 and int(fields[1]) == pid:
            found.append((int(entry), fields[0]))
    return found


class Program:
    """A running udpstream whose JSON lines are read as they come."""

    running = set()

    def __init__(self, program, *arguments):
        command = [program, *arguments, "--stats", "json"]
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        Program.running.add(self)
        self.last, self.events, self.said = {}, [], []
        self.samples, self.warm = [], None
        self.readers = [
            threading.Thread(target=self.read_figures, daemon=True),
            threading.Thread(target=lambda: self.said.extend(self.process.stderr), daemon=True),
        ]
        for reader in self.readers:
            reader.start()

    def read_figures(self):
        for line in self.process.stdout:
            event = json.loads(line)
            self.last[event["event"]] = event
            if event["event"] not in ("stats", "listening"):
                self.events.append(event["event"])

    def figure(self, name):
        return self.last.get("stats", {}).get(name, 0)

    def is_running(self):
        return self.process.poll() is None

    def kill(self, how=signal.SIGKILL):
        self.process.send_signal(how)

    def end(self, seconds=10):
        """Waits for the end and returns the summary."""
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Wrong(f"{self.process.args[1]} still runs {seconds} s after it should have ended") from None
        for reader in self.readers:
            reader.join()
        Program.running.discard(self)
        check(code == 0, f"{self.process.args[1]} ended with {code}: {''.join(self.said).strip()}")
        return self.last["summary"]

    def gone(self):
        """After kill: reaps it."""
        self.process.wait()
        Program.running.discard(self)

    def sample(self):
        pid = self.process.pid
        status = dict(line.split(":", 1) for line in proc(pid, "status").splitlines() if ":" in line)
        check("VmRSS" in status, f"{self.process.args[1]} has gone: {''.join(self.said).strip()}")
        rss = int(status["VmRSS"].split()[0]) / 1_000
        self.samples.append((int(status["Threads"]), len(os.listdir(f"/proc/{pid}/fd")), rss))
        zombies = [child for child, state in children(pid) if state == "Z"]
        # One that has just ended is reaped at the next turn.
        if zombies:
            time.sleep(0.5)
            left = {child for child, state in children(pid) if state == "Z"}.intersection(zombies)
            check(not left, f"{self.process.args[1]} has zombies: {left}")

    def most(self):
        return tuple(max(sample[n] for sample in self.samples) for n in range(3))

    def warmed_up(self):
        self.warm, self.samples = self.most(), []

    def is_flat(self, trial):
        """Returns threads, descriptors and MB since the warm-up."""
        lately = self.samples[-SETTLED:]
        now = *(min(sample[n] for sample in lately) for n in (0, 1)), self.most()[2]
        for n, what, margin in ((0, "threads", 0), (1, "descriptors", 0), (2, "MB", MARGIN_MB)):
            grown = now[n] > self.warm[n] + margin
            name = self.process.args[1]
            check(not grown, f"{trial}: {name} grew to {now[n]:.1f} {what}, {self.warm[n]:.1f} after the warm-up")
        self.samples = []
        return now


class Soak:
    def __init__(self, options):
        self.options, self.rows = options, []

    def serve(self, port="0"):
        server = Program(self.options.program, "serve", *FILM, "--no-announce", "--bind", "127.0.0.1", "--port", str(port))
        until(lambda: "listening" in server.last or not server.is_running(), RETURN_S, "the server did not listen")
        check(server.is_running(), f"the server did not start: {''.join(server.said).strip()}")
        return server, server.last["listening"]["port"]

    def watch(self, port, *arguments):
        patience = ["--timeout", str(PATIENCE_S)]
        return Program(self.options.program, "watch", f"127.0.0.1:{port}", "--headless", *patience, *arguments)

    def row(self, trial, what, program=None, now=None):
        figures = ["", "", "", ""]
        if program:
            pairs = zip(program.warm, now)
            figures = [program.process.args[1]] + [f"{warm:.0f}→{since:.0f}" for warm, since in pairs]
        self.rows.append((trial, *figures, what))

    # Kills.

    def kills(self, count):
        server, port = self.serve()
        watcher = self.watch(port)
        until(lambda: watcher.figure("pictures_shown") > 0, RETURN_S, "nothing was shown")
        took = {"serve": [], "watch": []}
        for n in range(count):
            server, back = self.kill_server(server, port, watcher)
            took["serve"].append(back)
            watcher, back = self.kill_watcher(server, port, watcher)
            took["watch"].append(back)
            self.no_strays(server, watcher)
        until(lambda: server.figure("watchers") == 1, FORGET_S, "watchers that were killed were not forgotten")
        server.kill(signal.SIGINT)
        server.end()
        summary = watcher.end()
        check(summary["end"] == "end", f"the watcher ended with {summary['end']}")
        self.no_strays()
        for who, times in took.items():
            times.sort()
            text = f"{count} × kill -9: back after {times[len(times) // 2]:.2f} s (median), {times[-1]:.2f} s (most)"
            self.row("kills", f"{who}: {text}")

    def kill_server(self, server, port, watcher):
        joined = watcher.events.count("playing")
        start = time.monotonic()
        server.kill()
        server.gone()
        server, _ = self.serve(port)
        found = lambda: watcher.events.count("playing") > joined
        until(found, RETURN_S, "the watcher did not find the new server")
        back = time.monotonic() - start
        shown = watcher.figure("pictures_shown")
        until(lambda: watcher.figure("pictures_shown") > shown, RETURN_S, "no pictures came from the new server")
        check(watcher.is_running(), "the watcher ended with the server")
        return server, back

    def kill_watcher(self, server, port, watcher):
        watcher.kill()
        watcher.gone()
        start = time.monotonic()
        watcher = self.watch(port)
        until(lambda: "playing" in watcher.events, RETURN_S, "a new watcher was not let in")
        back = time.monotonic() - start
        until(lambda: watcher.figure("pictures_shown") > 0, RETURN_S, "a new watcher was shown nothing")
        check(server.is_running(), "the server ended with the watcher")
        return watcher, back

    def no_strays(self, *alive):
        """Orphans come to us: none may live on, such as an ffmpeg whose server was killed."""
        known = {program.process.pid for program in alive}

        def strays():
            found = []
            for pid, state in children(os.getpid()):
                if pid not in known and state == "Z":
                    os.waitpid(pid, os.WNOHANG)
                elif pid not in known:
                    found.append(pid)
            return found

        until(lambda: not strays(), 5, "processes that nobody owns did not end")

    # A film with a watcher all along, alone or among strangers and guests.

    def film(self, seconds):
        server, watcher, _ = self.pair()
        self.look_on((server, watcher), seconds)
        self.trial("film", f"{seconds} s in a loop", (server, watcher))
        sent, got = self.end(server, watcher)
        over = sent["datagrams"] - got["datagrams"]
        check(0 <= over <= TAIL, f"{over} datagrams were sent and not received")

    def company(self, hellos, guests):
        server, watcher, port = self.pair()
        both = (server, watcher)
        if hellos:
            self.trial("strangers", self.strangers(port, hellos, both), both)
        if guests:
            self.trial("guests", self.guests(port, guests, both), both)
        self.end(server, watcher)

    def pair(self):
        """A server and a watcher, warmed up."""
        server, port = self.serve()
        watcher = self.watch(port)
        self.look_on((server, watcher), WARM_UP_S)
        server.warmed_up()
        watcher.warmed_up()
        return server, watcher, port

    def end(self, server, watcher):
        server.kill(signal.SIGINT)
        sent, got = server.end(), watcher.end()
        self.add_up(sent, got)
        self.no_strays()
        return sent, got

    def trial(self, name, what, both):
        for program in both:
            self.row(name, what, program, program.is_flat(name))

    def look_on(self, both, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for program in both:
                program.sample()
            time.sleep(min(0.5, max(0, end - time.monotonic())))

    def strangers(self, port, count, both):
        """Hellos, and Joins with made-up cookies, each from an address of its own; what comes back is weighed."""
        start, listening, more, amplified = time.monotonic(), [], 0, 0
        for n in range(count):
            address = f"127.{10 + n // 65_000}.{n // 250 % 250}.{1 + n % 250}"
            stranger = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            stranger.bind((address, 0))
            sent = stranger.sendto(forged(n), ("127.0.0.1", port))
            if n % LISTEN == 0:
                stranger.setblocking(False)
                listening.append((stranger, sent))
            else:
                stranger.close()
            if n % 100 == 99:
                more, amplified = weigh(listening, more, amplified)
                time.sleep(max(0, start + n / HELLOS_A_SECOND - time.monotonic()))
            if n % 1_000 == 999:
                for program in both:
                    program.sample()
                check(both[0].figure("watchers") == 1, "a stranger became a watcher")
        took = time.monotonic() - start
        time.sleep(0.5)
        more, amplified = weigh(listening, more, amplified, True)
        self.look_on(both, 2)
        check(amplified == 0, f"{amplified} strangers were sent more than they had sent")
        check(more > 0, "no stranger was answered: the trial proves nothing")
        check(both[0].figure("refused") == 0, "a stranger got so far as to be refused")
        return f"{count} forged, {count / took:.0f} a second, {more} of {count // LISTEN + 1} listened to were answered"

    def guests(self, port, count, both):
        """Watchers that come and go, every third one without a word."""
        present, most, server = [], 0, both[0]
        for n in range(count):
            guest = self.watch(port, "--duration", "2")
            present.append((guest, n % 3 == 2))
            time.sleep(0.4)
            for program in both:
                program.sample()
            most = max(most, server.figure("watchers"))
            while len(present) > 4:
                leave(*present.pop(0))
        for guest in present:
            leave(*guest)
        check(most > 1, "no guest was seen")
        until(lambda: server.figure("watchers") == 1, FORGET_S, "guests were not forgotten")
        self.look_on(both, 1)
        return f"{count} came and went, at most {most - 1} at once"

    def add_up(self, sent, got):
        units = sent["pictures_sent"] + sent["pictures_skipped"]
        counts = {name: got[f"pictures_{name}"] for name in ("shown", "lost", "late", "thinned", "damaged")}
        text = ", ".join(f"{name} {count}" for name, count in counts.items())
        self.row("counters", f"units {units}: {text}; datagrams sent {sent['datagrams']}, received {got['datagrams']}")
        accounted = sum(counts[name] for name in ("shown", "lost", "late", "thinned"))
        check(accounted == units, f"{units} units, but {accounted} accounted for: {counts}")
        # Where the machine stands still, the newest picture takes the place of one that has not left yet.
        gave_way = counts["thinned"] - sent["pictures_skipped"]
        check(0 <= gave_way <= units / 20, f"skipped {sent['pictures_skipped']}, {counts}")
        bad = [counts["lost"], counts["late"], counts["damaged"], got["reconnects"], got["slices_rejected"]]
        check(not any(bad), f"the watcher was harmed: {counts}, {got['reconnects']} reconnects")

    def table(self):
        heads = ("trial", "process", "threads", "files", "MB", "")
        widths = [max(len(str(row[n])) for row in [heads, *self.rows]) for n in range(len(heads) - 1)]
        for row in [heads, *self.rows]:
            cells = [f"{cell:<{width}}" for cell, width in zip(row, widths)]
            print("  ".join([*cells, row[-1]]).rstrip())
        print(f"warm-up→since: at most → at least threads and files, most → most MB; {MARGIN_MB} MB more are flat, a thread is not")


def leave(guest, killed):
    if killed:
        guest.kill()
        guest.gone()
        return
    summary = guest.end()
    check(summary["pictures_shown"] > 0 and summary["pictures_lost"] == 0, f"a guest was badly served: {summary}")


def forged(n):
    """Mostly Hellos, some too short, some Joins whose cookie nobody baked."""
    kind = 3 if n % 10 == 9 else 1
    hop = struct.pack(">HBBIII", 0x5553, 1, kind, 0, 0, n)
    if kind == 1:
        body = struct.pack(">BBHQ", 1, 1, 0, random.getrandbits(64))
        return (hop + body).ljust(100 if n % 10 == 8 else HELLO_BYTES, b"\0")
    return hop + random.randbytes(8 + 24) + struct.pack(">BBH", 0, 0, 0)


def weigh(listening, answered, amplified, last=False):
    """Hears what came back, and lets those go that have been listened to for long enough."""
    while listening and (last or len(listening) > 100):
        stranger, sent = listening.pop(0)
        came = 0
        while select.select([stranger], [], [], 0)[0]:
            came += len(stranger.recv(65_536))
        answered += came > 0
        amplified += came > sent
        stranger.close()
    return answered, amplified


def options():
    parser = argparse.ArgumentParser(prog="scripts/soak", description=__doc__)
    parser.add_argument("length", choices=LENGTHS)
    parser.add_argument("--program", required=True, help="the udpstream to try")
    for name in ("kills", "film", "hellos", "guests"):
        parser.add_argument(f"--{name}", type=int, metavar="N")
    chosen = parser.parse_args()
    for name, count in LENGTHS[chosen.length].items():
        if getattr(chosen, name) is None:
            setattr(chosen, name, count)
    return chosen


def main():
    chosen = options()
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    soak = Soak(chosen)
    try:
        if chosen.kills:
            soak.kills(chosen.kills)
        if chosen.film:
            soak.film(chosen.film)
        if chosen.hellos or chosen.guests:
            soak.company(chosen.hellos, chosen.guests)
        soak.table()
    except Wrong as wrong:
        soak.table()
        sys.exit(f"error: {wrong}")
    finally:
        for program in list(Program.running):
            program.kill()
            program.gone()


if __name__ == "__main__":
    main()
