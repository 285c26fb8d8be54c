//! What long help says after the flags: examples, keys, exit codes. A paragraph is one line: help is wrapped to the
//! terminal's width.

use udpstream::view::keys::HELP;

use super::choices::Choices;
use super::keys::Keyed;

pub const INPUT: &str = "Input";
pub const STREAMS: &str = "Streams";
pub const LIBRARY: &str = "Library";
pub const FILMS: &str = "Films of a library";
pub const SOUND: &str = "Sound";
pub const NETWORK: &str = "Network";
pub const MULTICAST: &str = "Multicast and broadcast";
pub const TIMING: &str = "Timing";
pub const LIMITS: &str = "Limits";
pub const GUARDS: &str = "Who may watch";
pub const PUBLISHERS: &str = "Publishers";
pub const TALK: &str = "Talk";
pub const WINDOW: &str = "Picture";
pub const OUTPUT: &str = "Recording and preview";
pub const CACHE: &str = "Cache";
pub const RECORDING: &str = "Recording";
pub const FIGURES: &str = "Figures";

pub const HISTORY: &str = "\
Examples:
  udpstream history
  udpstream history --json
  udpstream history --clear film.mkv
  udpstream history --clear

It is kept in udpstream/history.jsonl in $XDG_STATE_HOME (~/.local/state), on this machine alone; watch --no-history keeps nothing.";

pub const INFO: &str = "\
Examples:
  udpstream info film.mkv
  udpstream info --json song.flac";

pub const MORE: &str = "--help says more, with examples.";

pub const PROGRAM: &str = "\
Examples:
  udpstream serve film.mp4             Send a film; it starts with its first watcher
  udpstream watch 192.168.1.20         Watch it from another machine
  udpstream serve test:                Send the test card, which needs no film and no ffmpeg
  udpstream ls                         See what there is on the network
  udpstream ls 192.168.1.20            See which streams it has
  udpstream relay 192.168.1.20         Pass its streams on to many, fetched once
  udpstream extract film.mp4           Take its sound out, into film.wav
  udpstream serve camera: mic:         Send a camera and a microphone
  udpstream devices                    See which cameras, screens and microphones there are
  udpstream doctor                     See whether this machine has what it takes
  udpstream help watch                 All about one command

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 the server could not be reached or refused, 130 stopped by a second \
Ctrl-C. The first Ctrl-C ends everything in order.";

/// The options of a stream are those of the table.
pub fn serve() -> String {
    let names: Vec<&str> = Choices::KEYS.iter().map(|key| key.name).collect();
    SERVE.replace("OPTIONS", &names.join(", "))
}

const SERVE: &str = "\
Examples:
  udpstream serve film.mp4
  udpstream serve film.mp4 --loop --width 960 --quality 70
  udpstream serve test:1920x1080@60 --no-wait
  udpstream serve rtsp://camera/stream --port 9700
  udpstream serve camera:/dev/video2 mic: --size 1280x720 --fps 30
  udpstream serve screen: mic:
  udpstream serve screen::0+100,100,1280x720 --no-pointer
  udpstream serve mic:
  ffmpeg -i film.mov -f yuv4mpegpipe - | udpstream serve -
  udpstream serve film.mp4 --stream lobby=camera:+mic: --stream desk=screen:,fps=15,on-demand
  udpstream serve camera: --code new
  udpstream serve film.mp4 --multicast auto
  udpstream serve screen: --multicast 239.1.2.3 --ttl 4 --interface eth0 --fec 20%
  udpstream serve --accept-publishers
  udpstream serve --config streams.toml

Options of a stream: OPTIONS. Each stands behind its INPUT, after a comma and without its dashes: \
lobby=camera:+mic:,width=640,quality=70,loop=no. Where it stands alone on the command line it holds for every stream that \
says nothing else and for which it does anything. An INPUT ends at the first comma behind which an option stands; a comma \
that would be taken for that is written \\,. A TOML file has the same options by the same names, and [[stream]] \
tables with name, input and ear.

On a terminal one line tells position/length, pictures a second, jitter (the deviation of departures from \
their deadlines), watchers and bit rate, and below it each watcher has a row: what its path carries, what it is sent, and why it is not more. Ctrl-C says goodbye to the watchers and ends with 0; a second one ends at once.";

/// The options of a stream are those of `serve`.
pub fn publish() -> String {
    PUBLISH.to_owned()
}

const PUBLISH: &str = "\
Examples:
  udpstream publish HOST camera: mic:
  udpstream publish HOST screen: --name desk --preview
  udpstream publish HOST film.mp4 --public
  udpstream publish HOST:9700 camera: --keep door.code --allow-publish @studio.code

The code is drawn here. It is shown on the terminal, in large letters and as a QR code where that fits, and over the preview; \
give it to those who are to watch: `udpstream watch HOST/CODE`. It never crosses the network, and the server does not know it. \
Nothing is sent while nobody watches. p and Enter pause the stream, and let it go on. A line that breaks is mended within ten seconds without anybody having to do \
anything; with --keep the stream can even be started again in that time.";

/// The keys are the help sheet's, from the one place where they are listed.
pub fn watch() -> String {
    let keys: String = HELP.iter().map(|(key, what)| format!("  {key:<18}{what}\n")).collect();
    format!("Keys of the window:\n{keys}\n{WATCH}")
}

const WATCH: &str = "\
Examples:
  udpstream watch                      What is announced on the local network
  udpstream watch 127.0.0.1
  udpstream watch robot:9700 --fullscreen
  udpstream watch robot/lobby
  udpstream watch robot/K7QM-01AB-CDEF-GHJK-MNPQ
  udpstream watch robot --code -
  udpstream watch robot/lobby robot/desk 192.168.1.20 --grid 3x1
  udpstream watch 'robot/*'
  udpstream watch '[2001:db8::7]:9688' --latency 40
  udpstream watch tcp://robot          Over TCP, where UDP does not get through
  udpstream watch udp://@239.1.2.3     What is sent to a group
  udpstream watch robot --headless --stats json --duration 10

On a terminal one line tells position/length, pictures a second, jitter (the deviation of the intervals between \
pictures), pictures lost or damaged, and bit rate.";

pub const LS: &str = "\
Examples:
  udpstream ls                         All that is announced on the local network
  udpstream ls robot
  udpstream ls 192.168.1.20:9700 --json
  udpstream ls tcp://robot             Over TCP, where UDP does not get through

A line tells name, title, size, pictures a second, length or live, sound, and how many watch. One of them is watched with \
`udpstream watch HOST/NAME`, all of them with `udpstream watch 'HOST/*'`.";

pub const RELAY: &str = "\
Examples:
  udpstream relay 192.168.1.20         Pass on all that it serves, on port 9690
  udpstream relay robot/lobby --port 9700
  udpstream relay robot,spare/lobby    The one or the other
  udpstream relay tcp://robot          Fetch it over TCP, where UDP does not get through
  udpstream relay udp://@239.1.2.3     Pass on what is sent to a group
  udpstream relay robot --cache films --cache-size 10G
  udpstream relay robot --record-dir recordings --record-size 100G

A stream is fetched only while somebody watches it here, and ten seconds more, and once however many do; with --record-dir \
all that are listed are fetched, all the time. What comes goes on as it is. While the origin is away a card says so, and all \
is back by itself. Of each stream a row tells where it stands, how many watch, what comes and goes, and how old pictures are \
when they leave each relay on the way, this one last.";

pub const CACHE_VERB: &str = "\
Examples:
  udpstream cache ls films
  udpstream cache rm films holiday
  udpstream cache check films --repair

A relay that runs with --cache holds its folder alone: stop it first.";

pub const EXTRACT: &str = "\
Examples:
  udpstream extract film.mp4           Writes film.wav beside it
  udpstream extract film.mkv -o sound.wav --audio-track 1
  udpstream extract https://host/film.mp4 -o sound.wav --force

On a terminal a bar tells how far it has come. Nothing is replaced without --force, and then only when the new file is \
whole. Ctrl-C finishes the file with what there is; a second one ends at once, without the file, and so does a failure. \
A WAV file holds 6 hours and 45 minutes.";

pub const DEVICES: &str = "\
Examples:
  udpstream devices
  udpstream devices --json             One object a line, the last with the event summary

A device is chosen by what stands in its line: `udpstream serve camera:/dev/video0 mic:`. camera: alone is the first \
camera, camera:2 is /dev/video2, and camera:NAME the first whose name has NAME in it. mic: alone is the system's \
default, mic:hw:1 a device of ALSA, and mic:NAME a source of the sound server. camera:lavfi:GRAPH and mic:lavfi:GRAPH stand in for a device \
where there is none: camera:lavfi:testsrc2, mic:lavfi:sine=440. While a device is away a card says why; \
it is tried again until it is back.";

pub const DOCTOR: &str = "\
Examples:
  udpstream doctor
  udpstream doctor --headless          On a machine without a screen
  udpstream doctor --json              One object a line, the last with the event summary";

pub const COMPLETIONS: &str = "\
To install them:
  bash         udpstream completions bash > ~/.local/share/bash-completion/completions/udpstream
  zsh          udpstream completions zsh > ~/.zfunc/_udpstream
               (with fpath+=~/.zfunc before compinit in ~/.zshrc)
  fish         udpstream completions fish > ~/.config/fish/completions/udpstream.fish
  powershell   udpstream completions powershell >> $PROFILE
  elvish       udpstream completions elvish >> ~/.config/elvish/rc.elv

The folder must exist; then start a new shell.";

pub const MAN: &str = "\
To read it at once:
  udpstream man | man -l -

To install it:
  mkdir -p ~/.local/share/man/man1
  udpstream man > ~/.local/share/man/man1/udpstream.1";
