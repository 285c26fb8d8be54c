//! What people and programs are told while it goes on: figures, loss, and what became of the loudspeaker.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};

use super::Watching;
use crate::app::watch::figures::{Network, WatchFigures};
use crate::app::watch::{trouble, words};
use crate::audio::Happened;
use crate::net::Flow;
use crate::proto::receiver::{Receiver, Trouble};
use crate::proto::{Input, Machine, Transport};
use crate::units::{Bitrate, Time};
use crate::view::{Card, Rates};
use crate::wire::{Description, StreamName};

/// Between two warnings of loss.
const LOSS_PAUSE: Duration = Duration::from_secs(30);
/// A path that loses more than this for so many seconds is worth a word, and so is one that no longer does.
const MUCH: f64 = 0.05;
const BAD_SECONDS: u32 = 3;
const GOOD_SECONDS: u32 = 10;
/// Of fewer datagrams a second nothing is said.
const ENOUGH: u64 = 40;
/// Seconds of the path that are kept for its graph.
const SECONDS: usize = 30;
/// Letters of a title among the figures.
const TITLE: usize = 40;

/// What was said of lost pictures.
#[derive(Default)]
pub struct Loss {
    /// Pictures that came badly, and all, until the last second.
    before: (u64, u64),
    /// Nothing is said before this.
    pause: Time,
    path: PathLoss,
}

/// How long the path has lost much.
#[derive(Default)]
struct PathLoss {
    /// Numbers of the hop sequence until the last second, and those that came.
    before: (u64, u64),
    /// Seconds in a row in which much was lost, or little.
    bad: u32,
    good: u32,
    is_said: bool,
}

impl PathLoss {
    /// A second more; returns what is to be said: the part that is lost, or that it is over.
    fn second(&mut self, numbers: u64, came: u64) -> Option<Option<f64>> {
        let (numbers_before, came_before) = std::mem::replace(&mut self.before, (numbers, came));
        let (sent, came) = (numbers.saturating_sub(numbers_before), came.saturating_sub(came_before));
        let lost = 1.0 - (came as f64 / sent.max(1) as f64).min(1.0);
        let is_bad = sent >= ENOUGH && lost > MUCH;
        (self.bad, self.good) = if is_bad { (self.bad + 1, 0) } else { (0, self.good + 1) };
        if !self.is_said && self.bad >= BAD_SECONDS {
            self.is_said = true;
            return Some(Some(lost));
        }
        if self.is_said && self.good >= GOOD_SECONDS {
            self.is_said = false;
            return Some(None);
        }
        None
    }
}

/// The last seconds of the path.
#[derive(Default)]
pub struct PathHistory(VecDeque<Rates>);

impl PathHistory {
    fn push(&mut self, second: Rates) {
        self.0.push_back(second);
        if self.0.len() > SECONDS {
            self.0.pop_front();
        }
    }

    fn seconds(&self) -> Vec<Rates> {
        self.0.iter().copied().collect()
    }
}

/// A second of the path.
fn rates(figures: &WatchFigures) -> Rates {
    let Network { bitrate_bps, in_force, .. } = figures.network;
    Rates { received: Bitrate::bps(bitrate_bps as u64), estimate: in_force.and_then(|told| told.estimate) }
}

/// The fields of `playing`. In a wall `stream` is the tile's name, as in each of its lines.
pub fn playing(description: &Description, id: u64, name: Option<&StreamName>, wall: bool) -> Value {
    let Description { title, size, rate, .. } = description;
    let id = format!("{id:016x}");
    let mut fields = json!({
        "width": size.width, "height": size.height, "fps_num": rate.num(), "fps_den": rate.den(),
        "length_s": description.length.map(|length| length as f64 / 1e6), "audio": description.sound,
        "stream_id": id, "name": name.map(StreamName::as_str), "title": title,
    });
    if !wall {
        fields["stream"] = id.into();
    }
    fields
}

impl Watching {
    /// Says once that it goes over TCP, or no longer, where that was not asked for.
    pub(super) fn say_transport(&mut self, transport: Transport) {
        let tcp = transport == Transport::Tcp;
        let chosen = self.subject.servers.transport != Transport::Auto;
        let news = match std::mem::replace(&mut self.tcp, tcp) {
            before if chosen || before == tcp => return,
            true => "Over UDP again.",
            false => "Over TCP, as nothing came over UDP; that is tried again now and then.",
        };
        self.output.say(news);
        self.screen.notice(news);
    }

    pub(super) fn tick(&mut self, now: Time, receiver: &Receiver) -> Flow {
        let position = self.figures.position(self.description());
        let figures = self.sum(now, receiver, false);
        self.output.status(&words::status(self.subject.server(), position, &figures));
        self.wiring.seat.iter().for_each(|seat| seat.tell(now, &figures));
        self.path.push(rates(&figures));
        if self.screen.is_there() {
            let mut lines = Vec::new();
            if let Some(Description { title, size, rate, .. }) = self.description() {
                lines.push(title.chars().take(TITLE).collect());
                lines.push(format!("{size}  {rate} fps"));
            }
            lines.extend(words::panel(position, &figures));
            self.screen.figures(lines, self.path.seconds());
        }
        self.figures.next_second(now, receiver);
        self.wiring.hearing.next_second();
        match self.publish("stats", figures.json()) {
            Flow::Continue if self.check_path(receiver) == Flow::Stop => Flow::Stop,
            Flow::Continue => self.check_loss(now, receiver),
            Flow::Stop => Flow::Stop,
        }
    }

    /// Of the last second, or of the whole run.
    pub(super) fn sum(&mut self, now: Time, receiver: &Receiver, whole: bool) -> WatchFigures {
        let sound = self.wiring.hearing.figures(receiver.sound_counts(), receiver.played_after(), whole);
        WatchFigures { sound, ..self.figures.sum(now, receiver, whole) }
    }

    /// A path that loses much, and one that has recovered, are worth a word.
    fn check_path(&mut self, receiver: &Receiver) -> Flow {
        let traffic = receiver.counts().traffic;
        let Some(said) = self.loss.path.second(traffic.numbers, traffic.numbers_came) else { return Flow::Continue };
        let text = match said {
            Some(lost) => format!(
                "The path loses {:.0} % of what is sent; pictures are repaired as far as there is time. Try a cable \
                 instead of Wi-Fi, or ask for less with --max-bitrate.",
                100.0 * lost
            ),
            None => "The path loses little again.".to_owned(),
        };
        self.output.say(&text);
        self.screen.notice(&text);
        self.publish("warning", json!({ "code": "path_loss", "text": text }))
    }

    /// A second in which many pictures were lost is worth a word, now and then.
    fn check_loss(&mut self, now: Time, receiver: &Receiver) -> Flow {
        let counts = receiver.counts();
        // What was missed while the server could not be heard was said in its time.
        let lost = counts.pictures.lost - counts.pictures.away.min(counts.pictures.lost);
        let (bad, all) = (lost + counts.pictures.damaged, counts.pictures.shown + lost);
        let (bad_before, all_before) = std::mem::replace(&mut self.loss.before, (bad, all));
        let (bad, all) = (bad - bad_before.min(bad), all - all_before.min(all));
        if bad * 20 <= all || now < self.loss.pause {
            return Flow::Continue;
        }
        self.loss.pause = now + LOSS_PAUSE;
        let text = format!(
            "{bad} of {all} pictures came damaged or not at all in the last second: try a cable instead of Wi-Fi, or \
             serve with a smaller --width or --quality."
        );
        self.output.say(&text);
        self.screen.notice(&text);
        self.publish("warning", json!({ "code": "loss", "text": text }))
    }

    /// What is said of a silence.
    pub(super) fn silence(&self, why: Trouble) -> Card {
        let server = self.subject.server();
        match self.subject.target.group {
            Some(_) => trouble::group_silence(why, server),
            None => trouble::silence(why, server, self.subject.servers.transport),
        }
    }

    /// Somebody else sends to the group that is watched.
    pub(super) fn another_sender(&self, address: SocketAddr) -> Flow {
        let text = format!(
            "Another sender, {address}, uses this group too; it is left out. Give each sender a group of its own, or name the \
             one that is meant: udp://SOURCE@GROUP."
        );
        self.output.warn(&text);
        self.screen.notice(&text);
        self.publish("warning", json!({ "code": "another_sender", "text": text, "address": address.to_string() }))
    }

    /// Whether what the group loses can be had from its server.
    pub(super) fn repairs(&self, server: SocketAddr, are_had: bool) -> Flow {
        let (code, text) = if are_had {
            ("repairs", format!("What is lost is repaired by {server} now."))
        } else {
            let text = format!(
                "Nobody at {server} repairs what is lost: parity alone has to do. It is tried again now and then."
            );
            ("no_repairs", text)
        };
        self.output.warn(&text);
        self.screen.notice(&text);
        self.publish("warning", json!({ "code": code, "text": text, "address": server.to_string() }))
    }

    /// What became of the loudspeaker: told to people, and to the receiver what it needs.
    pub(super) fn listen(&mut self, now: Time, receiver: &mut Receiver) -> Flow {
        let mut flow = Flow::Continue;
        while let Some(news) = self.wiring.hearing.news() {
            let (code, text) = match news {
                Happened::Opened => continue,
                Happened::Missing(text) => ("no_loudspeaker", text),
                Happened::Lost(text) => ("loudspeaker_lost", text),
                Happened::Back => ("loudspeaker_back", "The loudspeaker is back.".to_owned()),
            };
            // Without a window there may well be nobody who listens.
            if self.options.headless && code == "no_loudspeaker" {
                tracing::info!("{text}");
                continue;
            }
            self.output.warn(&text);
            self.screen.notice(&text);
            if self.publish("warning", json!({ "code": code, "text": text })) == Flow::Stop {
                flow = Flow::Stop;
            }
        }
        if let Some(needs) = self.wiring.hearing.needs() {
            receiver.handle(now, Input::Local(needs));
        }
        flow
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_loses_much_is_told_once_and_so_is_its_end() {
        let mut path = PathLoss::default();
        let (mut numbers, mut came, mut said) = (0, 0, Vec::new());
        for second in 0..60 {
            let lost = if (10..30).contains(&second) { 10 } else { u64::from(second % 5 == 0 && second < 35) * 8 };
            (numbers, came) = (numbers + 100, came + 100 - lost);
            said.extend(path.second(numbers, came).map(|said| (second, said.map(|lost| (lost * 100.0).round()))));
        }
        assert_eq!(said, [(12, Some(10.0)), (40, None)], "single seconds are not worth a word");
    }
}
