//! `udpstream serve`: for each stream source → queue → encoder, and for all of them one server and its sockets.

mod announce;
mod channel;
mod check;
mod coding;
mod figures;
mod film;
mod lending;
mod measured;
mod pipeline;
mod rest;
mod serving;
mod table;
mod tap;
#[cfg(test)]
mod tests;
mod voice;
mod words;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};

use self::channel::Channel;
use self::serving::Serving;
pub use self::tap::Tap;
use self::tap::Taps;
use super::figures::Output;
use super::opening::{self, NotOpened, Request};
use super::preview::{self, Preview};
use super::recording::Recordings;
use super::{Exit, StatsFormat, ports, terminal};
use crate::media::Canvas;
use crate::net::{Loop, Marks};
use crate::proto::server::{Config, Server, StreamConfig};
use crate::queue::Waker;
use crate::record::film::Tracks;
use crate::record::path::RecordingPath;
use crate::seal;
use crate::source::{self, Info, Input, Pace, Source};
use crate::units::Bitrate;
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
}

/// What the user chose.
#[derive(Clone, Debug)]
pub struct Options {
    /// At least one; names differ.
    pub streams: Vec<StreamOptions>,
    pub bind: SocketAddr,
    /// What all datagrams bear.
    pub marks: Marks,
    /// For sound; `None`: the one below that of the pictures.
    pub audio_port: Option<u16>,
    pub datagram: Option<SizeClass>,
    /// Of all streams together.
    pub frames: Option<u64>,
    pub duration: Option<Duration>,
    /// Record over files that are there.
    pub force: bool,
    pub preview: bool,
    /// Only say what would be served as this file wants it.
    pub check: Option<PathBuf>,
    pub stats: StatsFormat,
    pub quiet: bool,
}

impl StreamOptions {
    pub fn request(&self) -> Request {
        Request { input: self.input.clone(), ear: self.ear.clone(), options: self.source }
    }

    fn description(&self, info: &Info) -> Description {
        let endless = self.source.looped || info.pace == Pace::Live;
        let length = info.length.filter(|_| !endless).map(|length| length.as_micros() as u64);
        Description {
            title: self.title.as_ref().unwrap_or(&info.title).clone(),
            size: info.size,
            smaller: info.size.smaller_renditions(),
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
    let recorded = options.streams.iter().map(take).collect::<Result<Vec<_>, _>>()?;
    let socket = ports::bind(options.bind, options.marks, "--port")?;
    let local = socket.local_addr().context("the socket has no address")?;
    let waiting = opening::listen()?;
    let mut event_loop = Loop::new(vec![socket]).context("the event loop could not be started")?;
    event_loop.catch_signals().context("signals could not be caught")?;
    let recordings = recorded.into_iter().map(|path| recordings(path, event_loop.waker()));
    let recordings = recordings.collect::<anyhow::Result<Vec<_>>>()?;
    let (previewed, waker) = (options.preview, event_loop.waker());
    let prepared = Prepared { options, waiting, event_loop, local, recordings };
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
    /// Those of each stream.
    recordings: Vec<Recordings>,
}

impl Prepared {
    fn run(self, mut preview: Preview) -> anyhow::Result<Exit> {
        let Self { options, waiting, mut event_loop, local, recordings } = self;
        let Some(sources) = open(&options, waiting)? else {
            if !options.quiet {
                terminal::conclude("Nothing was sent.");
            }
            return Ok(Exit::Done);
        };
        let sound_port = if sources.iter().any(|source| source.info().sound) {
            Some(ports::add_sound(&mut event_loop, options.bind, options.audio_port, options.marks)?)
        } else {
            None
        };
        let mut config =
            Config::new(seal::system_seed().ok_or_else(|| anyhow!("the system has no random numbers to give"))?);
        config.datagram = options.datagram;
        config.sound_port = sound_port.unwrap_or(0);
        let mut server = Server::new(config);

        let output = Output::new(options.stats, options.quiet).context("standard output could not be written to")?;
        let mut channels = Vec::new();
        for ((stream, source), recordings) in options.streams.iter().zip(sources).zip(recordings) {
            let mut taps = Taps::new(recordings);
            preview.tap().into_iter().for_each(|tap| taps.add(tap));
            channels.push(channel(&mut server, stream.clone(), source, taps, event_loop.waker(), output.clone())?);
        }
        let mut app = Serving::new(options, channels, output, preview);
        app.announce(local, sound_port);
        event_loop.run(&mut server, &mut app).context("the event loop failed")?;
        Ok(app.finish(&server))
    }
}

/// Opens all sources; `None` if a signal came first. One that cannot be opened ends the program: a slip should be seen.
fn open(options: &Options, waiting: Loop) -> anyhow::Result<Option<Vec<Source>>> {
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
    stream: StreamOptions,
    source: Source,
    mut taps: Taps,
    waker: Waker,
    output: Output,
) -> anyhow::Result<Channel> {
    let info = source.info();
    let mut config = StreamConfig::new(stream.name.clone(), stream.description(info));
    config.quality = stream.quality;
    (config.least_quality, config.max_rate, config.adapt) = (stream.least_quality, stream.max_rate, stream.adapt);
    config.no_wait = stream.no_wait;
    let key = server.open(config);
    taps.recordings.stream(server.id(key), Tracks { size: info.size, rate: info.rate, sound: info.sound });
    let mut channel = Channel::start(key, stream, source, taps, waker, output)?;
    server.description(key).into_iter().for_each(|description| channel.lend(description));
    Ok(channel)
}
