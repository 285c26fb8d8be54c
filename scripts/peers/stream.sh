# The tables `stream` and `drift` of scripts/compare: senders side by side on the same film, seen by the same sampler.
# shellcheck shell=bash
#
# Each sender scales the sample film, at 30 pictures a second, to a width of 500 and sends JPEG of quality 80 in the
# largest datagrams that loopback takes. The rounds of all of them alternate.

STREAM_ELEMENTS=(qtdemux avdec_h264 videoscale videoconvert jpegenc rtpjpegpay udpsink)
STREAM_PEERS=(floor ours gst ffmpeg origin)
STREAM_WIDTH=500
# The height that keeps the film's shape, even as 4:2:0 has it.
STREAM_HEIGHT=282
# The size of quality 80: a JPEG of ffmpeg takes a whole number, and this one comes nearest in bytes.
FFMPEG_QUALITY=4
# Less than a picture of any sender here, so that the floor is one for all of them.
FLOOR_BYTES=14000
# Starting and ending are not counted in what a sender takes.
USAGE_FROM=3 USAGE_END=3

stream_seconds=20 minutes=10

# A Python that has OpenCV; the first on the PATH need not be the system's.
python_with_opencv() {
    local python
    for python in python3 /usr/bin/python3; do
        if "$python" -c 'import cv2' 2>/dev/null; then
            printf '%s\n' "$python"
            return 0
        fi
    done
    return 1
}

# The sample film as often as it takes, its pictures 1/30 s apart, none of them encoded anew: make_film FILE SECONDS.
make_film() {
    local pictures=$(($2 * fps)) copies one=$scratch/one.h264 count=stream=nb_read_packets
    ffmpeg -v error -nostdin -y -i assets/sample.mp4 -an -c copy -f h264 "$one"
    copies=$((pictures / $(ffprobe -v error -count_packets -show_entries "$count" -of csv=p=0 "$one") + 1))
    # The last of them is cut short, which ends cat.
    for ((; copies > 0; copies--)); do cat "$one" || break; done |
        ffmpeg -v fatal -y -r "$fps" -f h264 -i - -c copy -frames:v "$pictures" "$1"
}

# A process and all its children, one a line.
tree() {
    local child
    printf '%s\n' "$1"
    for child in $(cat "/proc/$1/task/"*/children 2>/dev/null); do tree "$child"; done
}

# Appends the moment, and of a process and of its children the processor seconds and the most memory so far in kB.
note_tree() {
    local process own='0 0' ticks=0 memory=0 used most
    for process in $(tree "$1"); do
        used=$(sed 's/.*) //' "/proc/$process/stat" 2>/dev/null | awk '{print $12 + $13}')
        most=$(awk '/VmHWM/ {print $2}' "/proc/$process/status" 2>/dev/null)
        if [ "$process" = "$1" ]; then
            own="${used:-0} ${most:-0}"
        else
            ticks=$((ticks + ${used:-0})) memory=$((memory + ${most:-0}))
        fi
    done
    printf '%s %s %s %s\n' "$(cut -d ' ' -f 1 /proc/uptime)" "$own" "$ticks" "$memory" >>"$2"
}

# Starts the sampler, bound to a free port or asking at ADDRESS: sampler ROUND KIND [ADDRESS]. Its port is in $port.
sampler() {
    start "$1.arrivals" "$examples/arrivals" "$2" "${3:-127.0.0.1:0}" $((stream_seconds + 15)) "$fps"
    arrivals=$started
    await "$scratch/$1.arrivals.err" bound "the sampler did not start"
    port=$(sed -n 's/^bound .*:\([0-9]*\)$/\1/p' "$scratch/$1.arrivals.err")
}

# A UDP port of the loopback that nobody has.
free_port() {
    python3 -c 'import socket
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    s.bind(("127.0.0.1", 0))
    print(s.getsockname()[1])'
}

# Starts a sender with the moment noted: sender ROUND COMMAND…
sender() {
    local round=$1
    shift
    start "$round.sender" stamped "$scratch/$round.started" "$@"
    sender=$started
}

# Notes what the sender takes in the middle of the film, and waits for the end of the film.
film_runs() {
    sleep "$USAGE_FROM"
    note_tree "$sender" "$scratch/$1.usage"
    sleep $((stream_seconds - USAGE_FROM - USAGE_END))
    note_tree "$sender" "$scratch/$1.usage"
    wait "$arrivals" || fail "$1: the sampler gave up: $(tail -n 3 "$scratch/$1.arrivals.err")"
    finish "$sender"
}

stream_floor() {
    local port
    sampler "$1" plain
    sender "$1" "$examples/bare_timer" "$fps" "$stream_seconds" "127.0.0.1:$port" "$FLOOR_BYTES"
    film_runs "$1"
}

# The watcher knocks as soon as the port is bound, as that of any other sender is there before it: what passes until the
# first picture is the server's own time.
stream_ours() {
    local port
    port=$(free_port)
    sender "$1" "$udpstream" serve "$scratch/film.mp4" --width "$STREAM_WIDTH" --quality "$quality" --port "$port" \
        --bind 127.0.0.1 --stats json
    sleep 0.02
    until grep -q "$(printf ':%04X ' "$port")" /proc/net/udp; do
        kill -0 "$sender" 2>/dev/null || fail "the server did not start"
        sleep 0.02
    done
    sampler "$1" udpstream "127.0.0.1:$port"
    film_runs "$1"
}

# Another sampler, because an unpublished wire may change.
stream_before() { udpstream=$before/udpstream examples=$before/examples stream_ours "$1"; }

# One decoder thread takes least. More of them, a queue behind the encoder, in front of the sink or smaller packets gave no
# steadier intervals than the noise between two rounds; openh264dec takes twice as much.
stream_gst() {
    local port
    sampler "$1" rtp
    sender "$1" gst-launch-1.0 -q filesrc "location=$scratch/film.mp4" ! qtdemux ! avdec_h264 max-threads=1 ! \
        videoscale ! "video/x-raw,width=$STREAM_WIDTH,height=$STREAM_HEIGHT" ! videoconvert ! \
        jpegenc "quality=$quality" ! rtpjpegpay mtu=65000 ! udpsink host=127.0.0.1 "port=$port" sync=true
    film_runs "$1"
}

stream_ffmpeg() {
    local port
    sampler "$1" rtp
    sender "$1" ffmpeg -v error -nostdin -re -threads 1 -i "$scratch/film.mp4" \
        -vf "scale=$STREAM_WIDTH:$STREAM_HEIGHT:out_range=full,format=yuvj420p" -c:v mjpeg -q:v "$FFMPEG_QUALITY" \
        -threads 1 -huffman default -force_duplicated_matrix 1 -f rtp "rtp://127.0.0.1:$port?pkt_size=65000"
    film_runs "$1"
}

stream_origin() {
    local port
    sender "$1" "$(python_with_opencv)" scripts/peers/origin.py "$scratch/film.mp4" 0 "$STREAM_WIDTH" "$quality"
    await "$scratch/$1.sender.out" listening "the origin's loop did not start"
    sampler "$1" hello "127.0.0.1:$(awk '/listening/ {print $2}' "$scratch/$1.sender.out")"
    film_runs "$1"
}

stream() {
    local round peer
    heading "stream: sample film to a width of $STREAM_WIDTH at $fps fps, $stream_seconds s a round, $rounds rounds"
    make_film "$scratch/film.mp4" "$stream_seconds"
    for ((round = 1; round <= rounds; round++)); do
        for peer in ${before:+before} "${STREAM_PEERS[@]}"; do "stream_$peer" "$peer.$round"; done
    done
    python3 scripts/peers/stream.py stream "$scratch" "$rounds" "$fps" "$stream_seconds"
}

# Whether a long film keeps to its clock.
drift() {
    local stream_seconds=$((minutes * 60))
    heading "drift: $minutes minutes at $fps fps"
    make_film "$scratch/film.mp4" "$stream_seconds"
    stream_ours drift
    python3 scripts/peers/stream.py drift "$scratch" "$fps" "$stream_seconds"
}
