//! `serve --accept-publishers`: streams that others publish here, beside those of this machine: what is shown while a publisher is
//! away, and what is told of them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use serde_json::json;

use super::serving::Serving;
use crate::app::Exit;
use crate::app::figures::Output;
use crate::app::relay::card::{self, Shown};
use crate::app::relay::figures::{StreamFigures, StreamState};
use crate::app::storing::{self, Said, Storing};
use crate::net::{App, Flow};
use crate::proto::relay::{Above, Event, Local, Relay, StreamView, Tapped};
use crate::proto::server::{self, Adoption, Feed, Local as ServerLocal, StreamKey};
use crate::proto::{Input, Machine};
use crate::units::{Bitrate, Time};
use crate::wire::StreamName;
use crate::wire::talk::Line;

const SECOND: Duration = Duration::from_secs(1);

/// What is known of a published stream.
struct Published {
    name: StreamName,
    publisher: Option<SocketAddr>,
    above: Above,
    /// It was away since it flowed last.
    away: bool,
    /// What is shown while its publisher is away.
    card: Option<Shown>,
    /// Bytes that had come and gone when the running second began.
    before: (u64, u64),
}

pub struct Hosting {
    pub serving: Serving,
    output: Output,
    published: BTreeMap<StreamKey, Published>,
    next_second: Time,
    storing: Option<Storing>,
}

impl Hosting {
    /// `storing`: what is published is recorded.
    pub fn new(serving: Serving, output: Output, storing: Option<Storing>) -> Self {
        let next_second = output.start() + SECOND;
        Self { serving, output, published: BTreeMap::new(), next_second, storing }
    }

    /// What has become of a stream's publisher.
    fn above(&mut self, now: Time, relay: &mut Relay, key: StreamKey, above: Above) {
        let publisher = relay.publishers().find(|(of, _)| *of == key).map(|(_, address)| address);
        let Some(published) = self.published.get_mut(&key) else { return };
        let before = std::mem::replace(&mut published.above, above.clone());
        let name = published.name.clone();
        match &above {
            Above::Flows => {
                published.card = None;
                let address = publisher.map(|address| address.to_string()).unwrap_or_default();
                let text = if before == Above::Paused {
                    format!("{name}: it goes on.")
                } else if std::mem::take(&mut published.away) {
                    format!("{name}: its publisher is back.")
                } else if std::mem::replace(&mut published.publisher, publisher) != publisher {
                    format!("{name}: published from {address}.")
                } else {
                    return;
                };
                self.tell("published", &name, publisher);
                self.output.say(&text);
            }
            Above::Away(_) => {
                published.away = true;
                self.output.say(&format!("{name}: its publisher has fallen silent; it is kept for ten seconds."));
                self.show_card(now, relay, key, "is away", "Its publisher is not heard; it is waited for.");
            }
            Above::Paused => {
                self.output.say(&format!("{name}: its publisher pauses."));
                self.show_card(now, relay, key, "is paused", "It goes on when its publisher likes.");
            }
            Above::Over => {
                (published.publisher, published.card, published.away) = (None, None, false);
                self.tell("unpublished", &name, None);
                self.output.say(&format!("{name}: it is over."));
            }
            Above::Idle | Above::Asked => {}
        }
    }

    fn tell(&mut self, event: &str, name: &StreamName, publisher: Option<SocketAddr>) {
        let fields = json!({ "name": name.as_str(), "publisher": publisher.map(|address| address.to_string()) });
        if self.output.event(event, fields).is_err() {
            self.serving.interrupt();
        }
    }

    fn show_card(&mut self, now: Time, relay: &mut Relay, key: StreamKey, what: &str, why: &str) {
        let Some(published) = self.published.get_mut(&key) else { return };
        let Some(like) = relay.server().description(key).cloned() else { return };
        let title = format!("{} {what}", published.name);
        let description = card::description(&title, &like);
        match Shown::with(now, &title, &[why], like.size) {
            Ok(card) => {
                published.card = Some(card);
                let adoption = Adoption { id: 0, description, object: None, ended: None, prompt: true };
                relay.handle(now, Input::Local(Local::Show(key, adoption)));
            }
            Err(error) => tracing::warn!(%error, "no card could be drawn"),
        }
    }

    fn feed_cards(&mut self, now: Time, relay: &mut Relay) {
        for (key, published) in &mut self.published {
            if let Some(picture) = published.card.as_mut().and_then(|card| card.picture(now)) {
                let feed = ServerLocal::Stream(*key, Feed::Picture(picture));
                relay.handle(now, Input::Local(Local::Server(feed)));
            }
        }
    }

    fn figures(&self, relay: &Relay, took: Option<Duration>) -> Vec<StreamFigures> {
        relay.streams().filter_map(|view| self.stream(relay, &view, took)).collect()
    }

    fn stream(&self, relay: &Relay, view: &StreamView, took: Option<Duration>) -> Option<StreamFigures> {
        let published = self.published.get(&view.key).filter(|published| published.publisher.is_some())?;
        let sent = relay.server().totals_of(view.key);
        let (came, went) = took.map_or((0, 0), |_| published.before);
        let took = took.unwrap_or_else(|| self.output.elapsed());
        let rate = |bytes: u64, before: u64| Bitrate::of(bytes.saturating_sub(before), took).unwrap_or_default();
        Some(StreamFigures {
            name: published.name.clone(),
            state: StreamState::of(&view.above, false),
            watchers: relay.server().watchers_of(view.key),
            came: rate(view.came.1, came),
            sent: rate(sent.bytes, went),
            came_bytes: view.came.1,
            sent_bytes: sent.bytes,
            pictures: sent.pictures,
            damaged: view.passed.1,
            round_trip: view.round_trip,
            hops: view.hops.clone(),
            age: view.age,
            file: self.storing.as_ref().and_then(|storing| storing.file(view.key)).map(Path::to_owned),
        })
    }

    /// Something came that is recorded.
    fn take(&mut self, key: StreamKey, tapped: Tapped) {
        let (Some(storing), Some(published)) = (&mut self.storing, self.published.get(&key)) else { return };
        storing.take(key, &published.name, tapped);
    }

    /// Somebody has said something, of a stream here or of one that others publish.
    fn said(&mut self, key: StreamKey, line: &Line) {
        let published = self.published.get(&key).map(|published| published.name.clone());
        if let (Some(storing), Some(_)) = (&mut self.storing, &published) {
            storing.line(key, line.media, &line.signed_name(), &line.text);
        }
        self.serving.said(key, published.as_ref(), line);
    }

    fn say_recordings(&mut self, said: Vec<Said>) {
        for said in said {
            if storing::say(&self.output, said).is_err() {
                self.serving.interrupt();
            }
        }
    }

    /// Once a second: what the figures tell of published streams.
    fn look(&mut self, now: Time, relay: &Relay) {
        if now < self.next_second {
            return;
        }
        self.next_second = (self.next_second + SECOND).max(now);
        self.serving.published = Some(self.figures(relay, Some(SECOND)));
        self.serving.stored = self.storing.as_ref().map(Storing::figures);
        for view in relay.streams() {
            let sent = relay.server().totals_of(view.key).bytes;
            self.published.get_mut(&view.key).into_iter().for_each(|it| it.before = (view.came.1, sent));
        }
    }

    /// Ends all threads and says the last word.
    pub fn finish(mut self, relay: &Relay) -> Exit {
        self.serving.published = Some(self.figures(relay, None));
        let said = self.storing.as_mut().map(|storing| storing.end(self.serving.is_killed())).unwrap_or_default();
        self.say_recordings(said);
        self.serving.stored = self.storing.as_ref().map(Storing::figures);
        self.serving.finish(relay.server())
    }
}

impl App<Relay> for Hosting {
    fn event(&mut self, now: Time, relay: &mut Relay, event: Event) -> Flow {
        match event {
            Event::Server(server::Event::Finished) => return Flow::Stop,
            Event::Server(server::Event::Said { stream, line }) => self.said(stream, &line),
            Event::Server(event) => return self.serving.event(now, relay.server_mut(), event),
            Event::Opened(key, name) => {
                let (publisher, above, card) = (None, Above::Idle, None);
                let (away, before) = (false, (0, 0));
                self.published.insert(key, Published { name, publisher, above, away, card, before });
            }
            Event::Above(key, above) => self.above(now, relay, key, above),
            Event::Tapped(key, tapped) => self.take(key, tapped),
            // There is no server above.
            Event::Film(..) | Event::Fetched(..) | Event::Unlisted(_) | Event::AnotherSender(..) => {}
        }
        Flow::Continue
    }

    fn turn(&mut self, now: Time, relay: &mut Relay) -> Flow {
        self.feed_cards(now, relay);
        self.look(now, relay);
        let said = self.storing.as_mut().map(Storing::news).unwrap_or_default();
        self.say_recordings(said);
        self.serving.turn(now, relay.server_mut())
    }

    fn ports(&self, relay: &Relay) -> usize {
        relay.ports()
    }

    fn deadline(&self) -> Time {
        let cards = self.published.values().filter_map(|it| it.card.as_ref()).map(Shown::deadline);
        cards.fold(self.serving.deadline().min(self.next_second), Time::min)
    }

    fn signal(&mut self, now: Time, relay: &mut Relay, signal: i32) -> Flow {
        self.serving.signal(now, relay.server_mut(), signal)
    }
}
