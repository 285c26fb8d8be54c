//! The program around the receiver: what its events mean to people, programs, decoder and window; when to end.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::Receiver as Inbox;
use serde_json::{Value, json};

use super::blocks::Measured;
use super::figures::WatchFigures;
use super::hearing::Hearing;
use super::screen::Screen;
use super::{Options, trouble, words};
use crate::app::Exit;
use crate::app::decode::{self, Show, Shown};
use crate::app::figures::Output;
use crate::app::recording::Recordings;
use crate::audio::Happened;
use crate::media::Canvas;
use crate::net::{App, Flow};
use crate::proto::receiver::{Event, Local, Over, Ready, Receiver};
use crate::proto::{Input, Machine};
use crate::record::film::Tracks;
use crate::units::Time;
use crate::view::{Card, Still, Wish};
use crate::wire::Description;

const TICK: Duration = Duration::from_secs(1);
/// Without a window nobody sees that nothing comes: give up after this time unless told otherwise.
const HEADLESS_TIMEOUT: Duration = Duration::from_secs(30);
/// Connected, and yet no picture: after this long that is worth a word.
const PICTURE_PATIENCE: Duration = Duration::from_secs(2);

/// Between two warnings of loss.
const LOSS_PAUSE: Duration = Duration::from_secs(30);
/// Letters of a title among the figures.
const TITLE: usize = 40;

/// What the user does at the window.
pub enum Act {
    Quit,
    Snapshot { canvas: Arc<Canvas>, id: u64, still: Still },
    Wish(Wish),
}

/// What connects the event loop with the decoder and the window.
pub struct Wiring {
    pub work: Arc<decode::Inbox>,
    pub figures: Inbox<Shown>,
    pub acts: Inbox<Act>,
    pub hearing: Hearing,
    pub recordings: Recordings,
}

/// Why watching ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Over,
    Interrupted,
    Limit,
    Unreachable,
    Refused,
    Failed,
}

impl End {
    const fn name(self) -> &'static str {
        match self {
            Self::Over => "end",
            Self::Interrupted => "interrupted",
            Self::Limit => "limit",
            Self::Unreachable => "unreachable",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

pub struct Watching {
    options: Options,
    output: Output,
    screen: Screen,
    work: Arc<decode::Inbox>,
    shown: Inbox<Shown>,
    acts: Inbox<Act>,
    hearing: Hearing,
    recordings: Recordings,
    figures: Measured,
    end: Option<End>,
    killed: bool,
    description: Option<Description>,
    stream: u64,
    server: String,
    handed: u64,
    datagrams: u64,
    heard: Time,
    turned: Time,
    next_tick: Time,
    /// When to say that no picture has come, while none has.
    no_picture: Option<Time>,
    /// A goodbye that was said, and when to show it.
    parting: Option<(Time, Card)>,
    /// What was last said about missing pictures, so that it is said once.
    said: String,
    savers: Vec<JoinHandle<()>>,
    /// Pictures that came badly, and all, until the last second.
    loss: (u64, u64),
    /// Loss is not spoken of before this.
    loss_said: Time,
}

impl Watching {
    pub fn new(options: Options, output: Output, screen: Screen, wiring: Wiring) -> Self {
        let start = output.start();
        let server = options.server.to_string();
        Self {
            options,
            output,
            screen,
            work: wiring.work,
            shown: wiring.figures,
            acts: wiring.acts,
            hearing: wiring.hearing,
            recordings: wiring.recordings,
            figures: Measured::new(start),
            end: None,
            killed: false,
            description: None,
            stream: 0,
            server,
            handed: 0,
            datagrams: 0,
            heard: start,
            turned: start,
            next_tick: start + TICK,
            no_picture: None,
            parting: None,
            said: String::new(),
            savers: Vec::new(),
            loss: (0, 0),
            loss_said: Time::ZERO,
        }
    }

    /// Pictures that made room for newer ones, because the decoder is behind.
    fn superseded(&mut self, now: Time, pictures: Vec<Show>) {
        pictures.into_iter().for_each(|show| self.figures.take(show.superseded(now)));
    }

    fn publish(&self, name: &str, fields: Value) -> Flow {
        match self.output.event(name, fields) {
            Ok(()) => Flow::Continue,
            Err(_) => Flow::Stop,
        }
    }

    fn stop(&mut self, now: Time, receiver: &mut Receiver, end: End) {
        self.end.get_or_insert(end);
        receiver.handle(now, Input::Local(Local::Stop));
    }

    fn playing(&mut self, now: Time, description: Description, stream: u64, rejoined: bool) -> Flow {
        let other = stream != self.stream;
        if let Some(text) = self.hearing.playing(&description, other) {
            self.output.warn(&text);
        }
        if other {
            self.stream = stream;
            self.work.reset();
        }
        let (size, rate) = (description.size, description.rate);
        self.recordings.stream(stream, Tracks { size, rate, sound: description.sound && !self.options.sound.off });
        self.screen.recording(self.recordings.is_running());
        let again = if rejoined { "Back: " } else { "" };
        let title = &description.title;
        self.output.say(&format!("{again}{title}, {size}, {rate} fps, from {}", self.server));
        self.screen.title(title);
        self.said.clear();
        self.parting = None;
        self.no_picture = Some(now + PICTURE_PATIENCE + self.options.latency);
        let playing = json!({
            "width": size.width, "height": size.height, "fps_num": rate.num(), "fps_den": rate.den(),
            "length_s": description.length.map(|length| length as f64 / 1e6), "audio": description.sound,
            "stream": format!("{stream:016x}"), "title": title,
        });
        self.description = Some(description);
        self.publish("playing", playing)
    }

    /// Says what is the matter, once: on stderr, to programs, and on a card that takes its turn behind the pictures
    /// that are still being decoded.
    fn trouble(&mut self, code: &str, card: Card) -> Flow {
        let text = trouble::sentence(&card);
        if text == self.said {
            return Flow::Continue;
        }
        self.output.warn(&text);
        self.screen.title(&card.title);
        self.no_picture = None;
        self.work.card(card);
        let flow = self.publish("warning", json!({ "code": code, "text": text }));
        self.said = text;
        flow
    }

    fn show(&mut self, now: Time, picture: Ready, due: Option<Time>) {
        self.handed += 1;
        self.no_picture = None;
        self.recordings.show(&picture);
        let superseded = self.work.show(Show { picture, due, handed: now, undecodable: 0 });
        self.superseded(now, superseded);
        if self.options.frames.is_some_and(|frames| self.handed >= frames) {
            // The receiver says goodbye by itself.
            self.end.get_or_insert(End::Limit);
        }
    }

    /// What became of the loudspeaker: told to people, and to the receiver what it needs.
    fn listen(&mut self, now: Time, receiver: &mut Receiver) -> Flow {
        let mut flow = Flow::Continue;
        while let Some(news) = self.hearing.news() {
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
        if let Some(needs) = self.hearing.needs() {
            receiver.handle(now, Input::Local(needs));
        }
        flow
    }

    fn collect(&mut self) {
        self.shown.try_iter().for_each(|shown| self.figures.take(shown));
    }

    fn tick(&mut self, now: Time, receiver: &Receiver) -> Flow {
        let place = self.figures.place(self.description.as_ref());
        let figures = self.sum(now, receiver, false);
        self.output.status(&words::status(&self.server, place, &figures));
        if self.screen.is_there() {
            let mut lines = Vec::new();
            if let Some(Description { title, size, rate, .. }) = &self.description {
                lines.push(title.chars().take(TITLE).collect());
                lines.push(format!("{size}  {rate} fps"));
            }
            lines.extend(words::panel(place, &figures));
            self.screen.figures(lines);
        }
        self.figures.next_second(now, receiver);
        self.hearing.next_second();
        match self.publish("stats", figures.json()) {
            Flow::Continue => self.check_loss(now, receiver),
            Flow::Stop => Flow::Stop,
        }
    }

    /// Of the last second, or of the whole run.
    fn sum(&mut self, now: Time, receiver: &Receiver, whole: bool) -> WatchFigures {
        let sound = self.hearing.figures(receiver.sound_counts(), receiver.played_after(), whole);
        WatchFigures { sound, ..self.figures.sum(now, receiver, whole) }
    }

    /// A second in which many pictures were lost is worth a word, now and then.
    fn check_loss(&mut self, now: Time, receiver: &Receiver) -> Flow {
        let counts = receiver.counts();
        // What was missed while the server could not be heard was said in its time.
        let lost = counts.lost - counts.away.min(counts.lost);
        let (bad, all) = (lost + counts.damaged, counts.shown + lost);
        let (bad_before, all_before) = std::mem::replace(&mut self.loss, (bad, all));
        let (bad, all) = (bad - bad_before.min(bad), all - all_before.min(all));
        if bad * 20 <= all || now < self.loss_said {
            return Flow::Continue;
        }
        self.loss_said = now + LOSS_PAUSE;
        let text = format!(
            "{bad} of {all} pictures came damaged or not at all in the last second: try a cable instead of Wi-Fi, or \
             serve with a smaller --width or --quality."
        );
        self.output.say(&text);
        self.screen.notice(&text);
        self.publish("warning", json!({ "code": "loss", "text": text }))
    }

    /// Ends the decoder and says the last word.
    pub fn finish(mut self, receiver: &Receiver, decoder: JoinHandle<Result<(), String>>) -> Exit {
        self.work.close();
        let decoded = decoder.join().unwrap_or_else(|_| Err("the decoder's thread died: this is a bug".to_owned()));
        if self.killed {
            self.recordings.abandon();
        }
        self.recordings.finish((&self.output, &self.screen));
        self.savers.drain(..).for_each(|saver| drop(saver.join()));
        self.shown.try_iter().for_each(|shown| self.figures.take(shown));
        if let Err(sentence) = &decoded {
            self.output.warn(&format!("error: {sentence}"));
        }
        let end = self.end.unwrap_or(End::Interrupted);
        let figures = self.sum(crate::clock::now(), receiver, true);
        let nothing = receiver.counts().shown == 0;
        // What failed has been said.
        let failed = nothing && matches!(end, End::Unreachable | End::Refused | End::Failed);
        if !self.killed && !failed {
            self.output.conclude(&words::last(self.output.elapsed(), &figures));
        }
        let mut summary = figures.json();
        summary["end"] = end.name().into();
        summary["recorded"] = self.recordings.json();
        self.output.summary(summary);
        match end {
            _ if self.killed => Exit::Killed,
            End::Unreachable | End::Refused => Exit::Unreachable,
            End::Limit if nothing => Exit::Unreachable,
            End::Failed => Exit::Failed,
            _ if decoded.is_err() || self.recordings.failed() => Exit::Failed,
            _ => Exit::Done,
        }
    }

    fn timeout(&self) -> Option<Duration> {
        self.options.timeout.or(self.options.headless.then_some(HEADLESS_TIMEOUT))
    }

    fn check_limits(&mut self, now: Time, receiver: &mut Receiver) {
        if self.end.is_some() {
            return;
        }
        if self.options.duration.is_some_and(|limit| now >= self.output.start() + limit) {
            self.stop(now, receiver, End::Limit);
        } else if self.timeout().is_some_and(|limit| now >= self.heard + limit) {
            let seconds = now.since(self.heard).as_secs_f64();
            self.output.warn(&format!(
                "error: nothing was heard from {} for {seconds:.0} s: check that `udpstream serve` runs there, its port, \
                 and firewalls in between",
                self.server
            ));
            self.stop(now, receiver, End::Unreachable);
        } else if self.no_picture.is_some_and(|at| now >= at) {
            self.no_picture = None;
            self.work.card(trouble::waiting(&self.server));
        }
    }

    fn toggle_recording(&mut self) {
        let title = self.description.as_ref().map_or("", |description| &description.title);
        let position = self.figures.place(self.description.as_ref()).map_or(Duration::ZERO, |place| place.position);
        self.recordings.toggle(title, position, (&self.output, &self.screen));
    }

    fn act(&mut self, now: Time, receiver: &mut Receiver, act: Act) {
        match act {
            Act::Quit => self.stop(now, receiver, End::Interrupted),
            Act::Snapshot { canvas, id, still } => {
                let title = self.description.as_ref().map_or_else(String::new, |description| description.title.clone());
                self.screen.save(&mut self.savers, canvas, title, id, still);
            }
            Act::Wish(Wish::Record) => self.toggle_recording(),
            Act::Wish(Wish::Mute) => self.screen.notice(&self.hearing.mute()),
            Act::Wish(Wish::Streams(_)) => {}
            Act::Wish(wish @ (Wish::Louder | Wish::Quieter)) => {
                self.screen.notice(&self.hearing.turn(wish == Wish::Louder));
            }
        }
    }
}

impl App<Receiver> for Watching {
    fn event(&mut self, now: Time, receiver: &mut Receiver, event: Event) -> Flow {
        match event {
            Event::Playing { description, stream, rejoined, .. } => {
                return self.playing(now, description, stream, rejoined);
            }
            Event::Slice(slice) => {
                self.recordings.slice(&slice);
                let superseded = self.work.slice(slice);
                self.superseded(now, superseded);
            }
            Event::Sound { first, frames } => {
                // What was lost becomes silence there.
                frames.iter().for_each(|frames| self.recordings.sound(frames, first));
                self.hearing.put(first, frames.as_deref());
            }
            Event::SoundOver => self.hearing.finish(),
            Event::SoundZero(zero) => self.hearing.set_zero(zero),
            Event::Show { picture, due } => self.show(now, picture, due),
            Event::Refused { code, sentence } => {
                let flow = self.trouble("refused", trouble::refused(code, &sentence, &self.server));
                if self.options.headless && self.description.is_none() {
                    self.stop(now, receiver, End::Refused);
                }
                return flow;
            }
            Event::TooLarge(size) => {
                let flow = self.trouble("too_large", trouble::too_large(size, &self.server));
                if self.options.headless {
                    self.stop(now, receiver, End::Failed);
                }
                return flow;
            }
            Event::Trouble(why) => return self.trouble("lost", trouble::silence(why, &self.server)),
            Event::Over { why, sentence } if receiver.is_staying() => {
                // The last picture has its time on the screen first; that of a film has had it.
                let live = self.description.as_ref().filter(|stream| stream.live);
                let time = live.map_or(Duration::ZERO, |stream| stream.rate.interval());
                self.parting = Some((now + time, trouble::over(why, &sentence, &self.server)));
            }
            Event::Over { why: Over::Failed, sentence } => {
                self.end.get_or_insert(End::Failed);
                self.output.warn(&format!("error: {sentence}"));
            }
            Event::Over { sentence, .. } => {
                self.end.get_or_insert(End::Over);
                self.output.say(&sentence);
            }
            Event::Finished => return Flow::Stop,
        }
        Flow::Continue
    }

    fn turn(&mut self, now: Time, receiver: &mut Receiver) -> Flow {
        self.collect();
        if self.listen(now, receiver) == Flow::Stop {
            return Flow::Stop;
        }
        self.recordings.tell((&self.output, &self.screen));
        while let Ok(act) = self.acts.try_recv() {
            self.act(now, receiver, act);
        }
        // Time in which this program stood still (stopped, or a frozen machine) is no silence of the server's.
        let halted = now.since(std::mem::replace(&mut self.turned, now));
        if halted > 2 * TICK {
            self.heard += halted;
        }
        if receiver.counts().datagrams != self.datagrams {
            self.datagrams = receiver.counts().datagrams;
            self.heard = now;
        }
        self.check_limits(now, receiver);
        if let Some((_, card)) = self.parting.take_if(|(at, _)| now >= *at)
            && self.trouble("over", card) == Flow::Stop
        {
            return Flow::Stop;
        }
        if now < self.next_tick {
            return Flow::Continue;
        }
        self.next_tick = (self.next_tick + TICK).max(now);
        self.tick(now, receiver)
    }

    fn deadline(&self) -> Time {
        if self.end.is_some() {
            return self.next_tick;
        }
        let limit = self.options.duration.map(|limit| self.output.start() + limit);
        let silence = self.timeout().map(|limit| self.heard + limit);
        let parting = self.parting.as_ref().map(|(at, _)| *at);
        [limit, silence, self.no_picture, parting].into_iter().flatten().fold(self.next_tick, Time::min)
    }

    fn signal(&mut self, now: Time, receiver: &mut Receiver, _signal: i32) -> Flow {
        if self.end == Some(End::Interrupted) {
            self.killed = true;
            return Flow::Stop;
        }
        self.end = None;
        self.stop(now, receiver, End::Interrupted);
        Flow::Continue
    }
}
