//! ffmpeg and ffprobe: where they are, which version, and whether they were built with what we ask of them.
#![expect(clippy::disallowed_methods, reason = "runs ffmpeg's own listings to their end and reaps it")]

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::fs::Access;

use super::Check;
use crate::ffmpeg::speak_plainly;

pub fn checks() -> Vec<Check> {
    vec![ffmpeg(), ffprobe()]
}

fn ffmpeg() -> Check {
    let Some(path) = find("ffmpeg") else { return missing("ffmpeg", "films, addresses and piped films") };
    let Some(version) = version(&path) else { return broken("ffmpeg", &path) };
    let filters = listed(&path, "-filters");
    let muxers = listed(&path, "-muxers");
    let lacking = |names: &[&'static str], all: &[String]| -> Vec<&'static str> {
        names.iter().copied().filter(|name| !all.iter().any(|have| have == name)).collect()
    };
    let needed = [lacking(NEEDED_FILTERS, &filters), lacking(MUXERS, &muxers)].concat();
    judge(&format!("{version} in {}", path.display()), &needed, &lacking(USEFUL_FILTERS, &filters))
}

fn judge(what: &str, needed: &[&str], useful: &[&str]) -> Check {
    let advice = "install a complete ffmpeg, for example with `sudo apt install ffmpeg`";
    if !needed.is_empty() {
        return Check::problem("ffmpeg", format!("{what} was built without {}", needed.join(", ")), advice);
    }
    if !useful.is_empty() {
        let text = format!("{what} was built without {}; interlaced films show combs", useful.join(", "));
        return Check::warning("ffmpeg", text, advice);
    }
    Check::ok("ffmpeg", format!("{what}, with bwdif, scale and yuv4mpegpipe"))
}

fn ffprobe() -> Check {
    let Some(path) = find("ffprobe") else { return missing("ffprobe", "films, addresses and piped films") };
    match version(&path) {
        Some(version) => Check::ok("ffprobe", format!("{version} in {}", path.display())),
        None => broken("ffprobe", &path),
    }
}

fn missing(name: &'static str, what: &str) -> Check {
    let text = format!("not on the PATH, so {what} cannot be served (test: and YUV4MPEG2 can)");
    Check::problem(name, text, "install it, for example with `sudo apt install ffmpeg`")
}

fn broken(name: &'static str, path: &Path) -> Check {
    let text = format!("{} does not run", path.display());
    Check::problem(name, text, format!("see what `{} -version` says, and install it again", path.display()))
}

/// As the source finds it: the first on PATH that may be run, never one in the folder we happen to be in.
fn find(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let runs = |file: &PathBuf| file.is_file() && rustix::fs::access(file, Access::EXEC_OK).is_ok();
    env::split_paths(&path).filter(|folder| folder.is_absolute()).map(|folder| folder.join(name)).find(runs)
}

/// What it prints; `None` if it does not run or fails.
fn ask(program: &Path, argument: &str) -> Option<String> {
    let mut command = Command::new(program);
    command.args(["-hide_banner", argument]);
    let output = speak_plainly(&mut command).stdin(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The third word of `ffmpeg version 7.1 Copyright …`.
fn version(program: &Path) -> Option<String> {
    let text = ask(program, "-version")?;
    text.split_whitespace().nth(2).map(str::to_owned)
}

/// The names in one of its listings: the second word of each line.
fn listed(program: &Path, listing: &str) -> Vec<String> {
    names(&ask(program, listing).unwrap_or_default())
}

fn names(listing: &str) -> Vec<String> {
    listing.lines().filter_map(|line| line.split_whitespace().nth(1)).map(str::to_owned).collect()
}

/// Every film goes through these.
const NEEDED_FILTERS: &[&str] = &["scale", "format", "fps", "setsar"];
/// Without it interlaced films show combs.
const USEFUL_FILTERS: &[&str] = &["bwdif"];
const MUXERS: &[&str] = &["yuv4mpegpipe"];

#[cfg(test)]
mod tests {
    use super::super::Mark;
    use super::*;

    #[test]
    fn listings_are_read_and_judged() {
        let listing =
            "Filters:\n  T.. = Timeline support\n ... scale   V->V  Scale\n TSC bwdif   V->V  x\n  E yuv4mpegpipe Y\n";
        let found = names(listing);
        assert!(["scale", "bwdif", "yuv4mpegpipe"].iter().all(|name| found.iter().any(|have| have == name)));
        assert_eq!(judge("7.1 in /x", &[], &[]).mark, Mark::Ok);
        assert_eq!(judge("7.1 in /x", &[], &["bwdif"]).mark, Mark::Warning);
        assert_eq!(judge("7.1 in /x", &["scale"], &["bwdif"]).mark, Mark::Problem);
    }
}
