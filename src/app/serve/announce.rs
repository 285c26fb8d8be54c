//! What is said once the server listens.

use std::net::SocketAddr;

use serde_json::{Map, Value, json};

use super::channel::Channel;
use super::serving::Serving;
use crate::source::Pace;

/// What programs are told of a stream.
fn fields(channel: &Channel) -> Map<String, Value> {
    let info = &channel.info;
    let fields = json!({
        "title": channel.title(), "width": info.size.width, "height": info.size.height,
        "fps_num": info.rate.num(), "fps_den": info.rate.den(), "details": info.details,
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
    /// Says on both channels where what is served.
    pub fn announce(&mut self, local: SocketAddr, sound_port: Option<u16>) {
        if self.output.event("listening", listening(local, sound_port, &self.channels)).is_err() {
            self.interrupt();
        }
        let several = self.channels.len() > 1;
        for channel in &self.channels {
            let name = if several { format!("{}: ", channel.stream.name) } else { String::new() };
            self.output.say(&format!("{name}{}: {}", channel.title(), channel.info.details));
        }
        let port = local.port();
        let place = if local.ip().is_unspecified() { format!("HOST:{port}") } else { local.to_string() };
        let example = self.channels.get(1).map_or(String::new(), |channel| {
            format!("/{}, all of them with: udpstream watch '{place}/*'", channel.stream.name)
        });
        self.output.say(&format!("Listening on port {port}. Watch with: udpstream watch {place}{example}"));
        let waits = |channel: &Channel| {
            channel.taps.recordings.is_running() && channel.info.pace == Pace::File && !channel.stream.no_wait
        };
        if self.channels.iter().any(waits) {
            self.output.say("Film and recording begin with the first watcher; with --no-wait they begin at once.");
        }
    }
}
