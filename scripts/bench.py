"""What scripts/bench runs besides criterion's benches, and its table."""

import json
import os
import pathlib
import re
import subprocess
import sys
import time

LENGTH, SCRATCH, TARGET = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
PARTS = sys.argv[4:]
SHORT = LENGTH == "short"
PROGRAM, CROWD = TARGET / "release/udpstream", TARGET / "release/examples/crowd"
SYNC, BARCODE, GLASS = (TARGET / f"release/examples/{name}" for name in ("sync", "barcode", "glass"))
# What the project asks of itself: name, measured, limit, and whether it is held.
aims = []


def aim(name, measured, limit, held):
    aims.append((name, measured, limit, held))


class Serving:
    """`serve` with statistics; ended politely."""

    def __init__(self, *arguments):
        command = [PROGRAM, "serve", *arguments, "--port", "0", "--bind", "127.0.0.1", "--stats", "json"]
        # A file: nobody reads along, and a full pipe would hold the server up.
        self.output, self.errors = SCRATCH / "serve.out", SCRATCH / "serve.err"
        with open(self.output, "w") as output, open(self.errors, "w") as errors:
            self.process = subprocess.Popen(command, stdout=output, stderr=errors)
        while "\n" not in self.output.read_text():
            if self.process.poll() is not None:
                sys.exit(f"error: serve did not start: {self.errors.read_text().strip()}")
            time.sleep(0.02)
        self.address = f"127.0.0.1:{json.loads(self.output.read_text().splitlines()[0])['port']}"

    def rss(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status).group(1)) / 1000

    def end(self):
        self.process.terminate()
        self.process.wait(timeout=30)
        return json.loads(self.output.read_text().splitlines()[-1])


def watch(address, seconds, *arguments, **environment):
    command = [PROGRAM, "watch", address, "--headless", "--duration", str(seconds), "--stats", "json", *arguments]
    run = subprocess.run(command, capture_output=True, text=True, env=os.environ | environment)
    if run.returncode != 0:
        sys.exit(f"error: watch failed: {run.stderr.strip()}")
    return json.loads(run.stdout.splitlines()[-1])


def film():
    seconds = 3 if SHORT else 30
    serving = Serving("assets/sample.mp4", "--fps", "30", "--loop")
    got = watch(serving.address, seconds, "--no-audio")
    sent = serving.end()
    blocks = {"departure error, µs": sent["departure_error_us"]}
    blocks |= {name: got[f"{name}_ms"] for name in ("interval", "shown_interval", "latency")}
    blocks |= {f"stage {name}": block for name, block in got["stages_ms"].items() if block}
    print(f"\n720p film at 30 fps, {seconds} s, shown {got['pictures_shown']}, lost {got['pictures_lost']}; ms if not said otherwise:")
    for name, block in blocks.items():
        print(f"  {name:<24}" + "".join(f"{key:>6}{block[key]:>10.3f}" for key in ("p50", "p99", "stdev", "max")))
    print(f"  first picture after `watch` began: {got['first_picture_ms']:.0f}", end="")
    for name, used, of in (("serve", sent, "cpu"), ("ffmpeg", sent, "source_cpu"), ("watch", got, "cpu")):
        print(f"; {name} {100 * used[f'{of}_seconds'] / used['t']:.1f} % of a core", end="")
    print()


def crowd():
    watchers, seconds = (50, 2) if SHORT else (1000, 30)
    serving = Serving("test:500x282@30", "--no-wait")
    command = [CROWD, serving.address, "--watchers", str(watchers), "--duration", str(seconds), "--stats", "json"]
    run = subprocess.run(command, capture_output=True, text=True)
    sent = serving.end()
    if not run.stdout.strip():
        sys.exit(f"error: the crowd failed: {run.stderr.strip()}")
    figures = json.loads(run.stdout.splitlines()[-1])
    print(f"\ncrowd of {watchers} for {seconds} s, 30 fps:")
    for name, value in figures.items():
        print(f"  {name:<24}{value}")
    used = sent["cpu_seconds"] / max(1, sent["datagrams"]) * 1e6
    print(f"  serve: {sent['datagrams']} datagrams, {used:.2f} µs of processor each, {sent['pictures_skipped']} skipped")
    if run.stderr.strip():
        print(f"  {run.stderr.strip()}")
    aim(f"{watchers} watchers × 30 fps × 14 kB, nothing lost", f"exit code {run.returncode}", "0", run.returncode == 0)


def memory():
    seconds = 4 if SHORT else 60
    serving = Serving("assets/sample.mp4", "--loop")
    viewer = subprocess.Popen([PROGRAM, "watch", serving.address, "--headless", "-q"], stdout=subprocess.DEVNULL)
    marks = []
    for _ in range(8):
        time.sleep(seconds / 8)
        marks.append(serving.rss())
    viewer.terminate()
    viewer.wait()
    serving.end()
    print(f"\nmemory of serve (720p film in a loop), {seconds} s, MB: " + " ".join(f"{mark:.1f}" for mark in marks))
    aim("serve without ffmpeg, MB", f"{max(marks):.1f}", "80", max(marks) <= 80)
    growth = max(marks[4:]) - max(marks[:4])
    aim("its growth from the first half to the second, MB", f"{growth:.1f}", "2", growth <= 2)


def large():
    seconds = 3 if SHORT else 20
    serving = Serving("test:3840x2160@30")
    got = watch(serving.address, seconds)
    most = serving.rss()
    sent = serving.end()
    print(f"\n3840×2160 at 30 fps, {seconds} s: shown {got['pictures_shown']}, lost {got['pictures_lost']}, ", end="")
    print(f"late {got['pictures_late']}, thinned {got['pictures_thinned']}, skipped {sent['pictures_skipped']}; ", end="")
    print(f"serve {100 * sent['cpu_seconds'] / sent['t']:.0f} %, watch {100 * got['cpu_seconds'] / got['t']:.0f} %, ", end="")
    print(f"serve {most:.0f} MB; due → decoded p50 {got['latency_ms']['p50']:.1f} ms")
    units = sum(got[f"pictures_{what}"] for what in ("shown", "lost", "late", "thinned"))
    aim("3840×2160 at 30 fps: shown of all", f"{got['pictures_shown']} of {units}", "99 %", got["pictures_shown"] >= 0.99 * units)
    fps = got["pictures_shown"] / (got["t"] - got["first_picture_ms"] / 1e3)
    aim("its fps", f"{fps:.2f}", "29.7", fps >= 29.7)


def heard():
    """What sound costs the pictures, how long live sound takes, and whether both are together."""
    seconds, rounds = (3, 1) if SHORT else (15, 3)
    figures = {(): [], ("--no-audio",): []}
    for _ in range(rounds):
        for arguments, runs in figures.items():
            serving = Serving("assets/sample.mp4", "--fps", "30", "--loop")
            runs.append(watch(serving.address, seconds, *arguments))
            serving.end()
    middle = lambda runs, name, key: sorted(run[name][key] for run in runs)[len(runs) // 2]
    with_sound, without = figures.values()
    print(f"\nsound, 720p film at 30 fps, {rounds} rounds of {seconds} s, the middle one; ms, with and without:")
    for name, key in (("interval_ms", "stdev"), ("shown_interval_ms", "stdev"), ("latency_ms", "p50"), ("latency_ms", "p99")):
        print(f"  {name + ' ' + key:<28}{middle(with_sound, name, key):>10.3f}{middle(without, name, key):>10.3f}")
    ratio = middle(with_sound, "interval_ms", "stdev") / middle(without, "interval_ms", "stdev")
    aim("arrival interval stdev with sound / without", f"{ratio:.2f}", "1.25", ratio <= 1.25)
    underruns = sum(run["audio"]["underruns"] for run in with_sound)
    print(f"  underruns {underruns}, lost {sum(run['audio']['lost'] for run in with_sound)}")

    serving = Serving("test:640x480@30", "--pace", "live")
    live = watch(serving.address, seconds)["audio"]
    serving.end()
    path = live["delay_ms"] + live["skew_ms"]["p95"]
    print(f"live sound: heard {live['delay_ms']:.1f} ms after it was made, off by {live['skew_ms']['p95']:.1f} ms at p95; ", end="")
    print(f"of it the device {live['device_latency_ms']:.1f} ms")
    aim("live sound, source to ear, p95, ms", f"{path:.1f}", "40", path <= 40)

    # A silent device that is listened to, as the one that is heard is, works in short blocks.
    subprocess.run(["pactl", "load-module", "module-null-sink", "sink_name=ear", "rate=44100"], check=True, stdout=subprocess.DEVNULL)
    listener = subprocess.Popen(["parec", "-d", "ear.monitor", "--latency-msec=20"], stdout=subprocess.DEVNULL)
    serving = Serving(f"mic:{os.environ['UDPSTREAM_SOUND']}.monitor")
    path = watch(serving.address, 8 if SHORT else 30, PULSE_SINK="ear")["audio"]
    serving.end()
    listener.terminate()
    listener.wait()
    path = path["delay_ms"] + path["skew_ms"]["p95"]
    aim("microphone to ear, p95, ms", f"{path:.1f}", "80", path <= 80)

    seconds = 8 if SHORT else 300
    serving = Serving("test:640x480@30")
    arguments = [SYNC, "640x480", str(seconds), f"{os.environ['UDPSTREAM_SOUND']}.monitor"]
    sync = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
    time.sleep(0.5)
    viewer = subprocess.Popen([PROGRAM, "watch", serving.address, "-q"], stdout=subprocess.DEVNULL)
    words = sync.communicate()[0].splitlines()
    viewer.terminate()
    viewer.wait()
    serving.end()
    found = re.search(r"^(\d+) flashes and beeps: sound ([-+.\d]+) ms behind the picture, 99 % within ([.\d]+) ms$", words[-1])
    if not found:
        sys.exit(f"error: nothing was seen and heard: {words[-1]}")
    count, mean, p99 = int(found[1]), float(found[2]), float(found[3])
    print(f"flash and beep from outside, {count} times: {words[-1].split(': ')[1]}")
    aim("skew of sound and picture from outside, mean, ms", f"{mean:+.1f}", "15", abs(mean) <= 15)
    aim("the same, p99, ms", f"{p99:.1f}", "40", p99 <= 40)


class Xvfb:
    """A virtual screen; `environment` is what a program needs to draw there."""

    def __init__(self, size):
        reading, writing = os.pipe()
        command = ["Xvfb", "-noreset", "-displayfd", str(writing), "-screen", "0", f"{size}x24", "-nolisten", "tcp"]
        quiet = subprocess.DEVNULL
        self.process = subprocess.Popen(command, pass_fds=[writing], stdout=quiet, stderr=quiet)
        os.close(writing)
        with os.fdopen(reading) as answer:
            number = answer.readline().strip()
        if not number:
            sys.exit("error: no virtual screen could be started")
        self.name = f":{number}"
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("WAYLAND")}
        self.environment["DISPLAY"] = self.name

    def end(self):
        self.process.terminate()
        self.process.wait()


def numbered(text):
    """What `barcode` and `glass` note: pictures and their moments, in ms."""
    return {int(number): int(moment) / 1e6 for number, moment in map(str.split, text.splitlines())}


def live():
    """A screen that is served and shown on another: how long a picture takes from glass to glass, and what a still one costs."""
    size, fps, seconds = "1280x720", 30, 5 if SHORT else 40
    shown, seen, log = Xvfb(size), Xvfb("1600x1000"), SCRATCH / "shown"
    try:
        serving = Serving(f"screen:{shown.name}", "--fps", str(fps), "--no-pointer")
        command = [PROGRAM, "watch", serving.address, "--no-audio", "--stats", "json"]
        viewer = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=seen.environment)
        command = [GLASS, size, str(seconds + 10)]
        glass = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=seen.environment)
        time.sleep(1.5)
        command = [BARCODE, "--to", "screen", "--size", size, "--fps", str(fps), "--pictures", str(seconds * fps), "--log", log]
        subprocess.run([*command, "--range", "full"], check=True, env=shown.environment)
        arrived = numbered(glass.communicate()[0])
        viewer.terminate()
        figures = json.loads(viewer.communicate()[0].splitlines()[-1])
        sent = serving.end()
        drawn = numbered(log.read_text())
        # Until everything has run once it is not what one gets used to.
        delays = sorted(arrived[number] - drawn[number] for number in drawn if number >= fps and number in arrived)
        if not delays:
            sys.exit("error: nothing came from glass to glass")
        of = len([number for number in drawn if number >= fps])
        p50, p99 = delays[len(delays) // 2], delays[len(delays) * 99 // 100]
        print(f"\nlive: a {size} screen at {fps} fps, served and shown on another, {seconds} s:")
        print(f"  seen {len(delays)} of {of} pictures; glass to glass p50 {p50:.1f}, p99 {p99:.1f}, max {delays[-1]:.1f} ms")
        for name, block in {"grab to present": figures["latency_ms"], **figures["stages_ms"], **sent["stages_ms"]}.items():
            if block:
                print(f"  {name:<24}" + "".join(f"{key:>6}{block[key]:>10.3f}" for key in ("p50", "p99", "max")))
        print(f"  serve {100 * sent['cpu_seconds'] / sent['t']:.1f} % of a core, watch {100 * figures['cpu_seconds'] / figures['t']:.1f} %")
        aim("screen to screen, glass to glass, p50, ms", f"{p50:.1f}", "25", p50 <= 25)
        aim("the same, p99, ms", f"{p99:.1f}", "45", p99 <= 45)
        middle = figures["latency_ms"]["p50"]
        aim("screen, grab to present, p50, ms", f"{middle:.1f}", "10", middle <= 10)

        serving = Serving(f"screen:{shown.name}", "--fps", str(fps))
        watch(serving.address, seconds / 2)
        sent = serving.end()
        used = 100 * sent["cpu_seconds"] / sent["t"]
        print(f"  a still screen: {sent['pictures_sent']} pictures, {sent['pictures_encoded']} encoded")
        aim("serve with a still screen, % of a core", f"{used:.1f}", "3", used <= 3)
    finally:
        shown.end()
        seen.end()


def camera():
    """What a camera that gives JPEGs costs, where they pass as they are and where they must be coded anew."""
    seconds = 4 if SHORT else 30
    print(f"\na camera of 720p at 30 fps that gives JPEGs, {seconds} s; % of a core, without ffmpeg:")
    for name, datagram, limit in (("passed on as they are", 65_488, 5), ("cut for small datagrams", 1_200, 12)):
        serving = Serving("camera:lavfi:mjpeg:testsrc2=size=1280x720:rate=30", "--datagram", str(datagram))
        got = watch(serving.address, seconds)
        sent = serving.end()
        used = 100 * sent["cpu_seconds"] / seconds
        print(f"  {name}: {used:.1f}; passed {sent['pictures_passed']}, recoded {sent['pictures_recoded']}, ", end="")
        print(f"shown {got['pictures_shown']}, lost {got['pictures_lost']}, {sent['bytes'] // max(1, sent['pictures_sent'])} bytes each")
        whole = sent["pictures_passed"] if datagram > 1_200 else sent["pictures_recoded"]
        if whole < 0.9 * sent["pictures_sent"]:
            sys.exit("error: that is another regime than the one to be measured")
        aim(f"serve, JPEGs of a camera {name}, % of a core", f"{used:.1f}", str(limit), used <= limit)


def streams(count, card):
    """Arguments of one `serve` with so many test cards."""
    return [card, "--name", "s1", *(word for n in range(2, count + 1) for word in ("--stream", f"s{n}={card}"))]


def many():
    """What a server of eight streams costs while nobody watches any."""
    seconds = 4 if SHORT else 30
    serving = Serving(*streams(8, "test:"))
    time.sleep(2)
    before = processor(serving.process.pid)
    time.sleep(seconds)
    used = 100 * (processor(serving.process.pid) - before) / seconds
    serving.end()
    print(f"\neight test cards that nobody watches, {seconds} s: {used:.2f} % of a core")
    aim("serve with 8 streams and no watcher, % of a core", f"{used:.2f}", "1", used <= 1)


def processor(pid):
    """Processor seconds of a process so far."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wall():
    """Nine streams of 640×360 at 25 fps in one window, server on the same machine."""
    seconds, count = 4 if SHORT else 30, 9
    screen = Xvfb("1920x1080")
    try:
        serving = Serving(*streams(count, "test:640x360@25"))
        command = [PROGRAM, "watch", f"{serving.address}/*", "--duration", str(seconds), "--stats", "json", "--fullscreen"]
        viewer = subprocess.run(command, capture_output=True, text=True, env=screen.environment)
        sent = serving.end()
    finally:
        screen.end()
    lines = [json.loads(line) for line in viewer.stdout.splitlines()]
    tiles = [line for line in lines if line["event"] == "summary"]
    if viewer.returncode != 0 or len(tiles) != count:
        sys.exit(f"error: the wall failed: {viewer.stderr.strip()}")
    print(f"\nwall of {count} streams of 640×360 at 25 fps, {seconds} s; ms:")
    for tile in sorted(tiles, key=lambda tile: tile["stream"]):
        latency, lost = tile["latency_ms"], tile["pictures_lost"] + tile["pictures_late"]
        print(f"  {tile['stream']:<8}{tile['fps']:>8.2f} fps, p50 {latency['p50']:.1f}, p99 {latency['p99']:.1f}, {lost} lost or late")
    used, most = max(tile["cpu_seconds"] for tile in tiles), max(tile["rss_bytes"] for tile in tiles) / 1e6
    print(f"  serve {100 * sent['cpu_seconds'] / sent['t']:.0f} % of a core, watch {100 * used / seconds:.0f} % and {most:.0f} MB")
    slowest, worst = min(tile["fps"] for tile in tiles), max(tile["latency_ms"]["p99"] for tile in tiles)
    aim("wall of nine: fps of the slowest tile", f"{slowest:.2f}", "24", slowest >= 24)
    aim("its latency, p99 of the worst tile, ms", f"{worst:.1f}", "40", worst <= 40)


def from_logs():
    """Ratios from the tables that the benches print."""
    log = lambda name: (SCRATCH / f"{name}.log").read_text() if (SCRATCH / f"{name}.log").exists() else ""
    for watchers, ratio in re.findall(r"^ +(\d+) +\d+ +\d+ +([\d.]+)$", log("fanout"), re.M):
        if watchers == "1000":
            aim("send path to 1 000 / bare sendmsg loop", ratio, "1.15", float(ratio) <= 1.15)
    for size, cut, ratio in re.findall(r"^ +(\d+×\d+) +(\d+) +\d+ +\d+ +\d+ +([\d.]+)$", log("codec"), re.M):
        aim(f"encode + index + cut of {size} at {cut} / bare turbojpeg", ratio, "1.05", float(ratio) <= 1.05)
    for ratio in re.findall(r"ours / floor: ([\d.]+)", log("jitter")):
        aim("arrival interval stdev / bare timerfd loop", ratio, "1.2", float(ratio) <= 1.2)


def scaled(nanoseconds):
    for unit, size in (("s", 1e9), ("ms", 1e6), ("µs", 1e3)):
        if nanoseconds >= size:
            return f"{nanoseconds / size:.3f} {unit}"
    return f"{nanoseconds:.1f} ns"


def criterion():
    begun = (SCRATCH / "begun").stat().st_mtime
    rows = []
    for path in TARGET.glob("criterion/**/new/estimates.json"):
        if path.stat().st_mtime < begun:
            continue
        middle = json.loads(path.read_text())["median"]
        name = json.loads((path.parent / "benchmark.json").read_text())["full_id"]
        low, high = middle["confidence_interval"]["lower_bound"], middle["confidence_interval"]["upper_bound"]
        rows.append((name, scaled(middle["point_estimate"]), scaled(low), scaled(high)))
    if rows:
        print(f"\n{'criterion: median of one iteration':<84}{'':>12}{'95 % from':>14}{'to':>14}")
    for row in sorted(rows):
        print(f"{row[0]:<84}{row[1]:>12}{row[2]:>14}{row[3]:>14}")


for part in ("film", "crowd", "memory", "large", "heard", "live", "camera", "many", "wall"):
    if part in PARTS:
        globals()[part]()
from_logs()
criterion()
print(f"\n{'what is asked':<70}{'measured':>16}{'limit':>10}")
for name, measured, limit, held in aims:
    print(f"{name:<70}{measured:>16}{limit:>10}  {'held' if held else 'NOT held'}")
