# The tables `path` and `loss` of scripts/compare: what a stream does on a path that becomes narrow, that a download fills, or
# that loses datagrams by chance.
# shellcheck shell=bash

PATH_PACKAGES=(
    iproute2 nftables iperf3 ffmpeg xvfb python3 gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good
    gstreamer1.0-plugins-bad gstreamer1.0-x gstreamer1.0-libav
)
PATH_COMMANDS=(ip tc iperf3 ffmpeg Xvfb python3 gst-launch-1.0)
PATH_ELEMENTS=(qtdemux h264parse avdec_h264 videoconvert jpegenc rtpjpegpay udpsink ximagesink)

LOSS_COMMANDS=(ip tc nft ffmpeg ffprobe python3 gst-launch-1.0)
LOSS_ELEMENTS=(
    qtdemux h264parse avdec_h264 videoconvert jpegenc rtpjpegpay udpsink rtpstreampay rtpstorage rtpssrcdemux rtpjitterbuffer
    rtpulpfecenc rtpulpfecdec rtpsession rtprtxsend rtprtxreceive
)

# What the table needs and this machine lacks, one a line.
path_lacking() {
    local name
    for name in "${PATH_COMMANDS[@]}"; do command -v "$name" >/dev/null 2>&1 || printf '%s\n' "$name"; done
    command -v gst-inspect-1.0 >/dev/null 2>&1 || return 0
    for name in "${PATH_ELEMENTS[@]}"; do
        gst-inspect-1.0 --exists "$name" >/dev/null 2>&1 || printf '%s\n' "$name"
    done
}

# Whether this user may make network namespaces with token buckets; it says why not.
path_allowed() {
    local space=udpstream-may-$$ why
    [ "$(id -u)" -eq 0 ] || fail "scripts/compare $table makes network namespaces of its own and must be run by root"
    why=$({ ip netns add "$space" && ip -n "$space" link add udpstream-may type veth peer name udpstream-must &&
        ip netns exec "$space" tc qdisc add dev udpstream-may root tbf rate 1mbit burst 1600 latency 100ms; } 2>&1) &&
        ip netns del "$space" && return 0
    ip netns del "$space" 2>/dev/null || true
    fail "scripts/compare $table may not make network namespaces with token buckets here: $(head -n 1 <<<"$why")"
}

# The table that is named: path_table path|loss OPTIONS…
path_table() {
    local table=$1
    shift
    if [ "$table" = loss ]; then PATH_COMMANDS=("${LOSS_COMMANDS[@]}") PATH_ELEMENTS=("${LOSS_ELEMENTS[@]}"); fi
    local words=() install= udpstream=
    while [ $# -gt 0 ]; do
        case "$1" in
        --install) install=yes ;;
        --udpstream)
            [ $# -gt 1 ] || fail "--udpstream needs a value"
            udpstream=$2 && shift
            ;;
        *) words+=("$1") ;;
        esac
        shift
    done
    export PATH="$PATH:/sbin:/usr/sbin"
    if [ -n "$install" ] && [ -n "$(path_lacking)" ]; then
        heading "installing what is compared with"
        local root=()
        [ "$(id -u)" -eq 0 ] || root=(sudo)
        "${root[@]}" apt-get update -qq </dev/null
        "${root[@]}" env DEBIAN_FRONTEND=noninteractive \
            apt-get install -y -qq --no-install-recommends "${PATH_PACKAGES[@]}" </dev/null
    fi
    [ -z "$(path_lacking)" ] || fail "missing here: $(path_lacking | tr '\n' ' '); try scripts/compare $table --install"
    path_allowed
    if [ -z "$udpstream" ]; then
        need_rust
        cargo build --release --quiet --bin udpstream
        udpstream=${CARGO_TARGET_DIR:-target}/release/udpstream
    fi
    exec python3 "scripts/peers/$table.py" --udpstream "$udpstream" "${words[@]}"
}
