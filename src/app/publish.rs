//! `udpstream publish`: a source of this machine, sent to a server of others that passes it on.

mod publishing;

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Duration;

use self::publishing::Publishing;
use super::address::Address;
use super::figures::Output;
use super::preview::{self, Preview};
use super::recording::Recordings;
use super::secrets::{self, GivenCode};
use super::serve::{self, Serving, Taps};
use super::talk::Console;
use super::{Exit, opening, ports, terminal};
use crate::clock::now;
use crate::net::Loop;
use crate::proto::Servers;
use crate::proto::publisher::{Config, Publisher};
use crate::proto::server::{self, Guard};
use crate::record::path::RecordingPath;
use crate::seal::{self, Code, Grant, Key, Random};
use crate::source::Input;
use anyhow::{Context, anyhow, bail};

/// What the user chose.
#[derive(Clone, Debug)]
pub struct Options {
    pub server: Address,
    /// Of its one stream.
    pub serve: serve::Options,
    /// Open to all and listed.
    pub public: bool,
    /// A code that was drawn before; `None`: a new one.
    pub code: Option<GivenCode>,
    /// Where code and owner's key are kept, so that another start has the same stream.
    pub keep: Option<PathBuf>,
    /// The code of those who may publish.
    pub allowed: Option<GivenCode>,
    /// Give up when nobody has answered for so long.
    pub timeout: Option<Duration>,
}

/// Who is published, and by what it is watched.
#[derive(Clone)]
pub struct Identity {
    /// `None`: it is open to all.
    pub code: Option<Code>,
    pub owner: Key,
}

impl Identity {
    fn new(options: &Options) -> anyhow::Result<Self> {
        if let Some(path) = &options.keep {
            let (code, owner) = kept(path)?;
            return Ok(Self { code: Some(code).filter(|_| !options.public), owner });
        }
        let code = match &options.code {
            _ if options.public => None,
            Some(given) => Some(given.code_or_new()?),
            None => Some(secrets::draw()?),
        };
        Ok(Self { code, owner: secrets::draw()?.key() })
    }

    pub fn grant(&self) -> Grant {
        Grant { code: self.code.as_ref().map(|code| (code.lookup(), code.key())), owner: self.owner.clone() }
    }

    /// The code was another's.
    pub fn draw_again(&mut self) -> anyhow::Result<()> {
        self.code = Some(secrets::draw()?);
        Ok(())
    }
}

/// Code and owner's key of an earlier start, or new ones.
fn kept(path: &Path) -> anyhow::Result<(Code, Key)> {
    let codes = secrets::kept(path, 2)?;
    match &codes[..] {
        [code, owner] => Ok((code.clone(), owner.key())),
        _ => Err(anyhow!("{} is not what --keep has written: name another file", path.display())),
    }
}

/// Publishes until the source has ended, a limit is reached or somebody stops it.
pub fn publish(options: Options) -> anyhow::Result<Exit> {
    let servers = options.server.look_up()?;
    let identity = Identity::new(&options)?;
    let allowed = options.allowed.as_ref().map(|given| given.code().map(|code| code.key())).transpose()?;
    let Some(stream) = options.serve.streams.first() else { bail!("nothing is named that could be published") };
    let place = stream.record.as_ref().map(|path| RecordingPath::take(path, options.serve.force)).transpose()?;
    let waiting = opening::listen()?;
    let socket =
        ports::bind(options.serve.bind, &ports::How { marks: options.serve.marks, ..ports::How::default() }, "--bind")?;
    let mut event_loop = Loop::new(vec![socket]).context("the event loop could not be started")?;
    event_loop.mark_connections(options.serve.marks);
    event_loop.catch_signals().context("signals could not be caught")?;
    let mut recordings = Recordings::new(event_loop.waker());
    place.map_or(Ok(()), |place| recordings.begin(place))?;
    let (previewed, waker) = (options.serve.preview, event_loop.waker());
    let prepared = Prepared { options, servers, identity, allowed, waiting, event_loop, recordings };
    let run = move |preview| prepared.run(preview);
    if previewed { preview::run(waker, run) } else { run(Preview::default()) }
}

/// All that is taken before the source is opened.
struct Prepared {
    options: Options,
    servers: Servers,
    identity: Identity,
    allowed: Option<Key>,
    waiting: Loop,
    event_loop: Loop,
    recordings: Recordings,
}

impl Prepared {
    fn run(self, mut preview: Preview) -> anyhow::Result<Exit> {
        let Self { options, servers, identity, allowed, waiting, event_loop, recordings } = self;
        let source = serve::open(&options.serve, waiting)?.and_then(|sources| sources.into_iter().next());
        let (Some(source), Some(stream)) = (source, options.serve.streams.first().cloned()) else {
            if !options.serve.quiet {
                terminal::conclude("Nothing was sent.");
            }
            return Ok(Exit::Done);
        };
        let talk = options.serve.talk.clone();
        let stdin_is_free = stream.input != Input::Stdin && std::io::stdin().is_terminal();
        let mut random =
            Random::new(&seal::system_seed().ok_or_else(|| anyhow!("the system has no random numbers to give"))?);
        let mut server = server::Config::new(random.seed());
        server.datagram = options.serve.datagram;
        let mut config = stream.config(source.info(), Guard::Open);
        // Whoever passes it on has no film to fetch.
        config.description.film = None;
        let (name, grant) = (Some(stream.name.clone()), identity.grant());
        let publisher = Config { seed: random.seed(), servers, name, grant, allowed, server };
        let mut machine = Publisher::new(publisher, config, now());
        if !talk.off {
            machine.listen(talk.name(&mut random));
        }
        let output = Output::new(options.serve.stats, options.serve.quiet);
        let output = output.context("standard output could not be written to")?.with_typing(talk.typed);
        let mut taps = Taps::new(recordings, !talk.off);
        preview.tap().into_iter().for_each(|tap| taps.add(tap));
        let place = (event_loop.waker(), output.clone());
        let (key, id) = (machine.stream(), machine.server().id(machine.stream()));
        let channel = serve::start((key, id), stream, source, taps, place)?;
        let serving = Serving::new(options.serve.clone(), vec![channel], output.clone(), preview);
        let mut app = Publishing::new(options, identity, serving, output.clone());
        app.listen(Console::of_publisher(&output, talk.typed, stdin_is_free, event_loop.waker())?);
        app.announce();
        event_loop.run(&mut machine, &mut app).context("the event loop failed")?;
        Ok(app.finish(machine.server()))
    }
}
