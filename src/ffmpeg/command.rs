//! The arguments that all runs of ffmpeg and ffprobe have in common, and how an input is opened.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use ffmpeg_sidecar::command::FfmpegCommand;

use super::{FfmpegError, find};

/// ffmpeg, told to be quiet but for its errors.
pub fn ffmpeg() -> Result<FfmpegCommand, FfmpegError> {
    Ok(quiet(find("ffmpeg")?.as_os_str()))
}

/// The same for the program at this path.
pub fn quiet(program: &OsStr) -> FfmpegCommand {
    let mut command = FfmpegCommand::new_with_path(program);
    command.args(["-hide_banner", "-nostdin", "-nostats", "-loglevel", "error"]);
    command
}

/// ffprobe, told to be quiet but for its errors.
pub fn ffprobe() -> Result<FfmpegCommand, FfmpegError> {
    let mut command = FfmpegCommand::new_with_path(find("ffprobe")?);
    command.args(["-hide_banner", "-loglevel", "error"]);
    Ok(command)
}

/// How ffmpeg opens what it reads.
#[derive(Clone)]
pub struct Reading {
    /// What follows `-i`.
    pub address: OsString,
    /// Only files, pipes and what depends on them may be opened.
    pub local: bool,
    /// Read at the film's own speed (`-re`).
    pub paced: bool,
    /// Hand on each picture as soon as it is there.
    pub live: bool,
    /// May be opened twice at the same time: a plain file.
    pub twice: bool,
    /// What it is called in messages.
    pub name: String,
}

impl Reading {
    /// What is fed to ffmpeg's stdin, from a pipe that is called `name`.
    pub fn fed(name: &str, local: bool, live: bool) -> Self {
        Self { address: FED.into(), local, paced: false, live, twice: false, name: name.to_owned() }
    }

    /// Whether it is fed to ffmpeg's stdin.
    pub fn is_fed(&self) -> bool {
        self.address == FED
    }

    /// Appends this input; `more` are options for this input alone.
    pub fn input(&self, command: &mut FfmpegCommand, more: &[&str]) {
        self.restrict(command);
        if self.live {
            command.args(["-fflags", "nobuffer", "-flags", "low_delay"]);
            if !self.local {
                // Packets in the wrong order are not waited for, and what the streams are has been found out already.
                command.args(["-max_delay", "0", "-analyzeduration", "500000"]);
            }
        }
        if self.paced {
            command.arg("-re");
        }
        command.args(more).arg("-i").arg(&self.address);
    }

    /// Appends what keeps a local input from opening anything else.
    pub fn restrict(&self, command: &mut FfmpegCommand) {
        if self.local {
            command.args(["-protocol_whitelist", LOCAL]).args(as_named(&self.address));
        }
    }
}

/// Options for a picture in a file whose name ffmpeg would take for a pattern of many names, such as `a%03d.jpg`.
fn as_named(address: &OsStr) -> &'static [&'static str] {
    let ending = Path::new(address).extension().unwrap_or_default().to_ascii_lowercase();
    let is_picture = PATTERNED.iter().any(|picture| ending == *picture);
    let pattern = is_picture && address.as_encoded_bytes().contains(&b'%');
    if pattern { &["-f", "image2", "-pattern_type", "none"] } else { &[] }
}

/// ffmpeg's stdin.
pub const FED: &str = "pipe:0";
/// A playlist that came as a file must not make us fetch things from the network.
const LOCAL: &str = "file,pipe,crypto,data";
/// Endings by which ffmpeg knows a picture, and a pattern of such names.
const PATTERNED: [&str; 24] = [
    "jpeg", "jpg", "jpe", "jfif", "jls", "jp2", "j2k", "png", "apng", "bmp", "webp", "tif", "tiff", "tga", "ppm",
    "pgm", "pbm", "pam", "pcx", "dpx", "exr", "qoi", "sgi", "svg",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pictures_have_patterns_in_their_names() {
        for (address, forced) in [
            ("file:/a/a%03d.JPG", true),
            ("file:/50%/a.png", true),
            ("file:/a/a.png", false),
            ("file:/a/a%03d.mp4", false),
            ("file:/a/a%03d.gif", false),
        ] {
            assert_eq!(!as_named(OsStr::new(address)).is_empty(), forced, "{address}");
        }
    }
}
