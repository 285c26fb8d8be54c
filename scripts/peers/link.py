"""A real bottleneck: a sender, a receiver, and a router between them whose way to the receiver is a token bucket.

Each is a network namespace of our own; the way back is free. The bucket is not at the sender itself, because there a full queue
fills the socket's buffer and holds up the program (and TCP keeps its queue short on purpose): no bottleneck on the way does that.
Needs root.
"""

import json
import os
import re
import signal
import subprocess

SENDER, RECEIVER = "10.77.0.1", "10.77.1.1"
# The router's addresses on both sides.
ROUTER = {"a": "10.77.0.2", "b": "10.77.1.2"}
# A millisecond of the rate, so that pictures see the wall; a bucket below one datagram with its Ethernet header would pass none.
BURST_S, BURST_LEAST = 0.001, 1_600
MTU, ETHERNET = 1_500, 14


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
        self.spaces = {side: f"udpstream-{side}{tail}" for side in "arb"}
        # The ends of the wires: at the sender, at the receiver, and the router's two.
        self.ends = {side: f"u{side}{tail}" for side in "ab"}
        self.far = {side: f"v{side}{tail}" for side in "ab"}
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
        router = self.spaces["r"]
        for side, address in (("a", SENDER), ("b", RECEIVER)):
            space, near, far = self.spaces[side], self.ends[side], self.far[side]
            ip("link", "add", near, "netns", space, "type", "veth", "peer", "name", far, "netns", router)
            for where, end_of, own in ((space, near, address), (router, far, ROUTER[side])):
                ip("-n", where, "addr", "add", f"{own}/24", "dev", end_of)
                # One segment at a time: of what a system hands over in one piece, a bucket that shrinks can let nothing pass.
                ip("-n", where, "link", "set", end_of, "mtu", str(MTU), "gso_max_segs", "1", "up")
            ip("-n", space, "link", "set", "lo", "up")
            ip("-n", space, "route", "add", "default", "via", ROUTER[side])
        forward = "echo 1 >/proc/sys/net/ipv4/ip_forward"
        subprocess.run(self.inside("r", ["sh", "-c", forward]), check=True, capture_output=True)
        if self.first:
            self.shape("add", self.first)

    def shape(self, verb, mbit):
        burst = max(BURST_LEAST, int(mbit * 1e6 / 8 * BURST_S))
        bucket = ["rate", f"{mbit}mbit", "burst", str(burst), "latency", f"{self.queue}ms"]
        words = ["tc", "qdisc", verb, "dev", self.far["b"], "root", "tbf", *bucket]
        subprocess.run(self.inside("r", words), check=True, capture_output=True)

    def set_rate(self, mbit):
        """Changes the bucket while traffic flows; its queue keeps its length in milliseconds."""
        self.shape("change", mbit)

    def lose(self, permille):
        """Of a thousand datagrams the router drops so many by chance from now on, either way, whatever its queue holds."""
        rule = f"numgen random mod 1000 < {permille} counter drop"
        rules = f"table ip loss {{\n chain forward {{\n  type filter hook forward priority 0;\n  {rule}\n }}\n}}\n"
        subprocess.run(self.inside("r", ["nft", "-f", "-"]), input=rules, text=True, check=True, capture_output=True)

    def sent(self):
        """Bytes of IP that the sender has put on its wire so far, whatever became of them; each datagram on its own."""
        words = ["ip", "-n", self.spaces["a"], "-s", "-j", "link", "show", "dev", self.ends["a"]]
        counts = json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)[0]["stats64"]["tx"]
        return counts["bytes"] - ETHERNET * counts["packets"]

    def dropped(self):
        """Datagrams that fell to `lose` so far."""
        rules = subprocess.run(self.inside("r", ["nft", "list", "ruleset"]), check=True, capture_output=True, text=True).stdout
        found = re.search(r"counter packets (\d+)", rules)
        return int(found[1]) if found else 0

    def inside(self, side, words):
        return ["ip", "netns", "exec", self.spaces[side], *map(str, words)]

    def start(self, side, words, **options):
        """A program inside; Ctrl-C is ours alone, and the program ends with the link."""
        settings = {"stdin": subprocess.DEVNULL, "start_new_session": True} | options
        process = subprocess.Popen(self.inside(side, words), **settings)
        self.processes.append(process)
        return process

    def close(self):
        # Whoever presses Ctrl-C twice is left with nothing of ours either.
        before = [(number, signal.signal(number, signal.SIG_IGN)) for number in (signal.SIGINT, signal.SIGTERM)]
        end(self.processes)
        for space in self.spaces.values():
            subprocess.run(["ip", "netns", "del", space], capture_output=True)
        for number, handler in before:
            signal.signal(number, handler)


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
