#!/usr/bin/env python3
"""Watches a udpstream server with NumPy and OpenCV: `watch.py HOST[:PORT]`; q or Esc leaves. Written from
docs/PROTOCOL.md alone; the datagrams are in session.py, the pictures here.
Exit codes: 0 done, 1 failed, 2 wrong usage, 3 the server could not be reached or refused."""
import argparse, os, re, struct, sys
from functools import lru_cache

from session import Fail, Session

try:
    import cv2, numpy as np
except ImportError as why:
    sys.exit(f"error: {why}: install NumPy and OpenCV (apt install python3-opencv, or pip install opencv-python)")

SAME = 0x10
# T.81 Annex K at quality 50, luma and chroma, in zigzag order; and the four standard Huffman segments.
STEPS = bytes.fromhex(
    "100b0c0e0c0a100e0d0e1211101318281a181616183123251d283a333d3c3933383740485c4e404457453738506d51575f626768673e"
    "4d71797064785c6567631112121815182f1a1a2f63423842636363636363636363636363636363636363636363636363636363636363"
    "6363636363636363636363636363636363636363"
)
HUFFMAN = bytes.fromhex(
    "ffc4001f0000010501010101010100000000000000000102030405060708090a0bffc400b5100002010303020403050504040000017d"
    "01020300041105122131410613516107227114328191a1082342b1c11552d1f02433627282090a161718191a25262728292a34353637"
    "38393a434445464748494a535455565758595a636465666768696a737475767778797a838485868788898a92939495969798999aa2a3"
    "a4a5a6a7a8a9aab2b3b4b5b6b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae1e2e3e4e5e6e7e8e9eaf1f2f3f4f5f6f7f8f9fa"
    "ffc4001f0100030101010101010101010000000000000102030405060708090a0bffc400b51100020102040403040705040400010277"
    "000102031104052131061241510761711322328108144291a1b1c109233352f0156272d10a162434e125f11718191a262728292a3536"
    "3738393a434445464748494a535455565758595a636465666768696a737475767778797a82838485868788898a92939495969798999a"
    "a2a3a4a5a6a7a8a9aab2b3b4b5b6b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae2e3e4e5e6e7e8e9eaf2f3f4f5f6f7f8f9fa"
)


@lru_cache
def tables(quality):
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    steps = bytes(min(255, max(1, (step * scale + 50) // 100)) for step in STEPS)
    return b"\xff\xdb\0\x43\0" + steps[:64] + b"\xff\xdb\0\x43\1" + steps[64:] + HUFFMAN


def decode(canvas, _flags, quality, x, y, data):
    """Decodes one part into its rectangle; False if it is damaged or does not lie inside."""
    height, width = canvas.shape[:2]
    if quality:  # Abbreviated: SOF0 stands where it always stands; tables go in behind SOI.
        (height, width), data = struct.unpack_from(">HH", data, 13), data[:2] + tables(quality) + data[2:]
    place, image = canvas[y:y + height, x:x + width], None
    if place.shape[:2] == (height, width):
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if image is None or image.shape != place.shape:
        return False
    place[:] = image
    return True


def draw(session, size, parts, missing, before):
    """A picture of its parts. SAME, and what is missing, keep the pixels of the picture before."""
    (width, height), same = size, any(flags & SAME for flags, *_ in parts)
    canvas = np.zeros((height, width, 3), np.uint8)
    if before is not None and (same or before.shape == canvas.shape):
        canvas = before.copy()
    good = same or sum(decode(canvas, *part) for part in parts) == len(parts)
    session.count.update(shown=1, slices=len(parts), damaged=int(not good or missing > 0))
    return canvas


def watch(session, options):
    """Shows pictures until it is over; returns the last one."""
    canvas = None
    if not options.headless:
        cv2.namedWindow(session.name, cv2.WINDOW_AUTOSIZE | cv2.WINDOW_GUI_NORMAL)
    while not session.is_over():
        session.wait()
        while (picture := session.picture()) is not None:
            canvas = draw(session, *picture, canvas)
            if session.count["shown"] == options.frames:
                return canvas
            if not options.headless:
                cv2.imshow(session.name, canvas)
        if canvas is not None and not options.headless and cv2.waitKey(1) & 0xFF in (27, ord("q")):
            break
    return canvas


def main():
    parser = argparse.ArgumentParser(epilog="Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not reached or refused.")
    parser.add_argument("server", metavar="HOST[:PORT]")
    parser.add_argument("--headless", action="store_true", help="no window")
    parser.add_argument("--frames", type=int, help="leave after so many pictures")
    parser.add_argument("--save", metavar="FILE.png", help="save the last picture")
    parser.add_argument("--timeout", type=float, default=5, help="seconds of silence until giving up (5)")
    options = parser.parse_args()
    place = re.fullmatch(r"(?:udp://)?(?:\[(.+)\]|([^:\[\]]+))(?::(\d{1,5}))?", options.server)
    if not place or not 0 < int(place[3] or 9688) < 65536:
        parser.error(f"{options.server!r} is no server: write HOST, HOST:PORT, 192.0.2.7:9688 or [2001:db8::7]:9688")
    if not options.headless and sys.platform == "linux" and not {"DISPLAY", "WAYLAND_DISPLAY"} & set(os.environ):
        raise Fail(1, "there is no display: use --headless")
    session = Session(place[1] or place[2], int(place[3] or 9688), options.timeout)
    canvas = None
    try:
        canvas = watch(session, options)
    except KeyboardInterrupt:
        pass
    except cv2.error as why:
        raise Fail(1, f"OpenCV cannot show pictures here: use --headless ({str(why).splitlines()[0]})") from None
    finally:
        session.leave()
    if options.save and (canvas is None or not cv2.imwrite(options.save, canvas)):
        raise Fail(1, f"no picture was saved: {options.save!r} cannot be written, or no picture came")
    print(" ".join(f"{name}={session.count[name]}" for name in "shown damaged slices datagrams bytes rejected".split()),
          f"last={session.shown}", session.bye[1] if session.bye else "")
    return 1 if session.bye and session.bye[0] == 4 else 0


try:
    sys.exit(main())
except Fail as failure:
    print(f"error: {failure.args[1]}", file=sys.stderr)
    sys.exit(failure.args[0])
