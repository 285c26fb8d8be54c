"""The loop that udpstream began as, told again: what student projects with Python and OpenCV do. A thread reads the film
into a queue of ten pictures, scaled to a width of 500. The main loop codes each as JPEG of quality 80, sends it as base64
in one datagram to whoever said hello, and waits. How long: TS seconds, from half an interval at the start; after each
picture a millisecond more if it runs faster than the film, one less if slower; and only whole milliseconds are waited.

Not theirs: no window beside the sender (`cv2.waitKey` is their wait; here it is a sleep of as long), no sound, no words,
the film ends the program, and the pictures sent are counted.

    origin.py FILM [PORT WIDTH QUALITY]
"""

import base64
import queue
import socket
import sys
import threading
import time

import cv2

END = None


def read(film, width, pictures):
    """Fills the queue; the height follows from the width, cut to a whole number."""
    while True:
        there, picture = film.read()
        if not there:
            return pictures.put(END)
        height, own = picture.shape[:2]
        size = (width, int(height * width / own))
        pictures.put(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))


def main(path, port=9688, width=500, quality=80):
    film = cv2.VideoCapture(path)
    fps = film.get(cv2.CAP_PROP_FPS)
    pictures = queue.Queue(maxsize=10)
    threading.Thread(target=read, args=(film, int(width), pictures), daemon=True).start()
    line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    line.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
    line.bind(("127.0.0.1", int(port)))
    print("listening", line.getsockname()[1], flush=True)
    _hello, watcher = line.recvfrom(65536)
    wait, sent, before = 0.5 / fps, 0, time.time()
    while (picture := pictures.get()) is not END:
        _good, coded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, int(quality)])
        line.sendto(base64.b64encode(coded), watcher)
        sent += 1
        now = time.time()
        measured, before = 1 / (now - before), now
        if measured > fps:
            wait += 0.001
        elif measured < fps:
            wait -= 0.001
        # Theirs would wait for a key, for ever, if nothing were left.
        time.sleep(max(1, int(1000 * wait)) / 1000)
    print("sent", sent, flush=True)


main(*sys.argv[1:])
