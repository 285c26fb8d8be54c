"""The work of scripts/library: makes films, serves them, watches them, and prints what each part comes to."""

import argparse
import http.server
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

PARTS = ("seeks", "first", "viewers", "index", "memory")
HOME = "127.0.0.1"
TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


class Wrong(Exception):
    """A measurement that did not come about."""


def percentile(values, part):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * part))]


def make_film(built, path, size, seconds):
    """A film of 25 numbered pictures a second, with a keyframe each two seconds and a beep at each second."""
    beeps = "aevalsrc='if(lt(mod(t,1),0.03),0.6*sin(2*PI*1000*t),0)':s=44100"
    pictures = subprocess.Popen(
        [built / "examples/barcode", "--size", size, "--fps", "1000", "--pictures", str(25 * seconds)],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )
    command = ["ffmpeg", "-v", "error", "-y", "-r", "25", "-f", "yuv4mpegpipe", "-i", "-", "-f", "lavfi", "-i", beeps]
    command += ["-t", str(seconds), "-c:v", "libx264", "-preset", "veryfast", "-g", "50", "-keyint_min", "50", "-sc_threshold", "0"]
    command += ["-c:a", "aac", "-movflags", "+faststart", str(path)]
    subprocess.run(command, stdin=pictures.stdout, check=True)
    pictures.wait()


def tree(pid):
    """A process and all below it."""
    found, below = [], {}
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                text = (entry / "stat").read_text()
            except OSError:
                continue
            parent = int(text[text.rindex(")") + 2 :].split()[1])
            below.setdefault(parent, []).append(int(entry.name))
    waiting = [pid]
    while waiting:
        one = waiting.pop()
        found.append(one)
        waiting += below.get(one, [])
    return found


def processor_seconds(pid):
    """Of a process and all below it that run, and those that it has waited for."""
    total = 0.0
    for one in tree(pid):
        try:
            text = pathlib.Path(f"/proc/{one}/stat").read_text()
        except OSError:
            continue
        fields = text[text.rindex(")") + 2 :].split()
        total += sum(int(fields[at]) for at in (11, 12, 13, 14)) / TICKS
    return total


def resident(pid):
    return int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE


class Server:
    """`udpstream serve` of a folder."""

    def __init__(self, built, folder, store):
        command = [built / "udpstream", "serve", folder, "--store", store, "--port", "0", "--audio-port", "0", "--bind", HOME]
        command += ["--no-announce", "--stats", "json"]
        self.began = time.monotonic()
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        listening = json.loads(self.process.stdout.readline() or "{}")
        if listening.get("event") != "listening":
            raise Wrong("the server did not start")
        self.ready = time.monotonic() - self.began
        self.address = f"{HOME}:{listening['port']}"
        self.last = {}
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            event = json.loads(line)
            if event["event"] in ("stats", "summary"):
                self.last = event

    def library(self):
        return self.last.get("library", {})

    def until_looked_into(self, within):
        while time.monotonic() - self.began < within:
            if self.library().get("unseen") == 0:
                return time.monotonic() - self.began
            time.sleep(0.2)
        raise Wrong(f"not looked into within {within} s: {self.library()}")

    def end(self):
        self.process.send_signal(signal.SIGINT)
        if self.process.wait(20) != 0:
            raise Wrong("the server failed")


class Ranges(http.server.SimpleHTTPRequestHandler):
    """Files by HTTP, with ranges, as players ask for them."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path = pathlib.Path(self.translate_path(self.path))
        size = path.stat().st_size
        first, last = 0, size - 1
        asked = self.headers.get("Range")
        if asked:
            begin, _, end = asked.removeprefix("bytes=").partition("-")
            first, last = int(begin), int(end or last)
        self.send_response(206 if asked else 200)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(last - first + 1))
        self.send_header("Content-Type", "video/mp4")
        if asked:
            self.send_header("Content-Range", f"bytes {first}-{last}/{size}")
        self.end_headers()
        with path.open("rb") as file:
            file.seek(first)
            left = last - first + 1
            try:
                while left > 0 and (bytes_ := file.read(min(left, 1 << 18))):
                    self.wfile.write(bytes_)
                    left -= len(bytes_)
            except (BrokenPipeError, ConnectionResetError):
                pass

    def log_message(self, *_):
        pass


def mpv_seeks(folder, name, places):
    """Milliseconds from the order until mpv plays there, of each place."""
    os.chdir(folder)
    server = http.server.ThreadingHTTPServer((HOME, 0), Ranges)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    control = f"{folder}/mpv"
    command = ["mpv", "--no-config", "--vo=null", "--ao=null", "--hr-seek=yes", "--really-quiet", f"--input-ipc-server={control}"]
    player = subprocess.Popen([*command, f"http://{HOME}:{server.server_port}/{name}"])
    times = []
    try:
        while not pathlib.Path(control).exists():
            time.sleep(0.05)
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(control)
            connection.settimeout(20)
            lines = connection.makefile("r")

            def until(event):
                for line in lines:
                    if json.loads(line).get("event") == event:
                        return
                raise Wrong("mpv ended")

            time.sleep(2)
            for place in places:
                since = time.monotonic()
                order = {"command": ["seek", place, "absolute+exact"]}
                connection.sendall(json.dumps(order).encode() + b"\n")
                until("playback-restart")
                times.append((time.monotonic() - since) * 1e3)
    finally:
        player.kill()
        player.wait()
        server.shutdown()
    return times


def told(times):
    return f"p50 {percentile(times, 0.5):.0f} ms, p95 {percentile(times, 0.95):.0f} ms of {len(times)}"


def run_seeks(built, server, name, count, seed):
    run = subprocess.run(
        [built / "examples/seeks", f"{server.address}/{name}", str(count), str(seed)], stdout=subprocess.PIPE, text=True, check=False
    )
    lines = run.stdout.splitlines()
    if len(lines) != count + 1:
        raise Wrong(f"{len(lines)} of {count} seeks came about")
    print(f"    {lines[-1]}")
    if run.returncode != 0:
        raise Wrong("not all were their pictures")
    return [float(line.split(" ms")[0].split()[-1]) for line in lines[:-1]]


def seeks(chosen, folder):
    count, seconds = (20, 60) if chosen.short else (200, 600)
    films = folder / "films"
    films.mkdir()
    make_film(chosen.built, films / "film.mp4", "1920x1080", seconds)
    server = Server(chosen.built, films, folder / "store")
    server.until_looked_into(30)
    times = run_seeks(chosen.built, server, "film.mp4", count, 1)
    print(f"  udpstream, nothing of it made before: {told(times)}")
    times = run_seeks(chosen.built, server, "film.mp4", count, 1)
    print(f"  udpstream, the same places once more: {told(times)}")
    server.end()
    if not shutil.which("mpv"):
        print("  mpv is not there to compare with")
        return
    random.seed(1)
    times = mpv_seeks(films, "film.mp4", [random.uniform(0, seconds - 1) for _ in range(count)])
    print(f"  mpv over HTTP, exact seeks:           {told(times)}")


def first_picture(built, address):
    since = time.monotonic()
    command = [built / "udpstream", "watch", address, "--headless", "--frames", "1", "--no-history", "--quiet", "--no-audio"]
    if subprocess.run(command, check=False, stdout=subprocess.DEVNULL).returncode != 0:
        raise Wrong("the first picture did not come")
    return (time.monotonic() - since) * 1e3


def first(chosen, folder):
    count = 5 if chosen.short else 20
    films = folder / "films"
    films.mkdir()
    make_film(chosen.built, films / "film0.mp4", "1920x1080", 20)
    for number in range(1, count):
        shutil.copy(films / "film0.mp4", films / f"film{number}.mp4")
    server = Server(chosen.built, films, folder / "store")
    server.until_looked_into(60)
    names = [f"{server.address}/film{number}.mp4" for number in range(count)]
    print(f"  the first time: {told([first_picture(chosen.built, name) for name in names])}")
    print(f"  out of the store: {told([first_picture(chosen.built, name) for name in names])}")
    server.end()


def viewers(chosen, folder):
    seconds = 8 if chosen.short else 30
    films = folder / "films"
    films.mkdir()
    for height, size in ((360, "960x360"), (720, "1280x720")):
        make_film(chosen.built, films / f"film{height}.mp4", size, 8 * seconds)
        for count in (1, 2, 4):
            server = Server(chosen.built, films, folder / f"store{height}-{count}")
            server.until_looked_into(60)
            watching = []
            for number in range(count):
                command = [chosen.built / "udpstream", "watch", f"{server.address}/film{height}.mp4", "--headless", "--quiet", "--no-history"]
                command += ["--stats", "json", "--no-audio", "--start", str(2 * number * seconds), "--duration", str(seconds + 4)]
                watching.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
            time.sleep(2)
            before, since = processor_seconds(server.process.pid), time.monotonic()
            time.sleep(seconds)
            took = processor_seconds(server.process.pid) - before
            share = took / (time.monotonic() - since)
            shown = [json.loads(one.communicate()[0].splitlines()[-1]) for one in watching]
            lost = sum(one["pictures_lost"] + one["pictures_late"] for one in shown)
            pictures = sum(one["pictures_shown"] for one in shown)
            print(f"  {height}p, {count} viewers: {share * 100:.0f} % of a core; {pictures} pictures shown, {lost} lost or late")
            server.end()


def index(chosen, folder):
    count = 200 if chosen.short else 10_000
    films = folder / "films"
    films.mkdir()
    command = ["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", "testsrc=s=64x48:d=0.2", "-metadata", "title=One", str(films / "0.mp4")]
    subprocess.run(command, check=True)
    content = (films / "0.mp4").read_bytes()
    for number in range(1, count):
        below = films / f"folder{number % 100}"
        below.mkdir(exist_ok=True)
        (below / f"{number}.mp4").write_bytes(content)
    server = Server(chosen.built, films, folder / "store")
    took = server.until_looked_into(3_000)
    print(f"  {count} files: serves after {server.ready:.2f} s, all looked into after {took:.1f} s, {count / took:.0f} a second")
    server.end()
    server = Server(chosen.built, films, folder / "store")
    took = server.until_looked_into(60)
    print(f"  started again: serves after {server.ready:.2f} s, nothing left to be looked into after {took:.1f} s")
    server.end()


def memory(chosen, folder):
    count = 60 if chosen.short else 1_000
    films = folder / "films"
    films.mkdir()
    make_film(chosen.built, films / "film.mp4", "1280x720", 120)
    server = Server(chosen.built, films, folder / "store")
    server.until_looked_into(30)
    held = []
    for part in range(5):
        run_seeks(chosen.built, server, "film.mp4", max(count // 5, 1), part)
        held.append(resident(server.process.pid) / 1e6)
    print(f"  after each fifth of {count} seeks: {', '.join(f'{one:.0f}' for one in held)} MB")
    server.end()


def main():
    parser = argparse.ArgumentParser(prog="scripts/library")
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], default=[])
    parser.add_argument("--built", type=pathlib.Path, required=True)
    parser.add_argument("--short", action="store_true")
    chosen = parser.parse_args()
    chosen.built = chosen.built.resolve()
    home = pathlib.Path.cwd()
    failed = False
    for part in chosen.parts or PARTS:
        print(f"{part}:", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            try:
                globals()[part](chosen, pathlib.Path(folder))
            except (Wrong, subprocess.CalledProcessError) as why:
                print(f"  error: {why}")
                failed = True
            os.chdir(home)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
