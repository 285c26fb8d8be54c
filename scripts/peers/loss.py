"""The work of scripts/compare loss: a stream and its peers on paths that lose datagrams by chance, and a recording of one."""

import collections
import fractions
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import measuring
from link import RECEIVER, SENDER, Link, end
from loss_table import Losses
from path import FILM, FPS, PORT, QUALITY, QUEUE_MS, RTP_BYTES, Watcher, make_film, percentile, stream
from path_table import Broken

# Mb/s, and the quality that GStreamer is given there: it does not adapt, and 80 takes 26 Mb/s, 50 with its parity 19.
RATES = {200: QUALITY, 20: 50}
# Of a thousand datagrams so many are lost, either way.
LOSSES, SHORT_LOSSES = (0, 1, 10, 30), (0, 10)
# What is measured is whole turns of the film, for else its easy and hard parts would pass for overhead.
TURN_S, TURNS, SHORT_TURNS = 5.28, 4, 2
# How long a stream runs before: on the narrow path it has to find its quality.
SETTLE_S = 6
# How long GStreamer's receivers wait for what is missing, and what its parity adds, %. With less, a receiver whose path is
# narrow asks for nothing: it expects it too late.
WAIT_MS, RESEND_WAIT_MS, PARITY = 40, 100, 20
PARITY_TYPE, RESENT_TYPE = 100, 97
# A recording has to hold two turns of the film once its quality is found.
RECORDED_PERMILLE, RECORDED_MBIT, RECORDED_S = 10, 200, 20
COUNTS = (
    "pictures_damaged", "pictures_lost", "pictures_late", "slices_lost", "slices_repaired_nack", "slices_repaired_parity",
    "slices_repaired_late", "repair_bytes", "bytes",
)


def gstreamer(film, quality, kind):
    """`plain`, with `parity` (ULPFEC), or with what is lost sent again on demand (`resend`, RFC 4588)."""

    def start(link):
        sending, receiving = CHAINS[kind](film, quality)
        errors = tempfile.TemporaryFile("w+")
        receiver = link.start("b", launch(receiving), stdout=subprocess.PIPE, stderr=errors)
        counting = [sys.executable, pathlib.Path(__file__).with_name("rtp_jpeg.py"), link.ends["b"], PORT, FPS]
        watcher = Watcher(link, counting, False, receiver.stdout)
        receiver.stdout.close()
        time.sleep(0.7)
        link.start("a", launch(sending), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return watcher

    return start


def launch(chain):
    return ["gst-launch-1.0", "-q", *chain.split()]


def pictures(film, quality):
    reading = f"filesrc location={film} ! qtdemux ! h264parse ! avdec_h264 max-threads=1 ! videoconvert"
    return f"{reading} ! jpegenc quality={quality} ! rtpjpegpay mtu={RTP_BYTES}"


# All of them hand on what they have mended to whoever counts.
CAME = f"udpsrc port={PORT} buffer-size=4194304 caps=application/x-rtp,media=video,encoding-name=JPEG,clock-rate=90000"
TO_COUNT, TO_RECEIVER = "rtpstreampay ! fdsink sync=false", f"udpsink host={RECEIVER} port={PORT}"


def plain(film, quality):
    return f"{pictures(film, quality)} ! {TO_RECEIVER}", f"{CAME} ! {TO_COUNT}"


def parity(film, quality):
    sending = f"{pictures(film, quality)} ! rtpulpfecenc pt={PARITY_TYPE} percentage={PARITY} ! {TO_RECEIVER}"
    kept = f"rtpstorage size-time={(WAIT_MS + 200) * 1_000_000} ! rtpssrcdemux"
    waiting = f"rtpjitterbuffer do-lost=true latency={WAIT_MS} ! rtpulpfecdec pt={PARITY_TYPE}"
    return sending, f"{CAME} ! {kept} ! {waiting} ! {TO_COUNT}"


def resend(film, quality):
    """With room for its reports: as it comes, requests wait for seconds at first."""
    session = "rtpsession name=s rtp-profile=avpf bandwidth=40000000 rtcp-min-interval=100000000"
    types = f"payload-type-map=application/x-rtp-pt-map,26=(uint){RESENT_TYPE}"
    there, back = PORT + 1, PORT + 2
    reports = lambda to, out, at: f"udpsrc port={at} ! s.recv_rtcp_sink s.send_rtcp_src ! udpsink host={to} port={out} sync=false async=false"
    sending = f"{pictures(film, quality)} ! rtprtxsend {types} max-size-time=1000 ! s.send_rtp_sink s.send_rtp_src ! {TO_RECEIVER}"
    mending = f"rtprtxreceive {types} ! rtpssrcdemux ! rtpjitterbuffer do-retransmission=true latency={RESEND_WAIT_MS}"
    receiving = f"{CAME} ! s.recv_rtp_sink s.recv_rtp_src ! {mending} ! {TO_COUNT}"
    return f"{session} {sending} {reports(RECEIVER, there, back)}", f"{session} {receiving} {reports(SENDER, back, there)}"


CHAINS = {"plain": plain, "parity": parity, "resend": resend}


def lossy(start, mbit, permille, turns):
    """What becomes of pictures where so many datagrams are lost by chance."""
    with Link(mbit, QUEUE_MS) as link:
        if permille:
            link.lose(permille)
        watcher = start(link)
        watcher.begun()
        watcher.seconds(SETTLE_S)
        before, began, sent = watcher.line, time.monotonic(), link.sent()
        time.sleep(max(0.0, turns * TURN_S))
        took, sent = time.monotonic() - began, link.sent() - sent
        seen = watcher.seconds(int(turns * TURN_S))
        found = ours if watcher.counts_all else theirs
        late = [value for one in seen for value in one.late]
        at = lambda share: percentile(late, True, seen, share)
        return {"mbit": sent * 8e-6 / took, "p50_ms": at(0.50), "p95_ms": at(0.95), "p99_ms": at(0.99),
                "dropped": link.dropped()} | found(seen, before, watcher.line)


def ours(seen, before, after):
    """An earlier program does not count what was repaired."""
    counts = {name: after[name] - before.get(name, 0) for name in COUNTS if name in after}
    rungs = [one.rung for one in seen if one.rung]
    damaged, missing = counts["pictures_damaged"], counts["pictures_lost"] + counts["pictures_late"]
    found = {"whole": sum(one.whole for one in seen), "damaged": damaged, "missing": missing, "counts": counts,
             "rungs": rungs} | in_force(rungs)
    if "repair_bytes" in counts:
        found["repair"] = counts["repair_bytes"] / max(1, counts["bytes"] - counts["repair_bytes"])
        found["wait_ms"] = after.get("repair_delay_ms")
    return found


def in_force(rungs):
    """The size of most seconds, and the quality that pictures of that size had."""
    if not rungs:
        return {"rendition": None, "quality": None}
    size = statistics.mode(rung[0] for rung in rungs)
    return {"rendition": size, "quality": statistics.median(rung[1] for rung in rungs if rung[0] == size)}


def theirs(seen, before, after):
    whole, begun = sum(one.whole for one in seen), sum(one.shown for one in seen)
    # One may have begun in this second and be whole in the next.
    return {"whole": whole, "damaged": max(0, begun - whole), "missing": max(0, after["due"] - before["due"] - begun)}


def recorded(program, file, permille, seconds, known):
    """What a recording holds, and whether its pictures are those of a clean path, which comes first and fills `known`."""
    with Link(RECORDED_MBIT, QUEUE_MS) as link:
        if permille:
            link.lose(permille)
        watcher = stream(program, FILM, ["--loop", "--quality", QUALITY], ["--record", file, "--force"])(link)
        watcher.begun()
        watcher.seconds(seconds)
        end([watcher.process])
        while watcher.lines.get(timeout=20) is not None:
            pass
    prints, complaints = recording(file)
    if not prints:
        raise Broken("the recording holds no picture that can be decoded")
    # At first the quality is being found; later each turn of the film is like the one before.
    later = [mark for at, mark in prints if at >= prints[0][0] + SETTLE_S]
    if not permille:
        known |= {mark for mark, times in collections.Counter(later).items() if times > 1}
    return {"pictures": packets(file), "decoded": len(prints), "complaints": complaints, "due": round((prints[-1][0] - prints[0][0]) * FPS) + 1,
            "later": len(later), "same": sum(mark in known for mark in later),
            "shown": watcher.summary.get("pictures_shown"), "damaged": watcher.summary.get("pictures_damaged")}


def packets(file):
    listing = ["ffprobe", "-v", "error", "-select_streams", "v", "-count_packets", "-show_entries", "stream=nb_read_packets", "-of", "csv=p=0"]
    return int(subprocess.run([*listing, file], check=True, capture_output=True, text=True).stdout.strip().strip(","))


def recording(file):
    """Of each picture that decodes without a complaint its time and a digest of its pixels; and how many complaints there were."""
    strict = ["ffmpeg", "-v", "error", "-nostdin", "-threads", "1", "-err_detect", "explode", "-i", file, "-map", "0:v", "-an"]
    decoded = subprocess.run([*strict, "-fps_mode", "passthrough", "-f", "framemd5", "-"], capture_output=True, text=True)
    tick, prints = fractions.Fraction(1, 1_000), []
    for line in decoded.stdout.splitlines():
        if line.startswith("#tb 0:"):
            tick = fractions.Fraction(line.split()[-1])
        elif line and not line.startswith("#"):
            fields = [field.strip() for field in line.split(",")]
            prints.append((float(int(fields[2]) * tick), fields[5]))
    return prints, len(decoded.stderr.splitlines())


def measure(options, table, folder):
    turns = SHORT_TURNS if options.short else TURNS
    losses = SHORT_LOSSES if options.short else LOSSES
    film = make_film(folder, turns * TURN_S + SETTLE_S + 40)
    for mbit, quality in RATES.items():
        systems = {}
        for who, program in (("udpstream", options.udpstream), ("before", options.before)):
            if program and "loss" in options.parts:
                systems[who] = stream(program, FILM, ["--loop", "--quality", QUALITY])
        if "peers" in options.parts:
            systems |= {f"GStreamer {kind}": gstreamer(film, quality, kind) for kind in CHAINS}
        # Loss by loss, so that systems have the same minutes.
        for permille in losses:
            for who, start in systems.items():
                table.loss(mbit, permille, who, lambda: lossy(start, mbit, permille, turns))
    if "record" in options.parts:
        for who, program in (("udpstream", options.udpstream), ("before", options.before)):
            known = set()
            for permille in (0, RECORDED_PERMILLE) if program else ():
                table.record(permille, who, lambda: recorded(program, str(folder / "x.mkv"), permille, RECORDED_S, known))


if __name__ == "__main__":
    chosen = measuring.options("loss", ("loss", "peers", "record"))
    measuring.run(chosen, Losses(), measure)
