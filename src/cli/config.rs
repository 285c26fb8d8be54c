//! `--config FILE`: options and streams of `serve` in TOML, checked as strictly as the command line and by the same parsers.
//! Paths are relative to the file's folder. Errors name file and line.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};
use udpstream::source::Input;

use super::choices::Choices;
use super::keys::{Keyed, unknown};
use super::program::ServerChoices;
use super::streams::{Named, name};

/// What stands in a file.
#[derive(Debug, Default)]
pub struct ConfigFile {
    pub settings: ServerChoices,
    /// For all of its streams.
    pub defaults: Choices,
    pub streams: Vec<Named>,
}

/// Reads and checks a file; the error is one sentence with file and line.
pub fn read(path: &Path) -> Result<ConfigFile, String> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("{} cannot be read ({error}); check its name and permissions", path.display()))?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let reader = Reader { name: path.display().to_string(), text: &text, folder };
    parse(&reader).map_err(|Wrong { at, sentence }| format!("{}: {sentence}", reader.place(&at)))
}

/// What is wrong, and where.
struct Wrong {
    at: Range<usize>,
    sentence: String,
}

impl Wrong {
    fn at(at: Range<usize>) -> impl Fn(String) -> Self {
        move |sentence| Self { at: at.clone(), sentence }
    }
}

struct Reader<'a> {
    name: String,
    text: &'a str,
    folder: &'a Path,
}

type Table<'a> = DeTable<'a>;
type Value<'a> = Spanned<DeValue<'a>>;

impl Reader<'_> {
    /// `streams.toml, line 7`.
    fn place(&self, at: &Range<usize>) -> String {
        let line = self.text.get(..at.start).map_or(1, |before| before.matches('\n').count() + 1);
        format!("{}, line {line}", self.name)
    }

    /// The same with a path of this machine for whatever is named relative to the file.
    fn input(&self, text: &str) -> Result<Input, String> {
        let input: Input = text.parse().map_err(|error: udpstream::source::SourceError| error.to_string())?;
        Ok(match input {
            Input::File(path) => Input::File(self.folder.join(path)),
            other => other,
        })
    }
}

fn parse(reader: &Reader<'_>) -> Result<ConfigFile, Wrong> {
    let table = DeTable::parse(reader.text).map_err(|error| {
        let sentence = format!("this is no TOML ({}); see docs/streams.toml for an example", error.message().trim());
        Wrong { at: error.span().unwrap_or_default(), sentence }
    })?;
    let mut file = ConfigFile::default();
    for (key, value) in table.get_ref() {
        let wrong = Wrong::at(key.span());
        match key.get_ref().as_ref() {
            STREAM => file.streams = streams(reader, value)?,
            own @ ("record" | "title" | "multicast") => {
                return Err(wrong(format!("{own} is one stream's; write it below its [[stream]]")));
            }
            key if Choices::key(key).is_some() => set(&mut file.defaults, key, value)?,
            key if ServerChoices::key(key).is_some() => set(&mut file.settings, key, value)?,
            key => return Err(wrong(unknown(key, top_keys()))),
        }
    }
    Ok(file)
}

fn top_keys() -> impl Iterator<Item = &'static str> {
    let choices =
        Choices::KEYS.iter().map(|key| key.name).filter(|name| !["record", "title", "multicast"].contains(name));
    [STREAM].into_iter().chain(ServerChoices::KEYS.iter().map(|key| key.name)).chain(choices)
}

fn set<T: Keyed>(to: &mut T, key: &str, value: &Value<'_>) -> Result<(), Wrong> {
    let wrong = Wrong::at(value.span());
    let text = scalar(value).ok_or_else(|| wrong(format!("{key} is one text, number, true or false")))?;
    to.set(key, Some(&text)).map_err(wrong)
}

/// A value as one would type it.
fn scalar(value: &Value<'_>) -> Option<String> {
    match value.get_ref() {
        DeValue::String(text) => Some(text.clone().into_owned()),
        DeValue::Integer(number) if number.radix() == 10 => Some(number.as_str().replace('_', "")),
        DeValue::Float(number) => Some(number.as_str().replace('_', "")),
        DeValue::Boolean(on) => Some(on.to_string()),
        _ => None,
    }
}

fn streams(reader: &Reader<'_>, value: &Value<'_>) -> Result<Vec<Named>, Wrong> {
    let wrong = Wrong::at(value.span());
    let tables = value.get_ref().as_array().ok_or_else(|| wrong("a stream begins with [[stream]]".to_owned()))?;
    let mut names = BTreeSet::new();
    let mut streams = Vec::new();
    for table in tables.iter() {
        let wrong = Wrong::at(table.span());
        let inner = table.get_ref().as_table().ok_or_else(|| wrong("a stream begins with [[stream]]".to_owned()))?;
        let stream = stream(reader, table.span(), inner)?;
        if !names.insert(stream.name.clone()) {
            return Err(wrong(format!("two streams are called {}; give one another name", stream.name)));
        }
        streams.push(stream);
    }
    Ok(streams)
}

fn stream(reader: &Reader<'_>, at: Range<usize>, table: &Table<'_>) -> Result<Named, Wrong> {
    let (mut called, mut input, mut ear, mut own) = (None, None, None, Choices::default());
    for (key, value) in table {
        let wrong = Wrong::at(value.span());
        let text = || scalar(value).ok_or_else(|| wrong(format!("{} is a text", key.get_ref())));
        match key.get_ref().as_ref() {
            "name" => called = Some(name(&text()?).map_err(&wrong)?),
            "input" => input = Some(reader.input(&text()?).map_err(&wrong)?),
            "ear" => ear = Some(reader.input(&text()?).map_err(&wrong)?),
            key if Choices::key(key).is_some() => set(&mut own, key, value)?,
            other => {
                let names = ["name", "input", "ear"].into_iter().chain(Choices::KEYS.iter().map(|key| key.name));
                return Err(Wrong::at(key.span())(unknown(other, names)));
            }
        }
    }
    own.relative_to(reader.folder);
    let lacks =
        |what: &str| Wrong { at: at.clone(), sentence: format!("this stream has no {what}; write {what} = \"…\"") };
    let name = called.ok_or_else(|| lacks("name"))?;
    let input = input.ok_or_else(|| lacks("input"))?;
    Ok(Named { name, input, ear, own, written: Some(reader.place(&at)) })
}

/// A film of a file that is not there: what is served would end at once.
pub fn missing(input: &Input) -> Option<&PathBuf> {
    let Input::File(path) = input else { return None };
    (!path.exists()).then_some(path)
}

const STREAM: &str = "stream";

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> Result<ConfigFile, String> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("streams.toml");
        std::fs::write(&path, text).expect("written");
        read(&path).map_err(|error| error.replace(&folder.path().display().to_string(), "F"))
    }

    #[test]
    fn a_file_says_what_the_command_line_can() {
        let text = "port = 9700\nfps = 29.97\nduration = 1.5\nbind = \"::1\"\npreview = true\n\n[[stream]]\nname = \"lobby\"\n\
                    input = \"camera:\"\near = \"mic:\"\nquality = 70\non-demand = true\n\n[[stream]]\nname = \"a/b\"\n\
                    input = \"films/a,b.mp4\"\nloop = true\nrecord = \"b.mkv\"\naudio-gain = -3\n";
        let file = file(text).expect("right");
        assert_eq!((file.settings.port, file.settings.preview), (Some(9_700), Some(true)));
        assert_eq!(file.settings.duration, Some(std::time::Duration::from_millis(1_500)));
        assert_eq!(file.defaults.fps, udpstream::units::Rate::from_fps(29.97));
        let [lobby, film] = &file.streams[..] else { panic!("{:?}", file.streams) };
        assert_eq!((lobby.own.quality, lobby.own.on_demand, lobby.name.as_str()), (Some(70), Some(true), "lobby"));
        assert!(lobby.written.as_deref().is_some_and(|place| place.ends_with("streams.toml, line 7")));
        assert!(matches!(&film.input, Input::File(path) if path.is_absolute() && path.ends_with("films/a,b.mp4")));
        assert!(film.own.record.as_ref().is_some_and(|path| path.is_absolute()));
        assert_eq!(film.own.audio_gain, Some(-3.0));
    }

    #[test]
    fn slips_are_told_with_file_and_line() {
        for (text, said) in [
            ("port = 70000", "F/streams.toml, line 1: port cannot be \"70000\": write a whole number from 0 to 65535"),
            ("\n\nprot = 7", "F/streams.toml, line 3: there is no option \"prot\": is port meant?"),
            ("port = [1]", "line 1: port is one text, number"),
            ("port 7", "line 1: this is no TOML"),
            ("record = \"a.mkv\"", "line 1: record is one stream's"),
            ("stream = 7", "line 1: a stream begins with [[stream]]"),
            ("[[stream]]\ninput = \"test:\"", "line 1: this stream has no name"),
            ("[[stream]]\nname = \"a\"", "line 1: this stream has no input"),
            ("[[stream]]\nname = \"a b\"\ninput = \"test:\"", "line 2: "),
            ("[[stream]]\nname = \"a\"\ninput = \"test:x\"", "line 3: "),
            (
                "[[stream]]\nname = \"a\"\ninput = \"test:\"\nwidht = 5",
                "line 4: there is no option \"widht\": is width meant?",
            ),
            ("[[stream]]\nname = \"a\"\ninput = \"test:\"\nloop = 5", "line 4: loop is on or off"),
            (
                "[[stream]]\nname=\"a\"\ninput=\"test:\"\n[[stream]]\nname=\"a\"\ninput=\"test:\"",
                "line 4: two streams are called a",
            ),
        ] {
            let error = file(text).expect_err(text);
            assert!(error.contains(said), "{text}: {error}");
        }
        let error = read(Path::new("/no/such.toml")).expect_err("not there");
        assert!(error.contains("/no/such.toml cannot be read"), "{error}");
    }

    #[test]
    fn the_example_is_right() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/streams.toml");
        let file = read(&path).unwrap_or_else(|error| panic!("{error}"));
        assert!(file.streams.len() > 2);
        assert!(file.streams.iter().all(|stream| missing(&stream.input).is_none()));
    }
}
