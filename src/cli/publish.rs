//! `udpstream publish`: what is typed → what is published.

use std::net::{Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Arg, Args, ValueHint};
use udpstream::app::address::Address;
use udpstream::app::announcing::AnnounceOptions;
use udpstream::app::ports::Transports;
use udpstream::app::secrets::GivenCode;
use udpstream::app::talk::TalkOptions;
use udpstream::app::{publish, serve};
use udpstream::net::Marks;
use udpstream::proto::Transport;
use udpstream::proto::server::TalkRules;
use udpstream::source::Input;
use udpstream::wire::{Ecn, StreamName};

use super::choices::Choices;
use super::help::{FIGURES, GUARDS, LIMITS, NETWORK, OUTPUT, STREAMS, TALK};
use super::network::TransportArgs;
use super::program::Stats;
use super::streams::{self, Named};
use super::values::{Datagram, EcnParser, beside, datagram, dscp, input, recording, seconds, talk_name, title};

#[derive(Args, Debug)]
#[command(mut_args(for_publishers))]
pub struct PublishArgs {
    /// The server that passes it on, one that runs with --accept-publishers: [udp://|tcp://]HOST[:PORT]; the port is 9688 unless given.
    #[arg(value_name = "SERVER", value_hint = ValueHint::Hostname)]
    pub server: Address,
    /// What is published, as `udpstream serve` takes it: a film or URL; camera:[DEVICE], screen:[DISPLAY][+X,Y,WxH] or
    /// mic:[DEVICE]; - for standard input; test:[WxH][@FPS] for the test card.
    #[arg(value_hint = ValueHint::FilePath, value_parser = input())]
    pub input: Input,
    /// A microphone to be heard with it: mic:[DEVICE].
    #[arg(value_name = "MIC", value_parser = beside)]
    pub ear: Option<Input>,
    /// What the stream is to be called at the server; where it has one of that name, a number follows [default: the film's name,
    /// or camera, screen, test and so on].
    #[arg(long, value_parser = streams::name, help_heading = STREAMS)]
    pub name: Option<StreamName>,
    /// What it is called on the screens of those who watch [default: the film's or device's name].
    #[arg(long, value_name = "TEXT", value_parser = title, help_heading = STREAMS)]
    pub title: Option<String>,
    /// Let everybody watch, and list it [default: only who has its code may watch, and it is in no list].
    #[arg(long, conflicts_with = "code", help_heading = GUARDS)]
    pub public: bool,
    /// Keep the code in this file, which is made if it is not there: the next start has the same code, and takes up a stream whose
    /// line broke [default: another code at each start].
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "code", help_heading = GUARDS)]
    pub keep: Option<PathBuf>,
    /// The code of those who may publish there, if the server asks for one: CODE, @FILE or - to be asked for it [default: none].
    #[arg(long, value_name = "CODE", value_parser = allowed, help_heading = GUARDS)]
    pub allow_publish: Option<GivenCode>,
    #[command(flatten)]
    pub choices: Choices,
    /// Send from this address only, link-local ones as ADDR%INTERFACE [default: as the system chooses].
    #[arg(long, value_name = "ADDR", value_parser = udpstream::app::address::local, help_heading = NETWORK)]
    pub bind: Option<SocketAddr>,
    /// Largest UDP payload in bytes, 1200 to 65488; auto finds it [default: auto].
    #[arg(long, value_name = "auto|BYTES", value_parser = datagram, help_heading = NETWORK)]
    pub datagram: Option<Datagram>,
    /// Let routers mark datagrams instead of dropping them: ect0 as TCP would be marked (RFC 3168), ect1 for L4S (RFC 9331);
    /// --ecn alone is ect0 [default: off].
    #[arg(long, value_name = "off|ect0|ect1", value_parser = EcnParser, num_args = 0..=1, require_equals = true,
        default_missing_value = "ect0", hide_possible_values = true, help_heading = NETWORK)]
    pub ecn: Option<Ecn>,
    /// Differentiated services code point of all datagrams, 0 to 63 or a name such as af41, cs5 or ef [default: 0].
    #[arg(long, value_name = "N|NAME", value_parser = dscp, help_heading = NETWORK)]
    pub dscp: Option<u8>,
    #[command(flatten)]
    pub transport: TransportArgs,
    /// Record it here as well, to this file: .mkv, .mp4 or .avi, or .wav for sound only [default: no recording].
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, value_parser = recording, help_heading = OUTPUT)]
    pub record: Option<PathBuf>,
    /// Let --record overwrite a file that is there [default: refuse].
    #[arg(long, requires = "record", help_heading = OUTPUT)]
    pub force: bool,
    /// Show what is sent in a window here too, and the code; Tab shows it again [default: no window].
    #[arg(long, help_heading = OUTPUT)]
    pub preview: bool,
    /// Stop after so many seconds [default: no limit].
    #[arg(long, value_name = "SECONDS", value_parser = seconds, help_heading = LIMITS)]
    pub duration: Option<Duration>,
    /// Give up when the server has not answered for so many seconds [default: never].
    #[arg(long, value_name = "SECONDS", value_parser = seconds, help_heading = LIMITS)]
    pub timeout: Option<Duration>,
    /// Say what is typed on standard input to those who watch, as NAME, and write what they say to standard output; /p pauses
    /// then [default: neither; host without NAME].
    #[arg(long, value_name = "NAME", value_parser = talk_name, num_args = 0..=1, require_equals = true,
        default_missing_value = "host", conflicts_with = "no_talk", help_heading = TALK)]
    pub talk: Option<String>,
    /// Neither show nor record what those who watch say [default: show it in the preview].
    #[arg(long, help_heading = TALK)]
    pub no_talk: bool,
    /// Figures each second and at the end [default: text].
    #[arg(long, value_enum, help_heading = FIGURES)]
    pub stats: Option<Stats>,
    /// What comes of it all; see [`PublishArgs::settle`].
    #[arg(skip)]
    settled: Vec<serve::StreamOptions>,
    #[arg(skip)]
    code: Option<GivenCode>,
}

/// What some of a stream's options are for whoever publishes: a code stands before the stream unless --public is said, and never a
/// password, which [`PublishArgs::settle`] refuses with a sentence.
fn for_publishers(option: Arg) -> Arg {
    match option.get_id().as_str() {
        "code" => option.help(CODE),
        "password" => option.hide(true),
        _ => option,
    }
}

const CODE: &str = "Let those watch who have this code: new draws one at each start, CODE is one that was drawn before, @FILE \
                    holds it and is made if it is not there, - asks for it [default: new]";

/// The code of those who may publish, which is never drawn here.
fn allowed(text: &str) -> Result<GivenCode, String> {
    if text == "new" {
        return Err("it comes from whoever runs the server; new is for --code".to_owned());
    }
    GivenCode::known(text)
}

impl PublishArgs {
    /// Checks that all fits; the error is one sentence with advice.
    pub fn settle(&mut self) -> Result<(), String> {
        self.transport.check(&self.server)?;
        let mut named = Named::of_input(self.input.clone(), self.ear.take(), self.name.take())?;
        named.own.title = self.title.take();
        named.own.record = self.record.take();
        let mut choices = std::mem::take(&mut self.choices).said();
        if choices.password.take().is_some() {
            return Err("a published stream is watched by its code; leave --password out".to_owned());
        }
        if (self.transport.of(self.server.clone())).transport == Some(Transport::Both) {
            return Err("a publisher's stream goes one way: write --transport auto, udp or tcp".to_owned());
        }
        self.code = choices.code.take();
        let stdin = named.input == Input::Stdin;
        let typed = [&self.code, &self.allow_publish].into_iter().filter(|given| **given == Some(GivenCode::Stdin));
        if typed.count() + usize::from(stdin) + usize::from(self.talk.is_some()) > 1 {
            return Err("standard input can be read once: by --talk, or by - for the input or for one code".to_owned());
        }
        self.settled = streams::settle(vec![named], &choices)?;
        Ok(())
    }

    /// After [`PublishArgs::settle`].
    pub fn options(self, quiet: bool) -> publish::Options {
        let serve = serve::Options {
            streams: self.settled,
            bind: self.bind.unwrap_or_else(|| (Ipv6Addr::UNSPECIFIED, 0).into()),
            marks: Marks { ecn: self.ecn.unwrap_or_default(), dscp: self.dscp.unwrap_or(0) },
            audio_port: None,
            transports: Transports::default(),
            announce: AnnounceOptions::default(),
            datagram: self.datagram.and_then(|datagram| datagram.0),
            frames: None,
            duration: self.duration,
            force: self.force,
            preview: self.preview,
            check: None,
            publishers: None,
            library: None,
            talk: TalkOptions { typed: self.talk.is_some(), off: self.no_talk, name: self.talk },
            rules: TalkRules::OPEN,
            stats: self.stats.map(Into::into).unwrap_or_default(),
            quiet,
        };
        publish::Options {
            server: self.transport.of(self.server),
            serve,
            public: self.public,
            code: self.code,
            keep: self.keep,
            allowed: self.allow_publish,
            timeout: self.timeout,
        }
    }
}
