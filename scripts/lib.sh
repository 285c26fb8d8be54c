# Shared by the scripts: finds Rust, installs what is missing. Sourced, not run; the sourcing script sets -euo pipefail.
# shellcheck shell=bash

RUST_NEEDED=1.88
APT_PACKAGES=(
    ffmpeg cmake nasm pkg-config gcc g++ make xvfb xdotool x11-utils iproute2 nftables libxkbcommon-x11-0
    libx11-6 libx11-xcb1 libxcb1 libxcursor1 libxi6 libxrandr2 tshark python3-opencv
    libasound2-dev libasound2-plugins pulseaudio pulseaudio-utils mpv
    fontconfig pango1.0-tools fonts-dejavu-core fonts-lohit-deva fonts-tlwg-loma-ttf fonts-droid-fallback fonts-noto-color-emoji
)
APT_COMMANDS=(ffmpeg ffprobe cmake nasm pkg-config cc c++ make Xvfb xdotool xwininfo ip tshark pulseaudio pactl parec mpv fc-list pango-view)
# Opened by the window at run time, so no linker would notice that they are missing.
APT_LIBRARIES=(libxkbcommon-x11.so.0 libX11.so.6 libX11-xcb.so.1 libxcb.so.1 libXcursor.so.1 libXi.so.6 libXrandr.so.2)

# What letters are compared in, by the languages that fontconfig knows; the last one is emoji.
FONT_LANGUAGES=(ar he hi th ja und-zsye)

# What the Python client imports.
PYTHON_MODULES=(numpy cv2)

heading() { printf '\n== %s\n' "$*"; }

fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# Puts a Rust that is new enough on PATH, or says where to get one.
need_rust() {
    if ! command -v cargo >/dev/null 2>&1; then
        export PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"
    fi
    local advice="get it from https://rustup.rs"
    command -v cargo >/dev/null 2>&1 || fail "Rust $RUST_NEEDED or newer is needed; $advice"
    local have
    have=$(rustc --version | awk '{print $2}')
    if [ "$(printf '%s\n' "$RUST_NEEDED" "${have%%-*}" | sort -V | head -n 1)" != "$RUST_NEEDED" ]; then
        fail "Rust $RUST_NEEDED or newer is needed, this is $have; run 'rustup update' or $advice"
    fi
}

# What the build, the window and the tests need and this machine lacks, one a line.
missing() {
    local name libraries
    for name in "${APT_COMMANDS[@]}"; do
        command -v "$name" >/dev/null 2>&1 || printf '%s\n' "$name"
    done
    libraries=$(PATH="$PATH:/sbin:/usr/sbin" ldconfig -p 2>/dev/null || true)
    for name in "${APT_LIBRARIES[@]}"; do
        case "$libraries" in *"$name"*) ;; *) printf '%s\n' "$name" ;; esac
    done
    pkg-config --exists alsa 2>/dev/null || printf '%s\n' "ALSA's headers"
    for name in "${FONT_LANGUAGES[@]}"; do
        [ -n "$(fc-list ":lang=$name" 2>/dev/null || true)" ] || printf 'a font for %s\n' "$name"
    done
    # The system's Python has what apt installs; another one on PATH may have the modules of its own.
    for name in "${PYTHON_MODULES[@]}"; do
        /usr/bin/python3 -c "import $name" >/dev/null 2>&1 || python3 -c "import $name" >/dev/null 2>&1 ||
            printf "Python's %s\n" "$name"
    done
}

# Installs what is missing by apt; elsewhere names it.
install_missing() {
    local lacking root=()
    lacking=$(missing)
    [ -n "$lacking" ] || return 0
    heading "installing what is missing: ${lacking//$'\n'/ }"
    command -v apt-get >/dev/null 2>&1 || fail "please install by hand what Debian calls: ${APT_PACKAGES[*]}"
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null 2>&1 || fail "neither root nor sudo: please install ${APT_PACKAGES[*]}"
        root=(sudo)
    fi
    "${root[@]}" apt-get update -qq </dev/null
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "${APT_PACKAGES[@]}" </dev/null
    lacking=$(missing)
    [ -z "$lacking" ] || fail "still missing after the installation: ${lacking//$'\n'/ }"
}

# A sound server of our own in folder $1, whose only device is silent: the default of every program started after this,
# and what is played there can be recorded (`parec -d "$UDPSTREAM_SOUND.monitor"`). Ends with stop_sound.
start_sound() {
    local folder=$1 tries=0
    mkdir -p "$folder"
    chmod 700 "$folder"
    export PULSE_RUNTIME_PATH=$folder PULSE_STATE_PATH=$folder PULSE_COOKIE=$folder/cookie
    export PULSE_SERVER=unix:$folder/native PULSE_CLIENTCONFIG=$folder/client.conf
    export ALSA_CONFIG_PATH=$folder/asound.conf UDPSTREAM_SOUND=udpstream
    echo 'autospawn = no' >"$PULSE_CLIENTCONFIG"
    printf '%s\n' "load-module module-null-sink sink_name=$UDPSTREAM_SOUND rate=44100" \
        "load-module module-native-protocol-unix socket=$folder/native auth-anonymous=1 auth-cookie-enabled=0" \
        >"$folder/server.pa"
    printf '%s\n' '</usr/share/alsa/alsa.conf>' 'pcm.!default { type pulse }' 'ctl.!default { type pulse }' \
        >"$ALSA_CONFIG_PATH"
    pulseaudio -n -F "$folder/server.pa" --daemonize=no --exit-idle-time=-1 --use-pid-file=no --disable-shm=yes \
        >"$folder/log" 2>&1 &
    sound=$!
    until pactl info >/dev/null 2>&1; do
        kill -0 "$sound" 2>/dev/null && [ "$tries" -lt 200 ] || fail "no sound server: $(cat "$folder/log")"
        tries=$((tries + 1))
        sleep 0.1
    done
    # A silent device that nobody listens to plays two seconds at a time, and whoever comes then waits for so long.
    parec -d "$UDPSTREAM_SOUND.monitor" --latency-msec=20 >/dev/null 2>&1 &
    listener=$!
}

# Ends the sound server that start_sound has started, if it has.
stop_sound() {
    if [ -n "${sound:-}" ]; then
        kill "$listener" "$sound" 2>/dev/null || true
        wait "$listener" "$sound" 2>/dev/null || true
        sound=
    fi
}
