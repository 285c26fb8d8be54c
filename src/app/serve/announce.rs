//! What is said once the server listens.

use std::io::IsTerminal;
use std::net::SocketAddr;

use serde_json::{Map, Value, json};

use super::channel::Channel;
use super::serving::Serving;
use crate::app::code::{self, Told};
use crate::app::group::Announced;
use crate::app::secrets::{GivenCode, GuardChoice};
use crate::app::words::{counted, grouped};
use crate::discovery::{Announcer, Summary};
use crate::seal::Code;
use crate::source::Pace;

/// What programs are told of a stream.
fn fields(channel: &Channel) -> Map<String, Value> {
    let info = &channel.info;
    let fields = json!({
        "title": channel.title(), "width": info.size.width, "height": info.size.height,
        "fps_num": info.rate.num(), "fps_den": info.rate.den(), "details": info.details,
        "group": channel.group.as_ref().map(Announced::json),
    });
    if let Value::Object(fields) = fields { fields } else { Map::new() }
}

/// The same of one of several.
fn named(channel: &Channel) -> Value {
    let mut fields = fields(channel);
    fields.insert("name".into(), channel.stream.name.as_str().into());
    fields.insert("live".into(), channel.is_live().into());
    fields.insert("audio".into(), channel.info.sound.into());
    fields.insert("on_demand".into(), (channel.stream.on_demand && channel.is_live()).into());
    Value::Object(fields)
}

/// All fields of `listening`; what one stream has is the first's.
pub fn listening(local: SocketAddr, sound_port: Option<u16>, channels: &[Channel]) -> Value {
    let mut all = channels.first().map(fields).unwrap_or_default();
    all.insert("address".into(), local.ip().to_string().into());
    all.insert("port".into(), local.port().into());
    all.insert("audio_port".into(), sound_port.into());
    if channels.len() > 1 {
        all.insert("streams".into(), channels.iter().map(named).collect());
    }
    Value::Object(all)
}

impl Serving {
    /// Says how to watch what is listed, and each stream that has a code.
    fn say_where(&self, local: SocketAddr, codes: &[Option<Code>]) {
        let port = local.port();
        let scheme = self.options.transports.scheme();
        let host = if local.ip().is_unspecified() { format!("HOST:{port}") } else { local.to_string() };
        let place = format!("{scheme}{host}");
        let guarded = |channel: &Channel| matches!(channel.stream.guard, GuardChoice::Password(_));
        let listed: Vec<&Channel> =
            self.channels.iter().zip(codes).filter(|(_, code)| code.is_none()).map(|(channel, _)| channel).collect();
        let how = match &listed[..] {
            [] => String::new(),
            [one] if guarded(one) => format!(" Watch with: udpstream watch {place}/{} --password -", one.stream.name),
            [_] => format!(" Watch with: udpstream watch {place}"),
            [_, second, ..] => {
                let name = &second.stream.name;
                format!(" Watch with: udpstream watch {place}/{name}, all of them with: udpstream watch '{place}/*'")
            }
        };
        self.output.say(&format!("Listening on port {port}.{how}"));
        if let Some(taken) = self.publishers(&place) {
            self.output.say(&taken);
        }
        let groups = self.channels.iter().filter_map(|channel| channel.group.as_ref());
        groups.for_each(|group| self.output.say(&group.sentence()));
        let place = format!("{scheme}{}", code::place(local));
        for (channel, code) in self.channels.iter().zip(codes) {
            let name = channel.stream.name.as_str();
            let is_new = matches!(channel.stream.guard, GuardChoice::Code(GivenCode::New));
            let file = match &channel.stream.guard {
                GuardChoice::Code(GivenCode::File(path)) => Some(path.as_path()),
                _ => None,
            };
            code.iter().for_each(|code| code::tell(&self.output, &Told { name, place: &place, code, is_new, file }));
        }
    }

    /// Which library there is, and how a film of it is watched.
    fn say_library(&self, local: SocketAddr) {
        let Some(screening) = &self.screening else { return };
        let progress = screening.library().progress();
        let place = format!("{}{}", self.options.transports.scheme(), code::place(local));
        let unseen = progress.found.saturating_sub(progress.seen) as u64;
        let unseen = if unseen > 0 { format!(" ({} to be looked into)", grouped(unseen)) } else { String::new() };
        let films = counted(progress.found as u64, "film");
        let first = screening.library().like("").into_iter().next();
        let how = first.map_or_else(String::new, |name| format!(": udpstream watch {place}/{name}"));
        self.output.say(&format!("A library of {films}{unseen}, each watched by its path{how}"));
    }

    /// How others publish here, if they may.
    fn publishers(&self, place: &str) -> Option<String> {
        let publishers = self.options.publishers.as_ref()?;
        let most = crate::app::words::counted(publishers.most as u64, "publisher");
        // Those who need a code are told with it.
        let how =
            if publishers.allowed.is_some() { String::new() } else { format!(": udpstream publish {place} INPUT") };
        Some(format!("Takes up to {most}{how}"))
    }

    /// Says the code that publishers need.
    pub fn announce_publishers(&self, local: SocketAddr, code: &Code) {
        let place = format!("{}{}", self.options.transports.scheme(), code::place(local));
        let given = self.options.publishers.as_ref().and_then(|publishers| publishers.allowed.as_ref());
        let is_new = given == Some(&GivenCode::New) || std::io::stderr().is_terminal();
        let shown = if is_new { code.to_string() } else { format!("{}-…", code.lookup()) };
        self.output
            .say(&format!("Publishers need the code {shown}: udpstream publish {place} INPUT --allow-publish -"));
    }

    /// Says on the local network that there is something to watch; nothing of what is guarded but that there is such a stream.
    /// A server that has no more than streams with codes is announced only by a name that somebody chose for it.
    pub fn announce_to_network(&self, local: SocketAddr) -> Option<Announcer> {
        let guarded = |channel: &&Channel| !matches!(channel.stream.guard, GuardChoice::Everybody);
        let coded = |channel: &Channel| matches!(channel.stream.guard, GuardChoice::Code(_));
        let (closed, open): (Vec<&Channel>, Vec<&Channel>) = self.channels.iter().partition(guarded);
        let options = &self.options.announce;
        let only_coded = self.channels.iter().all(coded) && self.screening.is_none();
        if options.name.is_none() && self.options.publishers.is_none() && only_coded {
            return None;
        }
        let first = open.first();
        let summary = Summary {
            title: first.map(|channel| channel.title().to_owned()),
            size: first.map(|channel| channel.info.size),
            live: first.is_some_and(|channel| channel.is_live()),
            guarded: !closed.is_empty(),
            tcp_only: !self.options.transports.udp,
        };
        let only = open
            .first()
            .filter(|_| self.channels.len() == 1 && self.options.publishers.is_none() && self.screening.is_none());
        options.start(local, summary, |machine| match only {
            Some(channel) => format!("{} on {machine}", channel.title()),
            None => machine.to_owned(),
        })
    }

    /// Says on both channels where what is served.
    pub fn announce(&mut self, local: SocketAddr, sound_port: Option<u16>, codes: &[Option<Code>]) {
        if self.output.event("listening", listening(local, sound_port, &self.channels)).is_err() {
            self.interrupt();
        }
        let several = self.channels.len() > 1;
        for channel in &self.channels {
            let name = if several { format!("{}: ", channel.stream.name) } else { String::new() };
            self.output.say(&format!("{name}{}: {}", channel.title(), channel.info.details));
        }
        self.say_where(local, codes);
        let waits = |channel: &Channel| {
            channel.taps.recordings.is_running() && channel.info.pace == Pace::File && !channel.stream.no_wait
        };
        self.say_library(local);
        if self.channels.iter().any(waits) {
            self.output.say("Film and recording begin with the first watcher; with --no-wait they begin at once.");
        }
    }
}
