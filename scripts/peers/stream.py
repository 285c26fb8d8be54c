"""The tables of scripts/peers/stream.sh, from what sampler and shell noted, and the verdict over all tables."""

import json
import pathlib
import statistics
import sys

# The first second of each round is the start; it has a figure of its own.
START_NS = 1_000_000_000
NAMES = {
    "floor": "bare timerfd loop",
    "before": "udpstream before",
    "ours": "udpstream",
    "gst": "GStreamer",
    "ffmpeg": "ffmpeg -re",
    "origin": "origin's loop",
}
# What the origins say of themselves; not measured here.
CLAIMS = (
    "The origins' own claims: 150 ms latency, 80 Mb/s, < 0.1 % lost, 1 000 users before it degrades;\n"
    "30.4 fps held when 30 were asked; a drift of 17.9 s an hour at 30 fps."
)
TEN_MINUTES_S = 600
# Zero drift: the medians of the first and the last ten seconds of ten minutes agree to this much.
ZERO_DRIFT_MS = 1.0


def percentile(values, share):
    """The value that so many of a hundred do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share / 100 * len(ordered)))]


class Run:
    """One sender, one film."""

    def __init__(self, folder, name, fps, seconds):
        file = lambda end: folder / f"{name}.{end}"
        pictures = [tuple(map(int, line.split())) for line in file("arrivals.out").read_text().splitlines()]
        if len(pictures) < 2 * fps:
            words = file("arrivals.err").read_text() + file("sender.err").read_text()
            sys.exit(f"error: {name}: {len(pictures)} pictures arrived: {words.strip()}")
        self.offered = round(fps * seconds)
        self.first_ms = (pictures[0][1] - int(file("started").read_text())) / 1e6
        # A gap in the sequence with no whole picture in it has torn one.
        pairs = zip(pictures, pictures[1:])
        torn = sum(missed > 0 and number == before + 1 for (before, *_), (number, *_, missed) in pairs)
        self.lost = self.offered - len({number for number, *_ in pictures}) + torn
        self.picture_bytes = statistics.mean(size for *_, size, _ in pictures)
        steady = [(number / fps, at) for number, at, *_ in pictures if at >= pictures[0][1] + START_NS]
        self.intervals = [(after - at) / 1e6 for (_, at), (_, after) in zip(steady, steady[1:])]
        self.fps = (len(steady) - 1) / (steady[-1][1] - steady[0][1]) * 1e9
        # How far each arrival is behind the film's own clock, against the first.
        self.behind = [(due, (at - steady[0][1]) / 1e6 - 1e3 * (due - steady[0][0])) for due, at in steady]
        self.usage(file("usage"))

    def usage(self, path):
        """Processor use in percent of one processor between both notes, and most memory in MB, own and children's."""
        before, after = (list(map(float, line.split())) for line in path.read_text().splitlines())
        span = after[0] - before[0]
        self.cpu, self.child_cpu = ((after[n] - before[n]) / span for n in (1, 3))
        self.memory, self.child_memory = after[2] / 1e3, after[4] / 1e3

    def drift_ms(self):
        """What ten minutes would bring, by the medians of the first and the last ten seconds, of a short run its thirds:
        a line through all would follow the halts of a busy machine."""
        begin, end = self.behind[0][0], self.behind[-1][0]
        window = min(10, (end - begin) / 3)
        first = statistics.median(late for due, late in self.behind if due < begin + window)
        last = statistics.median(late for due, late in self.behind if due > end - window)
        return (last - first) / (end - begin - window) * TEN_MINUTES_S

    def slope_ms(self):
        """The same by the slope of a line through all arrivals."""
        return statistics.linear_regression(*zip(*self.behind)).slope * TEN_MINUTES_S


class Pool:
    """All rounds of one sender."""

    def __init__(self, runs):
        mean = lambda of: statistics.mean(of(run) for run in runs)
        self.intervals = [interval for run in runs for interval in run.intervals]
        self.stdev = statistics.pstdev(self.intervals)
        self.each = [statistics.pstdev(run.intervals) for run in runs]
        self.fps, self.drift = mean(lambda run: run.fps), mean(Run.drift_ms)
        self.lost, self.offered = (sum(getattr(run, what) for run in runs) for what in ("lost", "offered"))
        self.own_cpu, self.child_cpu = mean(lambda run: run.cpu), mean(lambda run: run.child_cpu)
        self.cpu = self.own_cpu + self.child_cpu
        self.memory = max(run.memory for run in runs)
        self.all_memory = max(run.memory + run.child_memory for run in runs)
        self.first = statistics.median(run.first_ms for run in runs)
        self.picture_bytes = mean(lambda run: run.picture_bytes)


COLUMNS = (
    "sender", "interval p50, ms", "p99, ms", "stdev, ms", "fps held", "drift, ms / 10 min", "lost", "bytes a picture",
    "CPU, % of a core", "of it children", "CPU s in 20 s", "memory, MB", "with children", "first picture, ms",
    "glass p50, ms",
)


def cells(who, pool, glass):
    """One line of the table."""
    children = pool.child_cpu > 0 or pool.all_memory > pool.memory
    return (
        NAMES[who], f"{percentile(pool.intervals, 50):.2f}", f"{percentile(pool.intervals, 99):.2f}",
        f"{pool.stdev:.3f}", f"{pool.fps:.3f}", f"{pool.drift:+.1f}", f"{pool.lost} of {pool.offered}", f"{pool.picture_bytes:.0f}",
        f"{pool.cpu:.1f}", f"{pool.child_cpu:.1f}" if children else "–", f"{pool.cpu / 5:.2f}", f"{pool.memory:.1f}",
        f"{pool.all_memory:.1f}" if children else "–", f"{pool.first:.0f}",
        f"{glass[who]:.1f}" if who in glass else "–",
    )


def show(rows):
    """Markdown that lines up in a terminal as well."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    line = lambda row: "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |"
    print(line(rows[0]), "|" + "|".join("-" * (width + 2) for width in widths) + "|", *map(line, rows[1:]), sep="\n")


def stream(folder, rounds, fps, seconds):
    every = {who: [Run(folder, f"{who}.{n}", fps, seconds) for n in range(1, rounds + 1)]
             for who in NAMES if (folder / f"{who}.1.arrivals.out").exists()}
    pools = {who: Pool(runs) for who, runs in every.items()}
    kept = folder / "latency.json"
    glass = json.loads(kept.read_text()) if kept.exists() else {}
    # Of programs, columns; of figures, lines: fifteen columns are wider than any terminal.
    show(list(zip(COLUMNS, *(cells(who, pool, glass) for who, pool in pools.items()))))
    print("\nstdev of each round, ms: " + "; ".join(
        f"{NAMES[who]} " + " ".join(f"{value:.3f}" for value in pool.each) for who, pool in pools.items()))
    ours, others = pools["ours"], {who: pool for who, pool in pools.items() if who != "ours"}
    print()
    show([("udpstream /", *(NAMES[who] for who in others))] + [
        (what, *(ratio(getattr(ours, of), getattr(pool, of)) for pool in others.values()))
        for what, of in (
            ("stdev", "stdev"), ("CPU, all", "cpu"), ("CPU, own", "own_cpu"), ("memory, all", "all_memory"))])
    print("\nIntervals are between first datagrams, by the kernel's stamps, from a second after the first picture.\n"
          "First picture: from starting the sender; who must be asked is asked once it says that it listens.\n"
          "Glass: from the table `latency` of the same run, another path and size.\n" + CLAIMS)
    (folder / "stream.json").write_text(json.dumps({
        who: {"stdev": pool.stdev, "cpu": pool.cpu} for who, pool in pools.items()}))


def ratio(ours, theirs):
    return f"{ours / theirs:.2f}" if theirs else "–"


def drift(folder, fps, seconds):
    run = Run(folder, "drift", fps, seconds)
    late = [late for _, late in run.behind]
    span = run.behind[-1][0] - run.behind[0][0]
    print(f"{len(run.behind)} pictures in {span:.0f} s, {run.lost} lost, {run.fps:.6f} fps")
    print(f"against the film's clock, in ten minutes: {run.drift_ms():+.3f} ms from the first to the last ten seconds, "
          f"{run.slope_ms():+.3f} ms by a line through all")
    print(f"arrival against the first one: at most {max(late):.1f} ms later, {-min(late):.1f} ms earlier")
    (folder / "drift.json").write_text(json.dumps({"ms": run.drift_ms(), "minutes": seconds / 60}))


def verdict(folder):
    """What must hold, from the tables that were made in this run."""
    made = (path for name in ("stream", "drift") if (path := folder / f"{name}.json").exists())
    tables = {path.stem: json.loads(path.read_text()) for path in made}
    lines = []
    if senders := tables.get("stream"):
        of = lambda what, who: senders["ours"][what] / senders[who][what]
        lines += [("arrival interval stdev ≤ 1.2 × the bare timerfd loop", of("stdev", "floor"), 1.2),
                  ("arrival interval stdev ≤ 0.5 × GStreamer's", of("stdev", "gst"), 0.5),
                  ("sender CPU with ffmpeg ≤ 0.75 × GStreamer's", of("cpu", "gst"), 0.75)]
    if film := tables.get("drift"):
        lines += [(f"no drift in ten minutes: at most {ZERO_DRIFT_MS:g} ms, measured over {film['minutes']:g} min",
                   abs(film["ms"]), ZERO_DRIFT_MS)]
    for what, value, most in lines:
        print(f"{'met' if value <= most else 'NOT met':<8} {what}: {value:.2f}")


if __name__ == "__main__":
    table, folder, *numbers = sys.argv[1], pathlib.Path(sys.argv[2]), *map(int, sys.argv[3:])
    {"stream": stream, "drift": drift, "verdict": verdict}[table](folder, *numbers)
