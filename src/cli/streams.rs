//! Which streams `serve` has: those of the command line and of a file, each with a name of its own and what it is told.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use udpstream::app::group::GroupChoice;
use udpstream::app::secrets::{GivenCode, GuardChoice};
use udpstream::app::serve;
use udpstream::seal::Code;
use udpstream::source::Input;
use udpstream::wire::StreamName;

use super::choices::Choices;
use super::keys::Keyed;
use super::sense::{self, Shown};
use super::spec::Spec;

/// JPEG quality where none is said.
pub const QUALITY: u8 = 80;

/// One stream as it was named.
#[derive(Clone, Debug)]
pub struct Named {
    pub name: StreamName,
    pub input: Input,
    pub ear: Option<Input>,
    pub own: Choices,
    /// Where it stands in a file, such as `streams.toml, line 7`.
    pub written: Option<String>,
}

/// `--stream` as checked.
pub fn stream(text: &str) -> Result<Named, String> {
    let spec: Spec = text.parse()?;
    let name = name(&spec.name)?;
    let input = spec.input.parse().map_err(said)?;
    let ear = spec.ear.map(|ear| ear.parse()).transpose().map_err(said)?;
    let mut own = Choices::default();
    let mut seen = BTreeSet::new();
    for (key, value) in &spec.options {
        if !seen.insert(key) {
            return Err(format!("{key} is said twice; say it once"));
        }
        own.set(key, value.as_deref())?;
    }
    Ok(Named { name, input, ear, own, written: None })
}

fn said(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// A stream's name.
pub fn name(text: &str) -> Result<StreamName, String> {
    StreamName::parse(text).map_err(said)
}

impl Named {
    /// A stream that was named by its input alone, unless `name` was said.
    pub fn of_input(input: Input, ear: Option<Input>, name: Option<StreamName>) -> Result<Self, String> {
        let (input, ear) = match (input, ear) {
            // In either order.
            (ear @ Input::Mic(_), Some(input)) => (input, Some(ear)),
            as_named => as_named,
        };
        let name = name.or_else(|| usual_name(&input)).or_else(|| StreamName::from_any("film"));
        let name = name.ok_or_else(|| format!("{} has no name; give it one with --name", input.name()))?;
        Ok(Self { name, input, ear, own: Choices::default(), written: None })
    }

    fn shown(&self) -> Shown<'_> {
        Shown { input: &self.input, ear: self.ear.as_ref() }
    }
}

/// A film's name without its ending, and for all else its kind.
fn usual_name(input: &Input) -> Option<StreamName> {
    let kind = match input {
        Input::File(path) => path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default(),
        Input::Url(_) => last_part(&input.name()),
        Input::Stdin => "stdin".to_owned(),
        Input::Test { .. } => "test".to_owned(),
        Input::Camera(_) => "camera".to_owned(),
        Input::Screen(_) => "screen".to_owned(),
        Input::Mic(_) => "mic".to_owned(),
    };
    StreamName::from_any(&kind)
}

/// The film in an address, else its host.
fn last_part(address: &str) -> String {
    let (_, rest) = address.split_once("://").unwrap_or(("", address));
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let stem = Path::new(path).file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let host = host.trim_start_matches('[').split([']', ':']).next().unwrap_or_default();
    stem.filter(|stem| !stem.is_empty()).unwrap_or_else(|| host.to_owned())
}

/// What each stream is told, with `defaults` for all of them; or one sentence with advice.
pub fn settle(streams: Vec<Named>, defaults: &Choices) -> Result<Vec<serve::StreamOptions>, String> {
    let several = streams.len() > 1;
    let of = |at: usize, sentence: String| match streams.get(at) {
        Some(Named { written: Some(written), name, .. }) => format!("{written}: {name}: {sentence}"),
        Some(Named { name, .. }) if several => format!("{name}: {sentence}"),
        _ => sentence,
    };
    for (at, stream) in streams.iter().enumerate() {
        stream.shown().check().map_err(|sentence| of(at, sentence))?;
    }
    let told: Vec<_> = streams.iter().map(|stream| (stream.shown(), &stream.own)).collect();
    let all = sense::fitted(&told, defaults).map_err(|(at, sentence)| of(at, sentence))?;
    apart(&streams, &all)?;
    Ok(streams.into_iter().zip(all).map(|(named, choices)| options(named, choices)).collect())
}

/// What two streams cannot share.
fn apart(streams: &[Named], all: &[Choices]) -> Result<(), String> {
    let (mut names, mut files) = (BTreeSet::new(), BTreeSet::new());
    let mut groups = BTreeSet::new();
    for group in all.iter().filter_map(|choices| choices.group.multicast).filter(|group| *group != GroupChoice::Auto) {
        if !groups.insert(group) {
            return Err(format!("two streams are sent to {group}; give each a group, or a port, of its own"));
        }
    }
    let stdin = streams.iter().filter(|stream| stream.input == Input::Stdin).count();
    let typed = all.iter().filter(|choices| choices.reads_stdin()).count();
    if stdin + typed > 1 {
        return Err("standard input can be read once; name - for one stream, code or password only".to_owned());
    }
    let given = all.iter().filter_map(|choices| choices.code.as_ref()).filter(|code| **code != GivenCode::New);
    let given: Vec<&GivenCode> = given.collect();
    if given.iter().enumerate().any(|(at, code)| given[..at].contains(code)) {
        return Err("each stream needs a code of its own; write --code new, or name each behind its stream".to_owned());
    }
    if let Some(Named { name, .. }) = streams.iter().find(|stream| Code::is_meant(stream.name.as_str())) {
        return Err(format!("{name} would be taken for a code when people ask for it; give the stream another name"));
    }
    for (Named { name, .. }, choices) in streams.iter().zip(all) {
        if !names.insert(name) {
            return Err(format!(
                "two streams are called {name}; give one another name, as in --stream {name}-2=INPUT (of INPUT alone with --name)"
            ));
        }
        let Some(path) = &choices.record else { continue };
        if !files.insert(whole(path)) {
            let path = path.display();
            return Err(format!("two streams are recorded to {path}; give each a file of its own"));
        }
    }
    Ok(())
}

/// The same for each way of writing a path, as far as that can be told without looking.
fn whole(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let folder = path.parent().and_then(|folder| folder.canonicalize().ok());
    folder.zip(path.file_name()).map_or_else(|| path.clone(), |(folder, name)| folder.join(name))
}

fn options(Named { name, input, ear, .. }: Named, choices: Choices) -> serve::StreamOptions {
    let on = |flag: Option<bool>| flag.unwrap_or(false);
    serve::StreamOptions {
        name,
        source: choices.source(),
        title: choices.title,
        input,
        ear,
        quality: choices.quality.unwrap_or(QUALITY),
        least_quality: choices.min_quality.unwrap_or(1),
        max_rate: choices.max_bitrate,
        adapt: !on(choices.no_adapt),
        no_wait: on(choices.no_wait),
        on_demand: on(choices.on_demand),
        queue: choices.queue.map_or(10, usize::from),
        record: choices.record,
        group: choices.group.options(),
        guard: match (choices.code, choices.password) {
            (Some(code), _) => GuardChoice::Code(code),
            (None, Some(password)) => GuardChoice::Password(password),
            (None, None) => GuardChoice::Everybody,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_of_inputs() {
        for (input, name) in [
            ("/films/The Third Man (1949).mp4", "The-Third-Man-1949"),
            ("film.tar.mp4", "film.tar"),
            ("test:", "test"),
            ("-", "stdin"),
            ("screen::0+1,2,3x4", "screen"),
            ("mic:", "mic"),
            ("rtsp://me:secret@cam:554/one/door.sdp?key=1", "door"),
            ("rtsp://me:secret@cam:554", "cam"),
            ("Ärger.mkv", "Ärger"),
        ] {
            let input: Input = input.parse().expect(input);
            assert_eq!(usual_name(&input).as_ref().map(StreamName::as_str), Some(name));
        }
    }

    #[test]
    fn streams_are_checked_when_they_are_read() {
        for (text, part) in [
            ("a b=screen:", "a b"),
            ("=screen:", ""),
            ("a=screen:x", "write screen:"),
            ("a=test:9", "write test:"),
            ("a=test:,width=3", "16 to 16384"),
            ("a=test:,loop,loop", "said twice"),
            ("a=test:,quality", "write quality=VALUE"),
        ] {
            let said = stream(text).expect_err(text);
            assert!(said.contains(part), "{text}: {said}");
        }
        let stream = stream("a/b=camera:x+mic:y,loop=no,title=Door").expect("good");
        assert_eq!((stream.input, stream.ear), (Input::Camera("x".into()), Some(Input::Mic("y".into()))));
        assert_eq!((stream.own.looped, stream.own.title.as_deref()), (Some(false), Some("Door")));
    }
}
