//! `udpstream serve`: what is typed → what is served.

use std::path::PathBuf;

use clap::{Args, ValueHint};
use udpstream::app::serve;
use udpstream::source::Input;
use udpstream::wire::StreamName;

use super::choices::Choices;
use super::config;
use super::help::{OUTPUT, STREAMS};
use super::multicast::{GroupChoices, USELESS};
use super::program::ServerChoices;
use super::streams::{self, Named};
use super::values::{beside, input, recording, title};

#[derive(Args, Debug)]
pub struct ServeArgs {
    /// A film or URL that ffmpeg reads; a folder of films and songs, each of which is watched by its path; camera:[DEVICE], screen:[DISPLAY][+X,Y,WxH] or mic:[DEVICE], as `udpstream
    /// devices` shows them; - for standard input (y4m, or anything that ffmpeg reads); test:[WxH][@FPS] for the test card
    /// (1280x720@30).
    #[arg(value_hint = ValueHint::FilePath, value_parser = input(), required_unless_present_any = ["streams", "config",
        "accept_publishers", "allow_publish", "max_publish_bitrate", "record_dir", "record_size", "library"])]
    pub input: Option<Input>,
    /// A microphone to be heard with it: mic:[DEVICE]; or more folders.
    #[arg(value_name = "MIC|DIR", value_parser = beside)]
    pub more: Vec<Input>,
    /// One more stream: NAME=INPUT[+mic:DEVICE][,OPTION…], as in desk=screen:,fps=15; can be given many times. Options
    /// are those of a stream without their dashes; those that stand alone on the command line hold for all streams that say
    /// nothing else [default: INPUT alone].
    #[arg(long = "stream", value_name = "NAME=INPUT", value_parser = streams::stream, help_heading = STREAMS)]
    pub streams: Vec<Named>,
    /// What the stream of INPUT is called [default: the film's name, or camera, screen, test and so on].
    #[arg(long, value_parser = streams::name, requires = "input", help_heading = STREAMS)]
    pub name: Option<StreamName>,
    /// What the first stream is called on the screens of those who watch [default: the film's or device's name].
    #[arg(long, value_name = "TEXT", value_parser = title, help_heading = STREAMS)]
    pub title: Option<String>,
    /// Take streams and options from this TOML file; the command line adds to it, and counts where both say something
    /// [default: no file].
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = STREAMS)]
    pub config: Option<PathBuf>,
    /// Check the file, say what would be served, and end: 0 if all is right, else 2 [default: serve].
    #[arg(long, requires = "config", help_heading = STREAMS)]
    pub check_config: bool,
    #[command(flatten)]
    pub choices: Choices,
    #[command(flatten)]
    pub group: GroupChoices,
    /// Record the first stream to this file: .mkv, .mp4 or .avi, or .wav for sound only; nothing is encoded again [default:
    /// no recording].
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, value_parser = recording, help_heading = OUTPUT)]
    pub record: Option<PathBuf>,
    #[command(flatten)]
    pub settings: ServerChoices,
    /// What comes of it all; see [`ServeArgs::settle`].
    #[arg(skip)]
    settled: Vec<serve::StreamOptions>,
}

impl ServeArgs {
    /// Brings command line and file together and checks that all fits; the error is one sentence with advice.
    pub fn settle(&mut self) -> Result<(), String> {
        let file = self.config.as_deref().map_or_else(|| Ok(config::ConfigFile::default()), config::read)?;
        self.publishers_meant().map_or(Ok(()), Err)?;
        let ear = self.take_folders()?;
        let first = self.input.take().map(|input| Named::of_input(input, ear, self.name.take()));
        let first = first.transpose()?;
        let mut named = together(first, file.streams, std::mem::take(&mut self.streams));
        self.settings = std::mem::take(&mut self.settings).or(file.settings);
        let hosts = self.settings.accept_publishers.is_some();
        if !hosts && self.settings.is_about_publishers() {
            return Err("--allow-publish, --max-publish-bitrate, --record-dir and --record-size are about publishers, and none \
                        are taken; add --accept-publishers"
                .to_owned());
        }
        self.settings.library.settle()?;
        let has_library = !self.settings.library.library.is_empty();
        if has_library && (self.choices.code.is_some() || self.choices.password.is_some()) {
            return Err("--code and --password guard streams, and a library is open to everybody; give them behind --stream, or serve \
                        the library by a server of its own"
                .to_owned());
        }
        let Some(first) = named.first_mut() else {
            if hosts || has_library {
                return self.has_no_streams();
            }
            return Err("no stream is named; add a [[stream]] to the file, or an INPUT to the command line".to_owned());
        };
        first.own.group.multicast = self.group.multicast.take().or(first.own.group.multicast);
        first.own.record = self.record.take().or(first.own.record.take());
        first.own.title = self.title.take().or(first.own.title.take());
        let group = self.group.without_group();
        let defaults = Choices { group, ..std::mem::take(&mut self.choices).said() }.or(file.defaults);
        if defaults.group.is_useless() && named.iter().all(|stream| stream.own.group.multicast.is_none()) {
            return Err(USELESS.to_owned());
        }
        if self.check_config
            && let Some(path) = named.iter().find_map(|stream| config::missing(&stream.input))
        {
            return Err(format!("{} was not found; check its name and folder", path.display()));
        }
        self.settled = streams::settle(named, &defaults)?;
        self.settings.talk.settle()?;
        let takes_stdin = self.settled.iter().any(|stream| stream.input == Input::Stdin);
        if self.settings.talk.talk.is_some() && takes_stdin {
            return Err("standard input can be read once; leave out --talk, or name another input than -".to_owned());
        }
        if self.settings.force == Some(true) && self.settled.iter().all(|stream| stream.record.is_none()) {
            return Err(
                "--force lets a recording overwrite a file, and nothing is recorded; add --record FILE".to_owned()
            );
        }
        Ok(())
    }

    /// `--accept-publishers 4`, whose number is an INPUT.
    fn publishers_meant(&self) -> Option<String> {
        let Some(Input::File(path)) = &self.input else { return None };
        let number: u16 = path.to_str()?.parse().ok()?;
        let meant = self.settings.accept_publishers.is_some() && !path.exists();
        meant.then(|| {
            format!("{number} was not found; if so many publishers are meant, write --accept-publishers={number}")
        })
    }

    /// Takes the folders out of what is served, which are libraries; what is left is one input and its microphone.
    fn take_folders(&mut self) -> Result<Option<Input>, String> {
        let is_folder = |input: &Input| matches!(input, Input::File(path) if path.is_dir());
        let all = self.input.take().into_iter().chain(std::mem::take(&mut self.more));
        let (folders, mut others): (Vec<Input>, Vec<Input>) = all.partition(is_folder);
        let paths =
            folders.into_iter().filter_map(|folder| if let Input::File(path) = folder { Some(path) } else { None });
        self.settings.library.library.extend(paths);
        if others.len() > 2 {
            return Err(
                "one input and one microphone make a stream; add further streams with --stream NAME=INPUT".to_owned()
            );
        }
        let ear = (others.len() == 2).then(|| others.pop()).flatten();
        self.input = others.pop();
        Ok(ear)
    }

    /// There are only streams that others publish, and films of libraries.
    fn has_no_streams(&self) -> Result<(), String> {
        let mut said: Vec<String> =
            self.choices.clone().said().names().into_iter().map(|name| format!("--{name}")).collect();
        let own = [
            ("--record", self.record.is_some()),
            ("--title", self.title.is_some()),
            ("--multicast", self.group.multicast.is_some()),
            ("--preview", self.settings.preview == Some(true)),
        ];
        said.extend(own.into_iter().filter(|(_, said)| *said).map(|(name, _)| name.to_owned()));
        let (are, them) = match said.len() {
            0 => return Ok(()),
            1 => ("is an option of a stream", "it"),
            _ => ("are options of a stream", "them"),
        };
        Err(format!(
            "{} {are}, and there is none but {}; name an INPUT, or leave {them} out",
            said.join(" and "),
            if self.settings.library.library.is_empty() { "those that others publish" } else { "films of a library" }
        ))
    }

    /// After [`ServeArgs::settle`].
    pub fn options(self, quiet: bool) -> serve::Options {
        let Self { settings, settled, check_config, config, .. } = self;
        serve::Options {
            streams: settled,
            bind: settings.address(),
            marks: settings.network.marks(),
            audio_port: settings.network.audio_port,
            transports: settings.network.transports(),
            announce: settings.network.announce(),
            datagram: settings.network.datagram.and_then(|datagram| datagram.0),
            frames: settings.frames,
            duration: settings.duration,
            force: settings.force.unwrap_or(false),
            preview: settings.preview.unwrap_or(false),
            publishers: settings.publishers(),
            library: settings.library.options(),
            talk: settings.talk.options(),
            rules: settings.talk.rules(),
            check: config.filter(|_| check_config),
            stats: settings.stats.map(Into::into).unwrap_or_default(),
            quiet,
        }
    }
}

/// The command line's first stream, then those of the file, then the others; one of the command line takes the place of the
/// file's of the same name.
fn together(first: Option<Named>, mut file: Vec<Named>, more: Vec<Named>) -> Vec<Named> {
    file.retain(|stream| first.as_ref().is_none_or(|first| first.name != stream.name));
    let mut added = Vec::new();
    for stream in more {
        match file.iter_mut().find(|old| old.name == stream.name && old.written.is_some()) {
            Some(old) => *old = stream,
            None => added.push(stream),
        }
    }
    first.into_iter().chain(file).chain(added).collect()
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::super::keys::Keyed;
    use super::super::{Cli, Command};
    use super::*;

    fn settled(words: &[&str]) -> Result<serve::Options, String> {
        let words = ["udpstream", "serve"].iter().chain(words);
        let Command::Serve(mut args) = Cli::try_parse_from(words).expect("words that are known").command else {
            panic!("it was serve")
        };
        args.settle().map(|()| args.options(false))
    }

    fn named(options: &serve::Options) -> Vec<&str> {
        options.streams.iter().map(|stream| stream.name.as_str()).collect()
    }

    #[test]
    fn plain_options_hold_for_all_that_say_nothing_else() {
        let words = ["film.mp4", "--quality", "60", "--loop", "--record", "a.mkv", "--title", "One"];
        let more = ["--stream", "b=two.mp4,quality=70,loop=no,record=b.mkv", "--stream", "desk=screen:", "--name", "x"];
        let options = settled(&[&words[..], &more].concat()).expect("right");
        assert_eq!(named(&options), ["x", "b", "desk"]);
        let all: Vec<_> = options.streams.iter().map(|s| (s.quality, s.source.looped, s.record.is_some())).collect();
        assert_eq!(all, [(60, true, true), (70, false, true), (60, false, false)]);
        assert_eq!(options.streams[0].title.as_deref(), Some("One"));
        assert_eq!(named(&settled(&["--stream", "b=test:"]).expect("no INPUT is needed")), ["b"]);
    }

    #[test]
    fn the_command_line_adds_to_a_file_and_overrides_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("s.toml");
        let text = "port = 1\nquality = 50\nfps = 5\n[[stream]]\nname=\"a\"\ninput=\"test:\"\nquality=40\n[[stream]]\nname=\"b\"\ninput=\"test:\"\n";
        std::fs::write(&path, text).expect("written");
        let config = path.to_str().expect("text");
        let options = settled(&["--config", config, "--port", "2", "--quality", "60"]).expect("right");
        assert_eq!(options.bind.port(), 2);
        assert_eq!(options.streams.iter().map(|s| s.quality).collect::<Vec<_>>(), [40, 60]);
        let options =
            settled(&["-", "--config", config, "--stream", "b=screen:", "--stream", "c=test:"]).expect("right");
        assert_eq!(named(&options), ["stdin", "a", "b", "c"]);
        assert!(matches!(options.streams[2].input, Input::Screen(_)) && options.streams[3].source.rate.is_some());
        std::fs::write(&path, "port = 1\n").expect("written");
        assert!(settled(&["--config", config]).is_err_and(|said| said.contains("no stream is named")));
    }

    #[test]
    fn what_streams_cannot_share_is_said() {
        for (words, part) in [
            (&["film.mp4", "--stream", "film=b.mp4"][..], "two streams are called film"),
            (&["--stream", "a=test:", "--stream", "a=test:"], "two streams are called a"),
            (&["-", "--stream", "b=-"], "read once"),
            (&["test:", "--record", "a.mkv", "--stream", "b=test:,record=./a.mkv"], "recorded to"),
            (&["test:", "--force"], "nothing is recorded"),
            (&["test:", "--multicast", "239.1.2.3", "--stream", "b=test:,multicast=239.1.2.3"], "a port, of its own"),
            (&["--accept-publishers", "--multicast", "auto"], "--multicast is an option of a stream"),
            (&["--accept-publishers", "54321"], "write --accept-publishers=54321"),
            (&["--allow-publish", "new"], "add --accept-publishers"),
            (&["--record-dir", "rec"], "add --accept-publishers"),
            (&["--accept-publishers", "--code", "new"], "--code is an option of a stream"),
            (&["--accept-publishers", "--loop", "--preview"], "--loop and --preview are options of a stream"),
        ] {
            let said = settled(words).map(|options| format!("{options:?}")).expect_err(part);
            assert!(said.contains(part), "{words:?}: {said}");
        }
    }

    #[test]
    fn the_tables_of_options_are_those_of_the_command_line() {
        let mut all = Cli::command();
        all.build();
        let serve = all.find_subcommand("serve").expect("a verb");
        let apart = ["help", "version", "quiet", "verbose", "stream", "name", "config", "check-config"];
        let flags = serve.get_arguments().filter_map(|flag| flag.get_long()).filter(|flag| !apart.contains(flag));
        let mut flags: Vec<&str> = flags.collect();
        let mut keys: Vec<&str> = Choices::KEYS.iter().map(|key| key.name).collect();
        keys.extend(ServerChoices::KEYS.iter().map(|key| key.name));
        flags.sort_unstable();
        keys.sort_unstable();
        assert_eq!(flags, keys);
    }
}
