"""The work of scripts/compare loss: a stream and its peers on a path that loses datagrams by chance, both ways."""

import argparse
import json
import pathlib
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

from link import RECEIVER, SENDER, Link
from path import FILM, PORT, QUALITY, RTP_BYTES, Watcher, make_film, percentile, stream
from path_table import Broken, Table

# Datagrams that are lost, of a thousand.
LOSSES = (0, 1, 10, 30)
# Mb/s: more than the film takes at quality 80 (28), and less.
RATES = (200, 20)
QUEUE_MS = 100
SECONDS, SHORT_SECONDS = 20, 6
# Until then it is found out what the path carries.
SETTLED = 4
# What is asked at 1 %: pictures that are damaged or missing, %, and ms from due to shown; quality, of 80.
DAMAGED, P95_MS, FINE = 0.5, 35.0, 78
# Of GStreamer: bytes of parity beside those of pictures, %, how long it waits for repair, ms, and where its repaired stream goes on to.
FEC_PERCENT, JITTER_MS, COUNTED = 20, 60, PORT + 1
FEC_TYPE, AGAIN_TYPE = 122, 97
CAPS = "application/x-rtp,media=video,encoding-name=JPEG,payload=26,clock-rate=90000"

COLUMNS = (
    ("", 16), ("", 22), ("whole %", 10), ("fps", 7), ("p50 ms", 8), ("p95 ms", 10), ("p99 ms", 8), ("Mb/s", 7), ("overhead %", 12),
    ("quality", 10), ("resent", 8), ("rebuilt", 8), ("late", 6),
)


def lose(link, of_thousand):
    """From now on so many of a thousand datagrams are lost, whichever way they go."""
    rules = f"table ip loss {{ chain lost {{ type filter hook forward priority 0; policy accept; numgen random mod 1000 < {of_thousand} drop; }}; }}"
    subprocess.run(link.inside("r", ["nft", rules]), check=True, capture_output=True)


def gstreamer_repaired(film, sending, receiving):
    """The plain chain with something on both ends; what comes out of it is counted behind it."""
    def start(link):
        watcher = Watcher(link, [sys.executable, pathlib.Path(__file__).with_name("rtp.py"), "jpeg", COUNTED], False)
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        link.start("b", ["gst-launch-1.0", "-q", *receiving], **quiet)
        time.sleep(1.0)
        source = f"filesrc location={film} ! qtdemux ! h264parse ! avdec_h264 max-threads=1 ! videoconvert ! jpegenc quality={QUALITY}"
        link.start("a", ["gst-launch-1.0", "-q", *f"{source} ! rtpjpegpay mtu={RTP_BYTES}".split(), "!", *sending], **quiet)
        return watcher

    return start


def plain(film):
    out = f"udpsink host=127.0.0.1 port={COUNTED} sync=false"
    return gstreamer_repaired(film, f"udpsink host={RECEIVER} port={PORT}".split(), f"udpsrc port={PORT} ! {out}".split())


def fec(film):
    sending = f"rtpulpfecenc percentage={FEC_PERCENT} pt={FEC_TYPE} ! udpsink host={RECEIVER} port={PORT}"
    receiving = ["rtpbin", "name=bin", f"latency={JITTER_MS}", f'fec-decoders=fec,0="rtpulpfecdec\\ pt\\={FEC_TYPE}";', "udpsrc",
                 f"port={PORT}", f"caps={CAPS}", "!", "bin.recv_rtp_sink_0", "bin.", "!", "udpsink", "host=127.0.0.1", f"port={COUNTED}", "sync=false"]
    return gstreamer_repaired(film, sending.split(), receiving)


def again(film):
    types = f"payload-type-map=application/x-rtp-pt-map,26=(uint){AGAIN_TYPE}"
    sending = ["rtprtxsend", types, "!", "s.send_rtp_sink", "rtpsession", "name=s", "rtp-profile=avpf", "s.send_rtp_src", "!",
               "udpsink", f"host={RECEIVER}", f"port={PORT}", "udpsrc", f"port={PORT + 3}", "!", "s.recv_rtcp_sink",
               "s.send_rtcp_src", "!", "udpsink", f"host={RECEIVER}", f"port={PORT + 2}", "sync=false", "async=false"]
    caps = f"{CAPS},rtcp-fb-nack=(boolean)true"
    receiving = ["rtpsession", "name=r", "rtp-profile=avpf", "udpsrc", f"port={PORT}", f"caps={caps}", "!", "r.recv_rtp_sink",
                 "r.recv_rtp_src", "!", "rtprtxreceive", types, "!", "rtpjitterbuffer", "do-retransmission=true", f"latency={JITTER_MS}",
                 "!", "udpsink", "host=127.0.0.1", f"port={COUNTED}", "sync=false", "udpsrc", f"port={PORT + 2}", "!", "r.recv_rtcp_sink",
                 "r.send_rtcp_src", "!", "udpsink", f"host={SENDER}", f"port={PORT + 3}", "sync=false", "async=false"]
    return gstreamer_repaired(film, sending, receiving)


def lossy(start, mbit, of_thousand, seconds):
    """Settles on the path as it is, and then counts while it loses."""
    with Link(mbit, QUEUE_MS) as link:
        watcher = start(link)
        watcher.begun()
        watcher.seconds(SETTLED)
        if of_thousand:
            lose(link, of_thousand)
        watcher.seconds(1)
        begun = time.monotonic()
        seen = watcher.seconds(seconds)
        rate = watcher.rate(begun, time.monotonic())
        late = [value for one in seen for value in one.late]
        least = 0.0 if watcher.counts_all else min(late, default=0.0)
        rungs = [one.rung for one in seen if one.rung]
        watcher.process.terminate()
        while watcher.counts_all and watcher.lines.get(timeout=10) is not None:
            pass
        # Both are counted by what was to be shown: what a peer says nothing of has not come.
        due = 25 * seconds
        whole = sum(one.whole for one in seen)
        summary = watcher.summary
        return {
            "whole": min(1.0, whole / due), "fps": whole / seconds, "mbit": rate,
            "p50_ms": statistics.median(late) - least if late else None,
            "p95_ms": percentile(late, watcher.counts_all, seen), "p99_ms": sorted(late)[int(0.99 * len(late))] - least if late else None,
            "quality": statistics.median(rung[1] for rung in rungs) if rungs else None,
            "rendition": max((rung[0] for rung in rungs), default=None),
            "resent": summary.get("slices_repaired_nack"), "rebuilt": summary.get("slices_repaired_parity"),
            "late": summary.get("slices_repaired_late"), "repair_bytes": summary.get("repair_bytes"), "bytes": summary.get("bytes"),
        }


def row(table, scene, who, measure, asked):
    table.head("loss", "pictures on a path that loses datagrams by chance, both ways", COLUMNS)
    found = table.run("loss", scene, who, measure)
    if not found:
        return
    aim = lambda what, limit, holds: (f"{scene}, {who}: {what}", limit, holds) if asked else None
    whole = aim("pictures whole, %", f"≥ {100 - DAMAGED:g}", lambda v: v >= 100 - DAMAGED)
    late = aim("due → shown, p95, ms", f"≤ {P95_MS:g}", lambda v: v <= P95_MS)
    fine = aim("quality", f"≥ {FINE}", lambda v: v >= FINE) if scene.startswith("200") else None
    repair, all_bytes = found["repair_bytes"], found["bytes"]
    overhead = 100 * repair / max(1, all_bytes - repair) if repair is not None and all_bytes else None
    table.line(scene, who, [
        table.cell(100 * found["whole"], 2, whole), table.cell(found["fps"], 1), table.cell(found["p50_ms"], 1),
        table.cell(found["p95_ms"], 1, late), table.cell(found["p99_ms"], 1), table.cell(found["mbit"], 1), table.cell(overhead, 2),
        table.cell(found["quality"], 0, fine), table.cell(found["resent"], 0), table.cell(found["rebuilt"], 0), table.cell(found["late"], 0),
    ], COLUMNS)


def recorded(program, of_thousand, folder, seconds):
    """Records what comes: how many pictures, and how many of them decode without a word."""
    with Link(200, QUEUE_MS) as link:
        film = folder / f"recorded-{of_thousand}.mkv"
        start = stream(program, FILM, ["--loop", "--quality", QUALITY])
        watcher = start(link)
        watcher.begun()
        if of_thousand:
            lose(link, of_thousand)
        words = [program, "watch", f"{SENDER}:{PORT}", "--headless", "--duration", seconds, "--record", film, "--stats", "json"]
        run = subprocess.run(link.inside("b", words), capture_output=True, text=True, timeout=seconds + 60)
        summary = json.loads(run.stdout.strip().splitlines()[-1])
        check = ["ffmpeg", "-v", "error", "-nostdin", "-i", str(film), "-map", "0:v", "-f", "null", "-"]
        words = subprocess.run(check, capture_output=True, text=True).stderr.splitlines()
        count = ["ffprobe", "-v", "error", "-select_streams", "v", "-count_packets", "-show_entries", "stream=nb_read_packets", "-of", "csv=p=0", str(film)]
        pictures = int(subprocess.run(count, capture_output=True, text=True).stdout.strip().strip(",") or 0)
        return {"pictures": pictures, "damaged": summary["pictures_damaged"], "complaints": len(words)}


def measure(options, table, folder):
    seconds = SHORT_SECONDS if options.short else SECONDS
    film = make_film(folder, seconds + 60)
    ours = lambda program: stream(program, FILM, ["--loop", "--quality", QUALITY])
    for mbit in RATES[:1] if options.short else RATES:
        for of_thousand in (0, 10) if options.short else LOSSES:
            scene = f"{mbit} Mb/s {of_thousand / 10:g} %"
            row(table, scene, "udpstream", lambda: lossy(ours(options.udpstream), mbit, of_thousand, seconds), of_thousand == 10)
            if options.before:
                row(table, scene, "before", lambda: lossy(ours(options.before), mbit, of_thousand, seconds), False)
            if mbit == RATES[0] and "peers" in options.parts:
                for who, chain in (("GStreamer", plain), (f"GStreamer FEC {FEC_PERCENT} %", fec), ("GStreamer RTX", again)):
                    row(table, scene, who, lambda: lossy(chain(film), mbit, of_thousand, seconds), False)
    if "record" in options.parts:
        for of_thousand in (0, 10):
            name = f"{of_thousand / 10:g} %"
            found = table.run("record", name, "recording", lambda: recorded(options.udpstream, of_thousand, folder, seconds))
            if found:
                print(f"a recording at {name} loss: {found['pictures']} pictures, {found['damaged']} damaged, {found['complaints']} complaints of the decoder")


def options():
    parser = argparse.ArgumentParser(prog="scripts/compare loss")
    parser.add_argument("--udpstream", required=True)
    parser.add_argument("--before", metavar="FOLDER")
    parser.add_argument("--json", metavar="FILE", type=pathlib.Path)
    parser.add_argument("--parts", default="peers,record", type=lambda text: text.split(","))
    parser.add_argument("--short", action="store_true")
    found = parser.parse_args()
    found.before = found.before and f"{found.before}/udpstream"
    for program in filter(None, (found.udpstream, found.before)):
        if not shutil.which(program):
            sys.exit(f"error: there is no program {program}; build it there first")
    return found


def main():
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    chosen, table = options(), Table()
    with tempfile.TemporaryDirectory() as folder:
        measure(chosen, table, pathlib.Path(folder))
    table.verdict()
    if chosen.json:
        chosen.json.write_text(json.dumps(table.rows, indent=1) + "\n")
    if table.broken:
        sys.exit(1)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
