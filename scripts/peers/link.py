"""A real bottleneck: two network namespaces of our own, and between them a pair of veth whose sending end is a token bucket.

What leaves namespace `a` (10.77.0.1) for `b` (10.77.0.2) passes the bucket; the way back is free. Needs root.
"""

import os
import subprocess

SENDER, RECEIVER = "10.77.0.1", "10.77.0.2"
# A millisecond of the rate, so that pictures see the wall; a bucket below one datagram with its Ethernet header would pass none.
BURST_S, BURST_LEAST = 0.001, 1_600
MTU = 1_500


def ip(*words):
    run = subprocess.run(["ip", *words], capture_output=True, text=True)
    if run.returncode != 0:
        raise OSError(f"ip {' '.join(words)}: {run.stderr.strip()}")


class Link:
    """`with Link(rate, queue) as link:` Mb/s and ms; a rate of None is a wire without a limit. All is gone afterwards."""

    count = 0

    def __init__(self, rate=None, queue=100):
        Link.count += 1
        tail = f"{os.getpid() % 100_000}x{Link.count}"
        self.spaces = {side: f"udpstream-{side}{tail}" for side in "ab"}
        self.ends = {side: f"u{side}{tail}" for side in "ab"}
        self.queue, self.first = queue, rate
        self.processes = []

    def __enter__(self):
        try:
            self.build()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    def build(self):
        for space in self.spaces.values():
            ip("netns", "add", space)
        ends = [self.ends["a"], "netns", self.spaces["a"], "type", "veth", "peer", "name", self.ends["b"]]
        ip("link", "add", *ends, "netns", self.spaces["b"])
        for side, address in (("a", SENDER), ("b", RECEIVER)):
            ip("-n", self.spaces[side], "addr", "add", f"{address}/24", "dev", self.ends[side])
            ip("-n", self.spaces[side], "link", "set", self.ends[side], "mtu", str(MTU), "up")
            ip("-n", self.spaces[side], "link", "set", "lo", "up")
        if self.first:
            self.shape("add", self.first)

    def shape(self, verb, mbit):
        burst = max(BURST_LEAST, int(mbit * 1e6 / 8 * BURST_S))
        bucket = ["rate", f"{mbit}mbit", "burst", str(burst), "latency", f"{self.queue}ms"]
        words = ["tc", "qdisc", verb, "dev", self.ends["a"], "root", "tbf", *bucket]
        subprocess.run(self.inside("a", words), check=True, capture_output=True)

    def set_rate(self, mbit):
        """Changes the bucket while traffic flows; its queue keeps its length in milliseconds."""
        self.shape("change", mbit)

    def inside(self, side, words):
        return ["ip", "netns", "exec", self.spaces[side], *map(str, words)]

    def start(self, side, words, **options):
        """A program inside; Ctrl-C is ours alone, and the program ends with the link."""
        settings = {"stdin": subprocess.DEVNULL, "start_new_session": True} | options
        process = subprocess.Popen(self.inside(side, words), **settings)
        self.processes.append(process)
        return process

    def close(self):
        end(self.processes)
        for space in self.spaces.values():
            subprocess.run(["ip", "netns", "del", space], capture_output=True)


def end(processes):
    """Ends programs, politely at first."""
    for process in processes:
        process.terminate()
    for process in processes:
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def octets(process):
    """Bytes of IP that the namespace of this process has received so far."""
    with open(f"/proc/{process.pid}/net/netstat") as file:
        names, values = [line.split() for line in file if line.startswith("IpExt:")]
    return int(values[names.index("InOctets")])
