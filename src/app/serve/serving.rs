//! The running server: what the event loop tells, what is said each second, and how it all ends.

use std::time::Duration;

use serde_json::Value;

use super::Options;
use super::channel::{Channel, Outcome};
use super::figures::ServeFigures;
use super::measured::{Departure, Period};
use super::voice::Voice;
use super::watchers::Second;
use super::{table, words};
use crate::app::Exit;
use crate::app::figures::Output;
use crate::app::preview::{Act, Preview};
use crate::app::relay::figures::StreamFigures as Published;
use crate::app::screening::Screening;
use crate::app::storing::StoringFigures;
use crate::app::talk::Console;
use crate::app::watch::screen::Screen;
use crate::net::{App, Flow};
use crate::proto::server::{Event, Feed, Gone, Local, Server, StreamKey};
use crate::proto::{Input as MachineInput, Machine};
use crate::units::Time;
use crate::view::Wish;
use crate::wire::talk::Line;

const TICK: Duration = Duration::from_secs(1);
/// What the preview says of other streams.
const FIRST: &str = "The preview shows the first stream.";

/// Why the server was ended before its streams were over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    Interrupted,
    Limit,
}

pub struct Serving {
    pub options: Options,
    pub output: Output,
    /// Before the preview, which waits for what shows pictures in it.
    pub channels: Vec<Channel>,
    preview: Preview,
    cut: Option<Cut>,
    killed: bool,
    departures: u64,
    most_watchers: usize,
    next_tick: Time,
    pub second: Second,
    /// Streams that others publish here; `None`: none are taken.
    pub published: Option<Vec<Published>>,
    /// What is recorded of those.
    pub stored: Option<StoringFigures>,
    /// Films of a library; `None`: there is none.
    pub screening: Option<Screening>,
    /// Who is sent the streams, if that is one server alone.
    pub whom: Option<String>,
    /// What to type to watch, where that is not plain.
    pub watched_with: Option<String>,
    /// Lines that are typed, and lines that were said.
    pub console: Option<Console>,
}

impl Serving {
    pub fn new(options: Options, mut channels: Vec<Channel>, output: Output, preview: Preview) -> Self {
        if channels.len() > 1 {
            channels.iter_mut().for_each(Channel::name_it);
        }
        Self {
            next_tick: output.start() + TICK,
            options,
            output,
            channels,
            preview,
            cut: None,
            killed: false,
            departures: 0,
            most_watchers: 0,
            second: Second::new(crate::clock::now()),
            published: None,
            stored: None,
            screening: None,
            whom: None,
            watched_with: None,
            console: None,
        }
    }

    /// Somebody is in a hurry.
    pub const fn is_killed(&self) -> bool {
        self.killed
    }

    /// A sentence over the preview.
    pub fn notice(&self, text: &str) {
        self.preview.screen.notice(text);
    }

    /// What was said, over the preview.
    pub(super) fn preview_line(&self, line: &Line) {
        self.preview.screen.line(line);
    }

    /// How to watch, over the preview.
    pub fn show_code(&self) {
        self.watched_with.iter().for_each(|text| self.notice(&format!("{text}   (Tab shows it again)")));
    }

    /// Nobody reads what it says.
    pub fn interrupt(&mut self) {
        self.cut = Some(Cut::Interrupted);
    }

    fn channel(&mut self, key: StreamKey) -> Option<&mut Channel> {
        self.channels.iter_mut().find(|channel| channel.key == key)
    }

    /// One stream, or all.
    fn feed(&mut self, now: Time, server: &mut Server, which: Option<StreamKey>) {
        let meant = |channel: &&mut Channel| which.is_none_or(|key| channel.key == key);
        let mut left = self.still_to_hand_over();
        for channel in self.channels.iter_mut().filter(meant) {
            channel.rest_or_run(now, server);
            let before = channel.on_the_way();
            channel.feed(now, server, left > 0);
            left = left.saturating_sub(channel.on_the_way().saturating_sub(before));
        }
    }

    /// How many pictures the server may still be handed, so that no more depart than are wanted: it tells of a departure
    /// later than the next picture may follow.
    fn still_to_hand_over(&self) -> u64 {
        let on_the_way: u64 = self.channels.iter().map(Channel::on_the_way).sum();
        self.options.frames.map_or(u64::MAX, |frames| frames.saturating_sub(self.departures + on_the_way))
    }

    /// What the recorders have to say, and what the preview's user wants.
    fn hear_taps(&mut self) {
        let nowhere = Screen::default();
        for (at, channel) in self.channels.iter_mut().enumerate() {
            let screen = if at == 0 { &self.preview.screen } else { &nowhere };
            channel.taps.recordings.tell((&channel.output, screen));
        }
        let Some(first) = self.channels.first_mut() else { return };
        for act in self.preview.acts() {
            match act {
                Act::Snapshot { canvas, id, still } => self.preview.save(canvas, first.title(), id, still),
                Act::Wish(Wish::Record) => {
                    let (title, position) = (first.title().to_owned(), first.measured.position);
                    first.taps.recordings.toggle(&title, position, (&first.output, &self.preview.screen));
                }
                Act::Wish(Wish::Mute | Wish::Louder | Wish::Quieter) => {
                    self.preview.screen.notice("The preview has no sound.");
                }
                Act::Wish(_) => self.preview.screen.notice(self.watched_with.as_deref().unwrap_or(FIRST)),
            }
        }
    }

    fn stop(&mut self, now: Time, server: &mut Server, cut: Cut, sentence: &str) {
        self.cut.get_or_insert(cut);
        server.handle(now, MachineInput::Local(Local::Stop(sentence.to_owned())));
    }

    fn tick(&mut self, now: Time, server: &Server) -> Flow {
        self.channels.iter().for_each(Channel::tell_news);
        let figures = self.figures(now, server, Period::Second);
        for channel in &mut self.channels {
            channel.measured.next_second(now, &server.totals_of(channel.key));
        }
        let position = self.channels.iter().find_map(|channel| channel.position(now));
        let line = words::line(position, &figures, self.whom.as_deref());
        self.output.status_with(&line, |room| table::rows(&figures.watchers, server.watchers(), room));
        self.second.begin(now, server);
        if self.preview.is_there()
            && let (Some(first), Some(seen)) = (self.channels.first(), figures.streams.first())
        {
            let fps = format!("{:.1} fps", seen.fps);
            let state = first.measured.sent.map_or("waiting for the first watcher", |_| &fps);
            self.preview.screen.title(&format!("{} – {state} – preview", first.title()));
            let own = self.watched_with.iter().cloned();
            self.preview.screen.figures(own.chain(line).collect(), Vec::new());
        }
        self.output.event("stats", figures.json()).map_or(Flow::Stop, |()| Flow::Continue)
    }

    /// Ends all threads and says the last word.
    pub fn finish(mut self, server: &Server) -> Exit {
        self.channels.iter_mut().for_each(Channel::stop);
        let figures = self.figures(crate::clock::now(), server, Period::Run);
        let nowhere = Screen::default();
        for (at, channel) in self.channels.iter_mut().enumerate() {
            let recordings = &mut channel.taps.recordings;
            if self.killed {
                recordings.abandon();
            }
            let screen = if at == 0 { &self.preview.screen } else { &nowhere };
            recordings.finish((&channel.output, screen));
        }
        if !self.killed {
            // Who listens to a group nobody knows.
            let grouped = self.most_watchers == 0 && self.channels.iter().any(|channel| channel.group.is_some());
            let whom = self.whom.as_deref().or(grouped.then_some("a group"));
            self.output.conclude(&words::served(self.took(), self.most_watchers, &figures, whom));
        }
        if !self.killed {
            figures.stored.iter().for_each(|stored| self.output.say(&stored.sentence()));
        }
        let summary = self.summary(&figures);
        let exit = self.exit();
        // Theirs are clones of the output.
        self.channels.clear();
        self.output.summary(summary);
        exit
    }

    fn exit(&self) -> Exit {
        let unrecorded = self.channels.iter().any(|channel| channel.taps.recordings.failed());
        match self.cut {
            _ if self.killed => Exit::Killed,
            _ if unrecorded => Exit::Failed,
            Some(Cut::Interrupted) => Exit::Done,
            _ if self.has_failed() => Exit::Failed,
            _ => Exit::Done,
        }
    }

    /// From the first departure to the last.
    fn took(&self) -> Duration {
        let sent = || self.channels.iter().filter_map(|channel| channel.measured.sent);
        let first = sent().map(|(first, _)| first).min();
        let last = sent().map(|(_, last)| last).max();
        first.zip(last).map_or(Duration::ZERO, |(first, last)| last.since(first))
    }

    fn summary(&self, figures: &ServeFigures) -> Value {
        let mut summary = figures.json();
        let recorded = |channel: &Channel| channel.taps.recordings.json();
        summary["end"] = self.end().into();
        summary["recorded"] = self.channels.first().map_or(Value::Null, recorded);
        if figures.is_several() {
            for (at, channel) in self.channels.iter().enumerate() {
                summary["streams"][at]["recorded"] = recorded(channel);
            }
        }
        summary
    }

    fn has_failed(&self) -> bool {
        self.channels.iter().any(|channel| channel.outcome() == Some(Outcome::Failed))
    }

    /// Why the server ends.
    fn end(&self) -> &'static str {
        match self.cut {
            Some(Cut::Interrupted) => "interrupted",
            Some(Cut::Limit) => "limit",
            None if self.has_failed() => "failed",
            None if self.channels.iter().all(|channel| channel.outcome().is_some()) => "end",
            None => "interrupted",
        }
    }

    fn says(&mut self, event: &Event, server: &Server) {
        match event {
            Event::Joined { stream, address, .. } => {
                let watchers = server.watchers();
                tracing::info!(%address, stream = self.name(*stream), watchers, "joined");
                self.most_watchers = self.most_watchers.max(watchers);
            }
            Event::Left { stream, address, why, .. } => {
                tracing::info!(%address, stream = self.name(*stream), ?why, watchers = server.watchers(), "left");
                if *why == Gone::Silent {
                    self.output.say(&format!("{address} has fallen silent and was dropped."));
                }
            }
            Event::Moved { from, to, .. } => tracing::info!(%from, %to, "moved"),
            // The overload warning already explains it.
            Event::Stalled { .. } if server.is_overloaded() => {}
            Event::Stalled { stream, by } => {
                let text =
                    format!("The source stood still for {:.1} s; the film goes on from there.", by.as_secs_f64());
                let voice = self.channels.iter().find(|channel| channel.key == *stream);
                voice.iter().for_each(|channel| channel.voice().say(&text));
            }
            Event::Refused { address, why } => tracing::info!(%address, why, "refused"),
            Event::Overload(overloaded) => {
                Voice { output: &self.output, name: None }.overload(*overloaded, server.served());
            }
            Event::GroupReached { address, reached } => self.output.tell_of_group(*address, *reached),
            Event::Skipped { stream, unit } => {
                tracing::warn!(stream = self.name(*stream), unit = unit.0, "not cuttable to the datagram size");
            }
            Event::Said { stream, line } => self.said(*stream, None, line),
            Event::Unsaid { text, sentence, .. } => self.unsaid(text, sentence),
            Event::Sought { .. } | Event::Viewed { .. } | Event::Vacated(_) => {}
            Event::Started { .. }
            | Event::Departed { .. }
            | Event::Asked { .. }
            | Event::StreamOver(_)
            | Event::Finished => {}
        }
    }

    fn name(&self, key: StreamKey) -> &str {
        let channel = self.channels.iter().find(|channel| channel.key == key);
        channel.map_or("", |channel| channel.stream.name.as_str())
    }

    fn departed(&mut self, now: Time, server: &mut Server, key: StreamKey, departure: &Departure) {
        self.departures += 1;
        self.channel(key).into_iter().for_each(|channel| channel.departed(departure));
        if self.options.frames.is_some_and(|frames| self.departures >= frames) && self.cut.is_none() {
            self.cut = Some(Cut::Limit);
            self.end_all(now, server, key);
        }
    }

    /// So many pictures were wanted: the last of them has its time, and nothing else departs.
    fn end_all(&self, now: Time, server: &mut Server, last: StreamKey) {
        for channel in &self.channels {
            if channel.key == last {
                let end = channel.measured.end.filter(|_| !channel.is_live());
                channel.tell(now, server, Feed::Ended(end));
                channel.tell(now, server, Feed::SoundEnded);
            } else {
                channel.tell(
                    now,
                    server,
                    Feed::Stop("The server has sent all pictures that it was to send.".to_owned()),
                );
            }
        }
    }

    /// When the server's time is up.
    fn limit(&self) -> Time {
        let of = |channel: &Channel| channel.outcome() == Some(Outcome::Failed);
        let failed = !self.channels.is_empty() && self.channels.iter().all(of);
        let limit = self.options.duration.filter(|_| self.cut.is_none() && !failed);
        limit.map_or(Time::NEVER, |limit| self.output.start() + limit)
    }
}

impl App<Server> for Serving {
    fn event(&mut self, now: Time, server: &mut Server, event: Event) -> Flow {
        self.says(&event, server);
        self.screening.iter_mut().for_each(|screening| screening.event(now, server, &event));
        let which = match event {
            Event::Departed { stream, span, due, at, stamps, .. } => {
                self.departed(now, server, stream, &Departure { span, due, at, stamps });
                Some(stream)
            }
            Event::Started { stream, at } => {
                self.channel(stream).into_iter().for_each(|channel| channel.start_of_film(at));
                Some(stream)
            }
            Event::StreamOver(stream) => {
                self.channel(stream).into_iter().for_each(Channel::end_of_stream);
                Some(stream)
            }
            Event::Finished => return Flow::Stop,
            Event::Asked { stream, id, range } => {
                self.channel(stream).into_iter().for_each(|channel| channel.asked(now, id, range));
                None
            }
            Event::Joined { stream, .. } | Event::Left { stream, .. } => Some(stream),
            _ => None,
        };
        self.feed(now, server, which);
        Flow::Continue
    }

    fn turn(&mut self, now: Time, server: &mut Server) -> Flow {
        self.say_typed(now, server);
        self.feed(now, server, None);
        self.channels.iter_mut().for_each(|channel| channel.supply(now, server));
        self.screening.iter_mut().for_each(|screening| screening.turn(now, server));
        self.hear_taps();
        if now >= self.limit() {
            let who = if self.whom.is_some() { "publisher" } else { "server" };
            self.stop(now, server, Cut::Limit, &format!("The {who}'s time is up."));
        }
        if now < self.next_tick {
            return Flow::Continue;
        }
        self.next_tick = (self.next_tick + TICK).max(now);
        self.tick(now, server)
    }

    fn deadline(&self) -> Time {
        let soonest = self.channels.iter().map(Channel::deadline).fold(self.next_tick, Time::min);
        soonest.min(self.limit())
    }

    fn signal(&mut self, now: Time, server: &mut Server, _signal: i32) -> Flow {
        if self.cut == Some(Cut::Interrupted) {
            self.killed = true;
            return Flow::Stop;
        }
        self.cut = Some(Cut::Interrupted);
        let who = if self.whom.is_some() { "publisher" } else { "server" };
        self.stop(now, server, Cut::Interrupted, &format!("The {who} was stopped."));
        Flow::Continue
    }
}
