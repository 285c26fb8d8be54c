//! What a child says on stderr: read as it comes, its end kept, and one line of it chosen for a sentence.

use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

use super::public_part;

/// The end of a child's stderr.
pub(super) struct Tail {
    kept: Arc<Mutex<Kept>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Kept {
    bytes: Vec<u8>,
    /// The first line has lost its beginning.
    cut: bool,
}

impl Tail {
    pub fn of(mut stderr: impl Read + Send + 'static) -> io::Result<Self> {
        let kept = Arc::new(Mutex::new(Kept::default()));
        let shared = Arc::clone(&kept);
        let thread = Builder::new().name("ffmpeg stderr".into()).spawn(move || drain(&mut stderr, &shared))?;
        Ok(Self { kept, thread: Some(thread) })
    }

    /// What was said last; waits for the child to close its stderr, so call it when the child is gone. The `input` as
    /// it was given to the child may hold a password: it is called `name` here.
    pub fn finish(&mut self, input: &str, name: &str) -> Words {
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(&kept.bytes);
        let whole = text.split_once('\n').map_or("", |(_, rest)| rest);
        Words::new(if kept.cut { whole } else { &text }, input, name)
    }
}

fn drain(stderr: &mut impl Read, kept: &Mutex<Kept>) {
    let mut block = [0; 1_024];
    while let Ok(count @ 1..) = stderr.read(&mut block) {
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.bytes.extend_from_slice(&block[..count]);
        let surplus = kept.bytes.len().saturating_sub(TAIL);
        kept.bytes.drain(..surplus);
        kept.cut |= surplus > 0;
    }
}

/// The lines of ffmpeg or ffprobe, without what only their makers understand.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Words(Vec<String>);

impl Words {
    pub fn new(text: &str, input: &str, name: &str) -> Self {
        let line = |line: &str| scrubbed(&renamed(plain(line, input), input, name));
        Self(text.lines().map(line).filter(|line| !line.is_empty()).collect())
    }

    /// The line that says most: the last one, or, if that only says that something failed, the first that says what.
    pub fn gist(&self) -> Option<String> {
        let telling = |line: &&String| !GENERIC.iter().any(|start| line.starts_with(start));
        let last = self.0.last()?;
        let line = if telling(&last) { last } else { self.0.iter().find(telling).unwrap_or(last) };
        Some(shortened(line))
    }

    /// A list, and what it names lies where files may not point to.
    pub fn point_elsewhere(&self) -> bool {
        self.mention("not on whitelist") || self.mention("Unsafe file name")
    }

    /// There are streams, but nothing is in them.
    pub fn say_empty(&self) -> bool {
        self.mention("after EOF")
    }

    /// A film in which the index comes after the pictures, or that ends before its first picture does.
    pub fn say_index_at_end(&self) -> bool {
        self.0.iter().any(|line| line.ends_with(": partial file"))
    }

    /// What ffmpeg says of an animated WebP, whose pictures it passes over.
    pub fn say_animated_webp(&self) -> bool {
        self.mention("image data not found")
    }

    /// The server was there, knows what it is asked for, and does not give it.
    pub fn say_forbidden(&self) -> bool {
        self.mention("403 Forbidden")
    }

    /// The server was there, and wants to know who we are.
    pub fn ask_for_a_password(&self) -> bool {
        LOCKED.iter().any(|words| self.mention(words))
    }

    /// No server was there, or it hung up.
    pub fn say_away(&self) -> bool {
        AWAY.iter().any(|words| self.mention(words))
    }

    pub fn mention(&self, words: &str) -> bool {
        self.0.iter().any(|line| line.contains(words))
    }
}

/// With `name` where the input stands, which may be an address with a secret; a device's, which may be as short as a
/// letter, only as a word of its own, and not in quotes: then it is ffmpeg's own name for a part of it.
fn renamed(line: &str, input: &str, name: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, behind)) = (!input.is_empty()).then(|| rest.split_once(input)).flatten() {
        let joined = |c: char| c.is_alphanumeric() || c == '\'';
        let inside = !input.contains("://") && (before.ends_with(joined) || behind.starts_with(joined));
        out.push_str(before);
        out.push_str(if inside { input } else { name });
        rest = behind;
    }
    out.push_str(rest);
    out
}

/// Without `[error] `, `[mov @ 0x5651] ` and the name of the input in front.
fn plain<'a>(line: &'a str, input: &str) -> &'a str {
    let mut rest = line.trim();
    while let Some((_, after)) = rest.strip_prefix('[').and_then(|inner| inner.split_once("] ")) {
        rest = after.trim_start();
    }
    rest = rest.strip_prefix("Error opening input: ").unwrap_or(rest);
    // libsrt prints by itself: `00:49:17.038610/SRT:RcvQ:w1!W:SRT.cn: processAsyncConnectRequest: … : Incorrect passphrase`.
    rest = rest.rsplit_once(": ").filter(|(head, _)| head.contains(":SRT.")).map_or(rest, |(_, why)| why);
    let refused = rest.strip_prefix("Connection to ").and_then(|rest| rest.split_once(" failed: "));
    rest = refused.map_or(rest, |(_, why)| why);
    let named = rest.strip_prefix(input).and_then(|rest| rest.strip_prefix(": "));
    named.unwrap_or(rest).trim_end_matches('.')
}

/// Addresses that ffmpeg made of ours, such as those in a list, hold the same secrets.
fn scrubbed(line: &str) -> String {
    let words = line.split_inclusive([' ', '\'', '"']);
    let word = |word: &str| {
        let (address, end) = word.split_at(word.trim_end_matches([' ', '\'', '"']).len());
        if address.contains("://") { public_part(address) + end } else { word.to_owned() }
    };
    words.map(word).collect()
}

fn shortened(line: &str) -> String {
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

/// Bytes of stderr kept: some twenty lines.
const TAIL: usize = 2_048;
/// Characters of a line that fit into a sentence.
const LONGEST: usize = 160;
/// Lines that say that something failed, and not what.
const GENERIC: [&str; 9] = [
    "Invalid data found",
    "End of file",
    "Error opening",
    "Error marking filters",
    "Conversion failed",
    "Operation not permitted",
    "Invalid argument",
    "Input/output error",
    "To ignore this",
];

const LOCKED: [&str; 6] = [
    "401 Unauthorized",
    "Incorrect passphrase",
    "Password required",
    "SRTO_PASSPHRASE",
    "access denied",
    "authorization failed",
];
const AWAY: [&str; 11] = [
    "Connection refused",
    "Connection reset",
    "Connection timed out",
    "Broken pipe",
    "End of file",
    "Failed to resolve",
    "Host is down",
    "Input/output error",
    "Network is unreachable",
    "No route to host",
    "Server returned 5",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn gist(text: &str) -> Option<String> {
        Words::new(text, "file:a.mp4", "a.mp4").gist()
    }

    #[test]
    fn one_line_is_chosen_and_freed_of_its_prefix() {
        for (text, line) in [
            ("[mov,mp4 @ 0x55f] moov atom not found\nfile:a.mp4: Invalid data found when…\n", "moov atom not found"),
            ("[error] [h264 @ 0x1] [error] no frame!\n[fatal] Conversion failed!", "no frame!"),
            ("file:a.mp4: Invalid data found\n", "Invalid data found"),
            ("[tcp @ 0x1] Connection to tcp://h:1?timeout=0 failed\nfile:a.mp4: Refused", "Refused"),
            ("[in] Error opening input: Refused\nError opening input file file:a.mp4.", "Refused"),
            ("[srt @ 0x1] Connection to srt://h:1?a=b failed: No route to host\n", "No route to host"),
            (
                "00:49:17.03/SRT:RcvQ:w1!W:SRT.cn: process: REJECT reported: Incorrect passphrase - no\n[srt @ 0x1] Connection to srt://h failed: Input/output error\n",
                "Incorrect passphrase - no",
            ),
            (
                "[hls @ 0x1] Failed to open segment 'http://me:pass@h/b.ts?key=1' of 'rtsp://a:b@h'\n",
                "Failed to open segment 'http://h/b.ts' of 'rtsp://h'",
            ),
        ] {
            assert_eq!(gist(text).as_deref(), Some(line), "{text}");
        }
        assert_eq!(gist("\n \n"), None);
        let long = gist(&"é".repeat(1_000)).expect("a line");
        assert_eq!(long.chars().count(), LONGEST + 1);
    }

    #[test]
    fn an_input_is_called_by_its_name_but_no_letter_of_a_word_is() {
        for (input, line, plain) in [
            ("l", "ALSA lib pcm.c: Unknown PCM l", "ALSA lib pcm.c: Unknown PCM mic l"),
            ("", "No such filter: ''", "No such filter: ''"),
            ("tcp://a:b@h", "Connection to tcp://a:b@h8 failed", "Connection to mic l8 failed"),
        ] {
            assert_eq!(Words::new(line, input, "mic l").gist().as_deref(), Some(plain));
        }
    }

    #[test]
    fn only_the_end_is_kept_and_no_half_line() {
        let text: Vec<u8> = (0..1_000).flat_map(|n| format!("line {n} of many\n").into_bytes()).collect();
        let mut tail = Tail::of(io::Cursor::new(text)).expect("a thread");
        let Words(lines) = tail.finish("many", "all");
        assert!(lines.len() > 50 && lines.iter().all(|line| line.starts_with("line")));
        assert_eq!(lines.last().map(String::as_str), Some("line 999 of all"));
    }
}
