//! `udpstream serve`: for each stream source → queue → encoder, and for all of them one server and its sockets.

mod announce;
mod channel;
mod check;
mod coding;
mod figures;
mod film;
mod groups;
mod hosting;
mod lending;
mod measured;
mod pipeline;
mod rest;
pub(super) mod serving;
mod table;
mod talking;
mod tap;
#[cfg(test)]
mod tests;
mod voice;
mod watchers;
mod words;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};

use self::channel::Channel;
use self::hosting::Hosting;
pub(super) use self::serving::Serving;
pub use self::tap::Tap;
pub(super) use self::tap::Taps;
use super::announcing::AnnounceOptions;
use super::figures::Output;
use super::group::GroupOptions;
use super::opening::{self, NotOpened, Request};
use super::ports::{self, How, Opened, Transports};
use super::preview::{self, Preview};
use super::recording::Recordings;
use super::screening::{self, Screening};
use super::secrets::{GivenCode, GuardChoice};
use super::storing::{Folder, Storing};
use super::talk::{Console, TalkOptions};
use super::{Exit, StatsFormat, terminal};
use crate::clock::now;
use crate::media::Canvas;
use crate::net::{Loop, Marks};
use crate::proto::Servers;
use crate::proto::relay::{self, Publishing, Relay};
use crate::proto::server::{Config, Guard, Server, StreamConfig, StreamKey, TalkRules};
use crate::queue::Waker;
use crate::record::film::Tracks;
use crate::record::path::RecordingPath;
use crate::seal::{self, Code, Random};
use crate::source::{self, Info, Input, Pace, Source};
use crate::units::Bitrate;
use crate::wire::description::Smaller;
use crate::wire::{Description, SizeClass, StreamName};

/// One stream, as the user chose it.
#[derive(Clone, Debug)]
pub struct StreamOptions {
    pub name: StreamName,
    /// Instead of what the source is called.
    pub title: Option<String>,
    pub input: Input,
    /// A microphone beside it.
    pub ear: Option<Input>,
    pub source: source::Options,
    pub quality: u8,
    /// Below this, pictures become smaller or fewer instead.
    pub least_quality: u8,
    /// Most that a watcher is sent.
    pub max_rate: Option<Bitrate>,
    /// Send no more than a watcher's path carries.
    pub adapt: bool,
    pub no_wait: bool,
    /// A live source is closed while nobody watches.
    pub on_demand: bool,
    pub queue: usize,
    pub record: Option<PathBuf>,
    /// A group that it is sent to as well.
    pub group: Option<GroupOptions>,
    pub guard: GuardChoice,
}

/// What the user chose.
#[derive(Clone, Debug)]
pub struct Options {
    /// Names differ. At least one, unless publishers are taken or there is a library.
    pub streams: Vec<StreamOptions>,
    pub bind: SocketAddr,
    /// What all datagrams bear.
    pub marks: Marks,
    /// For sound; `None`: the one below that of the pictures.
    pub audio_port: Option<u16>,
    /// What watchers may come by.
    pub transports: Transports,
    /// What the network is told.
    pub announce: AnnounceOptions,
    pub datagram: Option<SizeClass>,
    /// Of all streams together.
    pub frames: Option<u64>,
    pub duration: Option<Duration>,
    /// Record over files that are there.
    pub force: bool,
    pub preview: bool,
    /// Only say what would be served as this file wants it.
    pub check: Option<PathBuf>,
    /// Which publishers are taken; `None`: none.
    pub publishers: Option<Publishers>,
    /// Films and songs that each watcher has for itself; `None`: none.
    pub library: Option<LibraryOptions>,
    /// What whoever makes the streams says and hears.
    pub talk: TalkOptions,
    /// Whose lines are not taken.
    pub rules: TalkRules,
    pub stats: StatsFormat,
    pub quiet: bool,
}

/// Which films are served.
#[derive(Clone, Debug)]
pub struct LibraryOptions {
    /// The folders that they are below; at least one.
    pub roots: Vec<PathBuf>,
    /// All who watch a film see the same of it.
    pub shared: bool,
    /// Encoders at once; `None`: by the cores.
    pub jobs: Option<usize>,
    /// Where what was encoded and is known is kept; `None`: where caches are.
    pub store: Option<PathBuf>,
    /// Bytes that it may take.
    pub store_size: u64,
}

/// Who may publish here.
#[derive(Clone, Debug)]
pub struct Publishers {
    pub most: usize,
    /// The code of those who may; `None`: all may.
    pub allowed: Option<GivenCode>,
    /// Most that one may send.
    pub max_rate: Option<Bitrate>,
    /// Where all that is published is recorded; `None`: nowhere.
    pub record_dir: Option<PathBuf>,
    /// Bytes that all recordings there may take together.
    pub record_size: u64,
}

impl StreamOptions {
    pub fn request(&self) -> Request {
        Request { input: self.input.clone(), ear: self.ear.clone(), options: self.source }
    }

    /// As a stream of a server, with this at its door.
    pub(super) fn config(&self, info: &Info, guard: Guard) -> StreamConfig {
        let config = StreamConfig::new(self.name.clone(), self.description(info));
        StreamConfig {
            quality: self.quality,
            least_quality: self.least_quality,
            max_rate: self.max_rate,
            adapt: self.adapt,
            no_wait: self.no_wait,
            guard,
            ..config
        }
    }

    fn description(&self, info: &Info) -> Description {
        let endless = self.source.looped || info.pace == Pace::Live;
        let length = info.length.filter(|_| !endless).map(|length| length.as_micros() as u64);
        Description {
            title: self.title.as_ref().unwrap_or(&info.title).clone(),
            size: info.size,
            smaller: Smaller::worth_having(info.size),
            rate: info.rate,
            length,
            live: info.pace == Pace::Live,
            sound: info.sound,
            ended: None,
            sound_ended: None,
            film: film::hash(self, info),
        }
    }
}

/// Serves until all streams have ended, a limit is reached or somebody stops it.
pub fn serve(options: Options) -> anyhow::Result<Exit> {
    if let Some(file) = &options.check {
        return Ok(check::say(file, &options));
    }
    let take = |stream: &StreamOptions| {
        stream.record.as_ref().map(|path| RecordingPath::take(path, options.force)).transpose()
    };
    // Before anything listens: who names a wrong folder should see it.
    let folder = options.publishers.as_ref().and_then(|publishers| publishers.record_dir.as_deref());
    let folder = folder.map(Folder::open).transpose()?;
    let guards = options.streams.iter().map(|stream| stream.guard.guard(&stream.name));
    let guards = guards.collect::<anyhow::Result<Vec<_>>>()?;
    let mut lookups: Vec<_> = guards.iter().filter_map(|(_, code)| code.as_ref().map(Code::lookup)).collect();
    lookups.sort_unstable();
    if lookups.windows(2).any(|two| two[0] == two[1]) {
        bail!("two streams have codes that begin with the same four letters; give one of them another code");
    }
    let recorded = options.streams.iter().map(take).collect::<Result<Vec<_>, _>>()?;
    let Opened { mut event_loop, local, warning } = ports::open(options.bind, &options.how())?;
    let waiting = opening::listen()?;
    event_loop.catch_signals().context("signals could not be caught")?;
    let recordings = recorded.into_iter().map(|path| recordings(path, event_loop.waker()));
    let recordings = recordings.collect::<anyhow::Result<Vec<_>>>()?;
    let (previewed, waker) = (options.preview, event_loop.waker());
    let screening = options.library.as_ref().map(|library| screening::open(library, &waker)).transpose()?;
    let prepared = Prepared { options, waiting, event_loop, local, warning, recordings, guards, folder, screening };
    let stream = move |preview| prepared.run(preview);
    if previewed { preview::run(waker, stream) } else { stream(Preview::default()) }
}

/// Those of one stream; one of them begins with it if a file is named.
fn recordings(path: Option<RecordingPath>, waker: Waker) -> anyhow::Result<Recordings> {
    let mut recordings = Recordings::new(waker);
    path.map_or(Ok(()), |path| recordings.begin(path))?;
    Ok(recordings)
}

/// All that is taken before sources are opened.
struct Prepared {
    options: Options,
    waiting: Loop,
    event_loop: Loop,
    local: SocketAddr,
    /// Of something that could not be had, and is not needed.
    warning: Option<String>,
    /// Those of each stream.
    recordings: Vec<Recordings>,
    /// Of each stream, and the code if it has one.
    guards: Vec<(Guard, Option<Code>)>,
    /// What is published is recorded there.
    folder: Option<Folder>,
    screening: Option<Screening>,
}

impl Options {
    /// Opens the sound port, and returns its number.
    fn listen_for_sound(&self, event_loop: &mut Loop) -> anyhow::Result<u16> {
        ports::add_sound(event_loop, self.bind, self.audio_port, &self.how())
    }

    fn how(&self) -> How {
        let groups = self.streams.iter().filter_map(|stream| Some(stream.group.as_ref()?.choice.port())).collect();
        How { marks: self.marks, transports: self.transports, groups }
    }
}

impl Prepared {
    fn run(self, mut preview: Preview) -> anyhow::Result<Exit> {
        let Self { options, waiting, mut event_loop, local, warning, recordings, guards, folder, screening } = self;
        let Some(sources) = open(&options, waiting)? else {
            if !options.quiet {
                terminal::conclude("Nothing was sent.");
            }
            return Ok(Exit::Done);
        };
        let publishing = options.publishers.as_ref().map(Publishers::settled).transpose()?;
        let sound = publishing.is_some() || screening.is_some() || sources.iter().any(|source| source.info().sound);
        let sound_port = sound.then(|| options.listen_for_sound(&mut event_loop)).transpose()?;
        let mut config =
            Config::new(seal::system_seed().ok_or_else(|| anyhow!("the system has no random numbers to give"))?);
        config.datagram = options.datagram;
        config.sound_port = sound_port.unwrap_or(0);
        config.talk = options.rules.clone();
        let mut host = match &publishing {
            None => Host::Server(Box::new(Server::new(config))),
            Some((publishing, _)) => Host::Relay(Box::new(relay(config, publishing.clone(), folder.is_some())?)),
        };
        screening.iter().try_for_each(|screening| screening.serve(host.server(), &options))?;
        let output = Output::new(options.stats, options.quiet).context("standard output could not be written to")?;
        let output = output.with_typing(options.talk.typed);
        let mut channels = Vec::new();
        let codes: Vec<Option<Code>> = guards.iter().map(|(_, code)| code.clone()).collect();
        let all = options.streams.iter().zip(sources).zip(recordings).zip(guards);
        for (((stream, source), recordings), (guard, _)) in all {
            let mut taps = Taps::new(recordings, !options.rules.off);
            preview.tap().into_iter().for_each(|tap| taps.add(tap));
            let place = (event_loop.waker(), output.clone());
            channels.push(channel(host.server(), (stream.clone(), guard), source, taps, place)?);
        }
        groups::open(&mut event_loop, &mut channels, host.server(), &options, (local, &output))?;
        let most = options.publishers.as_ref().map_or(0, |publishers| publishers.record_size);
        let waker = event_loop.waker();
        let storing = folder.map(|folder| Storing::start(folder, most, waker)).transpose()?;
        let storing = storing.map(|storing| storing.with_talk(!options.rules.off));
        let console = Console::open(&output, options.talk.typed, event_loop.waker())?;
        let mut app = Serving::new(options, channels, output.clone(), preview);
        app.console = Some(console);
        app.screening = screening;
        warning.into_iter().for_each(|warning| output.warn(&warning));
        app.announce(local, sound_port, &codes);
        let asked = publishing.as_ref().and_then(|(_, code)| code.as_ref());
        asked.into_iter().for_each(|code| app.announce_publishers(local, code));
        // Until the end, which it says as well.
        let _announcer = app.announce_to_network(local);
        match host {
            Host::Server(mut server) => {
                event_loop.run(&mut *server, &mut app).context("the event loop failed")?;
                Ok(app.finish(&server))
            }
            Host::Relay(mut relay) => {
                let mut app = Hosting::new(app, output, storing);
                event_loop.run(&mut *relay, &mut app).context("the event loop failed")?;
                Ok(app.finish(&relay))
            }
        }
    }
}

/// What runs: a server of its own streams, or one that passes on those of publishers as well.
enum Host {
    Server(Box<Server>),
    Relay(Box<Relay>),
}

impl Host {
    fn server(&mut self) -> &mut Server {
        match self {
            Self::Server(server) => server,
            Self::Relay(relay) => relay.server_mut(),
        }
    }
}

impl Publishers {
    /// What is taken, and the code of those who may publish.
    fn settled(&self) -> anyhow::Result<(Publishing, Option<Code>)> {
        let code = self.allowed.as_ref().map(GivenCode::code_or_new).transpose()?;
        let allowed = code.as_ref().map(Code::key);
        Ok((Publishing { most: self.most, allowed, max_rate: self.max_rate }, code))
    }
}

/// `tapped`: what is published is recorded.
fn relay(server: Config, publishing: Publishing, tapped: bool) -> anyhow::Result<Relay> {
    let mut random =
        Random::new(&seal::system_seed().ok_or_else(|| anyhow!("the system has no random numbers to give"))?);
    let (seed, id) = (random.seed(), random.id());
    let config = relay::Config {
        seed,
        server,
        id,
        origins: Servers::default(),
        name: None,
        publishing: Some(publishing),
        tapped,
    };
    Ok(Relay::new(config, now()))
}

/// Opens all sources; `None` if a signal came first. One that cannot be opened ends the program: a slip should be seen.
pub(super) fn open(options: &Options, waiting: Loop) -> anyhow::Result<Option<Vec<Source>>> {
    let requests: Vec<Request> = options.streams.iter().map(StreamOptions::request).collect();
    let name = |at: usize| match options.streams.get(at) {
        Some(stream) if options.streams.len() > 1 => format!("{}: ", stream.name),
        _ => String::new(),
    };
    let sources = match opening::open_all(waiting, &requests, options.quiet)? {
        None => return Ok(None),
        // Its text is the whole sentence: the causes are in it.
        Some(Err(NotOpened { at, error })) => bail!("{}{error}", name(at)),
        Some(Ok(sources)) => sources,
    };
    if let Some((at, large)) = sources.iter().enumerate().find(|(_, source)| !Canvas::fits(source.info().size)) {
        bail!(
            "{}pictures of {} are more than 8K, the most that a watcher shows; serve them with a smaller --width",
            name(at),
            large.info().size
        );
    }
    Ok(Some(sources))
}

/// A stream of the server, and what makes it.
fn channel(
    server: &mut Server,
    (stream, guard): (StreamOptions, Guard),
    source: Source,
    taps: Taps,
    place: (Waker, Output),
) -> anyhow::Result<Channel> {
    let key = server.open(stream.config(source.info(), guard));
    let mut channel = start((key, server.id(key)), stream, source, taps, place)?;
    server.description(key).into_iter().for_each(|description| channel.lend(description));
    Ok(channel)
}

/// What makes a stream that a server has already; `id` is that of the wire.
pub(super) fn start(
    (key, id): (StreamKey, u64),
    stream: StreamOptions,
    source: Source,
    mut taps: Taps,
    (waker, output): (Waker, Output),
) -> anyhow::Result<Channel> {
    let info = source.info();
    let tracks = Tracks { size: info.size, rate: info.rate, sound: info.sound, talk: taps.talk };
    taps.recordings.stream(id, tracks);
    Channel::start(key, stream, source, taps, waker, output)
}
