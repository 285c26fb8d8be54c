"""The tables of scripts/compare loss, as lines and as values, with what is asked of udpstream."""

from path_table import HELD, MISSED, Table

# What is asked at 1 %: so many pictures damaged, ms from due to shown, and a quality as without loss, give or take.
ASKED_PERMILLE, DAMAGED, P95_MS, QUALITY_PART = 10, 0.5, 35.0, 0.9
RENDITIONS = ("", " 1/2", " 1/4")

LOSS = (
    ("", 16), ("", 18), ("whole", 7), ("damaged %", 13), ("missing %", 11), ("p50 ms", 9), ("p95 ms", 9), ("p99 ms", 8),
    ("Mb/s", 8), ("over 0 %", 10), ("quality", 12), ("nack/parity/late", 18), ("repair %", 10), ("wait ms", 9),
)
RECORD = (
    ("", 16), ("", 18), ("in it", 8), ("decode", 8), ("its time holds", 16), ("later", 8), ("as without loss", 17), ("shown", 8),
    ("damaged", 9),
)
WORDS = (
    "Latency of udpstream is from due to shown, encoding and decoding included; of GStreamer from when the first datagram can be\n"
    "there at the earliest until the last is, without either. A picture is missing if nothing of it came. Mb/s are what the sender\n"
    "puts on the wire. GStreamer does not adapt: on 20 Mb/s it has quality 50. Its parity covers 48 packets of a picture at most."
)


class Losses(Table):
    def __init__(self):
        super().__init__()
        # What each takes without loss, and its quality there.
        self.clear = {}

    def loss(self, mbit, permille, who, measure):
        self.head("loss", "datagrams are lost by chance, both ways: pictures of 720p at 25 a second", LOSS)
        scene = f"{mbit} Mb/s {permille / 10:g} %"
        found = self.run("loss", scene, who, measure)
        if not found:
            return
        if not permille:
            self.clear[mbit, who] = found
        clear = self.clear.get((mbit, who))
        every = max(1, found["whole"] + found["damaged"] + found["missing"])
        part = {name: 100 * found[name] / every for name in ("damaged", "missing")}
        found["over"] = 100 * (found["mbit"] / clear["mbit"] - 1) if clear and clear["mbit"] else None
        asked = permille == ASKED_PERMILLE and who == "udpstream"
        aim = lambda what, limit, holds: (f"{scene}: {what}", limit, holds) if asked else None
        few = aim("pictures damaged, %", f"≤ {DAMAGED:g}", lambda v: v <= DAMAGED)
        soon = aim("due → shown, p95, ms", f"≤ {P95_MS:g}", lambda v: v <= P95_MS)
        cells = [
            f"{found['whole']}", self.cell(part["damaged"], 1, few), self.cell(part["missing"], 1), self.cell(found["p50_ms"], 1),
            self.cell(found["p95_ms"], 1, soon), self.cell(found["p99_ms"], 1), self.cell(found["mbit"], 1), self.cell(found["over"], 1),
            self.quality(found, clear, aim), repaired(found.get("counts", {})),
            self.cell(100 * found["repair"] if "repair" in found else None, 1), self.cell(found.get("wait_ms"), 1),
        ]
        self.line(scene, who, cells, LOSS)

    def quality(self, found, clear, aim):
        if found.get("quality") is None:
            return "–"
        size = RENDITIONS[found["rendition"]] if found["rendition"] < len(RENDITIONS) else f" {found['rendition']}"
        if clear is None or clear.get("quality") is None:
            return f"{found['quality']:.0f}{size}"
        least, largest = QUALITY_PART * clear["quality"], clear["rendition"]
        marks = [
            self.cell(found["rendition"], 0, aim("pictures as large as without loss (0 full, 1 half)", f"≤ {largest}", lambda v: v <= largest)),
            self.cell(found["quality"], 0, aim("quality as without loss", f"≥ {least:.0f}", lambda v: v >= least)),
        ]
        mark = "" if len(marks[0].split()) == 1 else f" {MISSED if MISSED in ''.join(marks) else HELD}"
        return f"{found['quality']:.0f}{size}{mark}"

    def record(self, permille, who, measure):
        self.head("record", "a recording (watch --record): pictures in it; of those after its first seconds, how many are to the pixel those of the film", RECORD)
        scene = f"{permille / 10:g} % lost"
        found = self.run("record", scene, who, measure)
        if found:
            names = ("pictures", "decoded", "due", "later", "same", "shown", "damaged")
            self.line(scene, who, [self.cell(found[name], 0) for name in names], RECORD)

    def verdict(self):
        super().verdict(WORDS)


def repaired(counts):
    names = ("slices_repaired_nack", "slices_repaired_parity", "slices_repaired_late")
    return "/".join(str(counts[name]) for name in names) if all(name in counts for name in names) else "–"
