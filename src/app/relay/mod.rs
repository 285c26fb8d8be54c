//! `udpstream relay`: streams of a server above, passed on to many, and films that are kept.

pub(super) mod card;
pub(super) mod figures;
mod groups;
mod keeper;
mod relaying;
pub mod shelf;
mod words;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};

use self::keeper::Keeper;
use self::relaying::Relaying;
use super::address::Origins;
use super::announcing::AnnounceOptions;
use super::figures::Output;
use super::group::GroupOptions;
use super::ports::{self, Opened, Transports};
use super::storing::{Folder, Storing};
use super::{Exit, StatsFormat};
use crate::clock::now;
use crate::discovery::Summary;
use crate::net::Marks;
use crate::proto::relay::{Config, Local, Relay};
use crate::proto::{Input, Machine, Servers, server};
use crate::seal::{self, Random};
use crate::store::Store;
use crate::units::Bitrate;
use crate::wire::SizeClass;

/// What the user chose.
#[derive(Clone, Debug)]
pub struct Options {
    pub origins: Origins,
    pub bind: SocketAddr,
    /// What all datagrams to watchers bear.
    pub marks: Marks,
    /// For sound; `None`: the one below that of the pictures.
    pub audio_port: Option<u16>,
    pub transports: Transports,
    /// What the network is told.
    pub announce: AnnounceOptions,
    pub datagram: Option<SizeClass>,
    /// A group that the stream is sent to.
    pub group: Option<GroupOptions>,
    /// By which the origin is heard, if that is a group.
    pub listen_interface: Option<String>,
    /// Most that is sent to the group.
    pub max_rate: Option<Bitrate>,
    /// Where films are kept; `None`: nowhere.
    pub cache: Option<PathBuf>,
    /// Bytes that they may take together.
    pub cache_size: u64,
    /// Where every stream is recorded; `None`: nowhere.
    pub record_dir: Option<PathBuf>,
    /// Bytes that all recordings there may take together.
    pub record_size: u64,
    pub duration: Option<Duration>,
    pub stats: StatsFormat,
    pub quiet: bool,
}

/// Relays until somebody stops it.
pub fn relay(options: Options) -> anyhow::Result<Exit> {
    let origins = look_up(&options)?;
    // Before anything listens: who names a wrong folder should see it.
    let store = options.cache.as_deref().map(|folder| Store::open(folder, options.cache_size)).transpose()?;
    let folder = options.record_dir.as_deref().map(Folder::open).transpose()?;
    let how = groups::how(&options);
    let Opened { mut event_loop, local, warning } = ports::open(options.bind, &how)?;
    if let Some(own) =
        origins.addresses().iter().find(|origin| origin.ip().is_loopback() && origin.port() == local.port())
    {
        bail!("{own} is this relay itself: name the server whose streams it is to pass on");
    }
    event_loop.catch_signals().context("signals could not be caught")?;
    let sound = ports::add_sound(&mut event_loop, options.bind, options.audio_port, &how)?;
    let mut random =
        Random::new(&seal::system_seed().ok_or_else(|| anyhow!("the system has no random numbers to give"))?);
    let mut config = server::Config::new(random.seed());
    (config.datagram, config.sound_port) = (options.datagram, sound);
    let name = options.origins.stream.clone();
    let (seed, id, tapped) = (random.seed(), random.id(), folder.is_some());
    let config = Config { seed, server: config, id, origins, name, publishing: None, tapped };
    let mut machine = Relay::new(config, now());
    let output = Output::new(options.stats, options.quiet).context("standard output could not be written to")?;
    groups::listen(&mut event_loop, &mut machine, &options)?;
    let group = groups::send(&mut event_loop, &mut machine, &options, (local, &output))?;
    let keeper = store.map(|store| Keeper::start(store, event_loop.waker())).transpose()?;
    for (name, description) in keeper.iter().flat_map(|keeper| keeper.complete()) {
        let open = Local::Open(name.clone(), description.clone());
        machine.handle(now(), Input::Local(open));
    }
    let waker = event_loop.waker();
    let storing = folder.map(|folder| Storing::start(folder, options.record_size, waker)).transpose()?;
    let storing = storing.map(|storing| storing.with_talk(true));
    warning.into_iter().for_each(|warning| output.warn(&warning));
    // Until the end, which it says as well. What it passes on it learns as it is asked.
    let summary = Summary { tcp_only: !options.transports.udp, ..Summary::default() };
    let _announcer = options.announce.start(local, summary, |machine| format!("{machine} (relay)"));
    let mut app = Relaying::new(options, output, keeper, storing);
    app.announce(local, sound, group.as_ref());
    event_loop.run(&mut machine, &mut app).context("the event loop failed")?;
    Ok(app.finish(&machine))
}

/// Where servers above may be; nowhere, if it is a group that is passed on.
fn look_up(options: &Options) -> anyhow::Result<Servers> {
    if options.origins.group.is_some() {
        return Ok(Servers::default());
    }
    let mut origins: Option<Servers> = None;
    for address in &options.origins.addresses {
        match address.look_up() {
            Ok(found) => origins = Some(origins.take().map_or_else(|| found.clone(), |others| others.and(&found))),
            // They stand in for one another.
            Err(error) if options.origins.addresses.len() > 1 => tracing::warn!("{error}"),
            Err(error) => return Err(error.into()),
        }
    }
    origins.ok_or_else(|| anyhow!("no address is known for any of {}: check their names", options.origins))
}
