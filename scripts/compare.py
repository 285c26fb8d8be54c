"""The tables of scripts/compare, from what its samplers noted."""

import json
import math
import pathlib
import sys

# The first second of each round is the start; it has a figure of its own.
START_NS = 1_000_000_000


def pairs(path):
    """Lines of NUMBER NANOSECONDS."""
    return [tuple(map(int, line.split())) for line in path.read_text().splitlines()]


def percentile(values, share):
    """The smallest value that so many of a hundred do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share / 100 * len(ordered)) - 1)]


class Round:
    """One program, one film."""

    def __init__(self, folder, name):
        file = lambda end: folder / f"{name}.{end}"
        written, seen = dict(pairs(file("written"))), pairs(file("glass.out"))
        if not seen:
            words = file("glass.err").read_text() + file("watch.err").read_text() + file("serve.err").read_text()
            sys.exit(f"error: {name}: nothing was seen on the screen: {words.strip()}")
        self.shown = {}
        for number, at in seen:
            self.shown.setdefault(number, at)
        self.first_ms = (seen[0][1] - int(file("started").read_text())) / 1e6
        offered = [number for number in written if number >= seen[0][0]]
        self.offered = len(offered)
        self.missed = sum(number not in self.shown for number in offered)
        stray = [number for number in self.shown if number not in written]
        if stray or self.offered != len(self.shown) + self.missed:
            sys.exit(f"error: {name}: offered {self.offered}, shown {len(self.shown)}, missed {self.missed}")
        begun = seen[0][1] + START_NS
        self.latencies = [(at - written[number]) / 1e6 for number, at in self.shown.items() if written[number] > begun]
        self.cpu = [self.usage(file(f"{end}.usage"))[0] for end in ("serve", "watch")]
        self.memory = self.usage(file("watch.usage"))[1]

    @staticmethod
    def usage(path):
        """Processor use in percent of one processor between both notes, and the most memory in MB."""
        (before, used, _), (after, used_then, memory) = (map(float, line.split()) for line in open(path))
        return (used_then - used) / (after - before), memory / 1000


def row(name, rounds):
    """One line of the table; returns p50 and p99."""
    latencies = [value for one in rounds for value in one.latencies]
    p50, p95, p99 = (percentile(latencies, share) for share in (50, 95, 99))
    offered, missed = (sum(getattr(one, what) for one in rounds) for what in ("offered", "missed"))
    serve, watch = (sum(one.cpu[end] for one in rounds) / len(rounds) for end in (0, 1))
    print(
        f"{name:<12}{len(latencies):>6}{p50:>9.2f}{p95:>9.2f}{p99:>9.2f}{offered:>9}{missed:>8}"
        f"{serve:>9.1f}{watch:>9.1f}{max(one.memory for one in rounds):>9.0f}"
    )
    return p50, p99


def latency(folder, rounds):
    print(f"{'':<12}{'n':>6}{'p50 ms':>9}{'p95 ms':>9}{'p99 ms':>9}{'offered':>9}{'missed':>8}", end="")
    print(f"{'send %':>9}{'watch %':>9}{'watch MB':>9}")
    pooled = {}
    peers = [who for who in ("before", "ours", "gst") if (folder / f"{who}.1.glass.out").exists()]
    every = {who: [Round(folder, f"{who}.{n}") for n in range(1, rounds + 1)] for who in peers}
    for n in range(rounds):
        for who in every:
            row(f"{who} {n + 1}", [every[who][n]])
    for who in every:
        pooled[who] = row(f"{who}, all", every[who])
    for who, name in (("before", "the earlier one"), ("gst", "GStreamer")):
        if who in pooled:
            p50, p99 = (ours / theirs for ours, theirs in zip(pooled["ours"], pooled[who]))
            print(f"ours / {name}: p50 {p50:.2f}, p99 {p99:.2f}")
    (folder / "latency.json").write_text(json.dumps({who: figures[0] for who, figures in pooled.items()}))
    firsts = " ".join(f"{one.first_ms:.0f}" for one in every["ours"])
    print(f"first picture on the screen after `watch` was started, ms: {firsts}")
    looks = " ".join((folder / f"ours.{n}.glass.err").read_text().strip() for n in range(1, rounds + 1))
    if looks:
        print(f"the sampler: {looks}")


def memory(folder, size):
    one = Round(folder, "memory")
    print(f"`watch` at {size} in its window: at most {one.memory:.0f} MB; p50 {percentile(one.latencies, 50):.2f} ms")


if __name__ == "__main__":
    table, folder, argument = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3]
    if table == "latency":
        latency(folder, int(argument))
    else:
        memory(folder, argument)
