//! The program around the receiver: what its events mean to people, programs, decoder and window.

mod ending;
mod film;
mod finding;
mod talking;
mod telling;
mod wishes;

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::Receiver as Inbox;
use serde_json::{Value, json};

use self::ending::{End, Limits};
use self::telling::{Loss, PathHistory};
use super::blocks::Measured;
use super::controls::Controls;
use super::finder::Finder;
use super::follower::Follower;
use super::hearing::Hearing;
use super::remembering::Remembering;
use super::screen::Screen;
use super::streams::Streams;
use super::subject::Subject;
use super::unpacking::{Heard, Unpacking};
use super::viewing::Attention;
use super::{Options, trouble};
use crate::app::decode::{self, Saved, Show, Shown};
use crate::app::figures::Output;
use crate::app::recording::Recordings;
use crate::app::talk::Console;
use crate::app::wall::Seat;
use crate::media::{Canvas, Eighths};
use crate::net::{App, Flow};
use crate::proto::Transport;
use crate::proto::receiver::{Event, Over, Ready, Receiver};
use crate::record::film::Tracks;
use crate::units::Time;
use crate::view::{Card, Still, Wish};
use crate::wire::message::RefuseCode;
use crate::wire::{Description, StreamName};

const TICK: Duration = Duration::from_secs(1);
/// Connected, and yet no picture: after this long that is worth a word.
const PICTURE_PATIENCE: Duration = Duration::from_secs(2);

/// What the user does at the window.
pub enum Act {
    Snapshot { canvas: Arc<Canvas>, id: u64, still: Still },
    Say(String),
    Wish(Wish),
}

/// What connects the event loop with the decoder and the window.
pub struct Wiring {
    pub work: Arc<decode::Inbox>,
    pub figures: Inbox<Shown>,
    pub stills: Inbox<Saved>,
    pub acts: Inbox<Act>,
    pub attention: Arc<Attention>,
    pub hearing: Hearing,
    pub recordings: Recordings,
    /// Of a host whose name is not known yet.
    pub finder: Option<Finder>,
    /// Of a server that was found on the local network.
    pub follower: Option<Follower>,
    /// In a wall: where figures of all tiles come together.
    pub seat: Option<Seat>,
    /// Lines that are typed, and lines that were said.
    pub console: Console,
    /// How a film on demand is played.
    pub controls: Controls,
    /// Where it was left, and is.
    pub remembering: Remembering,
}

pub struct Watching {
    options: Options,
    subject: Subject,
    output: Output,
    screen: Screen,
    wiring: Wiring,
    figures: Measured,
    limits: Limits,
    playing: Option<Playing>,
    streams: Streams,
    wishes: wishes::Wishes,
    handed: u64,
    next_tick: Time,
    /// When to say that no picture has come, while none has.
    no_picture: Option<Time>,
    /// A goodbye that was said, and when to show it.
    parting: Option<(Time, Card)>,
    /// A goodbye was said, and nothing has played since.
    parted: bool,
    /// What was last said about missing pictures, so that it is said once.
    said: String,
    /// It goes over TCP.
    tcp: bool,
    savers: Vec<JoinHandle<()>>,
    loss: Loss,
    unpacking: Unpacking,
    path: PathHistory,
}

/// The stream that plays, or did.
struct Playing {
    id: u64,
    description: Description,
    /// A picture was handed out since it began.
    shown: bool,
}

impl Watching {
    /// `begun`: its limits count from then; a wall may have asked for its streams for a while before.
    pub fn new(
        options: Options,
        subject: Subject,
        output: Output,
        screen: Screen,
        wiring: Wiring,
        begun: Time,
    ) -> Self {
        let start = output.start();
        let limits = Limits::new(&options, begun);
        let wishes = wishes::Wishes::new(&options, &wiring);
        Self {
            options,
            subject,
            output,
            screen,
            wiring,
            figures: Measured::new(start),
            limits,
            playing: None,
            streams: Streams::default(),
            wishes,
            handed: 0,
            next_tick: start + TICK,
            no_picture: None,
            parting: None,
            parted: false,
            said: String::new(),
            tcp: false,
            savers: Vec::new(),
            loss: Loss::default(),
            unpacking: Unpacking::default(),
            path: PathHistory::default(),
        }
    }

    fn description(&self) -> Option<&Description> {
        self.playing.as_ref().map(|playing| &playing.description)
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

    /// Pictures are to come from now on, as far as a stream plays: says so if none has come by then.
    fn await_picture(&mut self, now: Time) {
        self.no_picture = Some(now + PICTURE_PATIENCE + self.options.latency);
    }

    fn begins(
        &mut self,
        now: Time,
        (description, id, name): (Description, u64, Option<StreamName>),
        (rejoined, transport): (bool, Transport),
    ) -> Flow {
        let other = self.playing.as_ref().is_none_or(|playing| playing.id != id);
        if let Some(text) = self.wiring.hearing.playing(&description, other) {
            self.output.warn(&text);
        }
        if other {
            self.wiring.work.reset();
            self.unpacking = Unpacking::default();
        }
        let Description { title, size, rate, .. } = &description;
        let sound = description.sound && !self.options.sound.off;
        let talk = !self.options.talk.off && self.wiring.seat.is_none();
        if self.options.talk.off {
            self.screen.talk(Err("Talk is off here: leave out --no-talk."));
        }
        self.wiring.recordings.stream(id, Tracks { size: *size, rate: *rate, sound, talk });
        self.screen.recording(self.wiring.recordings.is_running());
        self.wiring.remembering.playing(name.as_ref(), title);
        let again = if rejoined { "Back: " } else { "" };
        let from = name.as_ref().map_or_else(|| self.subject.to_string(), |name| self.subject.of(name));
        self.output.say(&format!("{again}{title}, {size}, {rate} fps, from {from}"));
        if self.subject.name.is_none() {
            self.screen.title(title);
        }
        self.said.clear();
        (self.parting, self.parted) = (None, false);
        self.await_picture(now);
        let playing = telling::playing(&description, id, name.as_ref(), self.subject.name.is_some());
        self.playing = Some(Playing { id, description, shown: false });
        self.limits.attach(now);
        self.switched(name);
        self.say_transport(transport);
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
        if self.subject.name.is_none() {
            self.screen.title(&card.title);
        }
        self.no_picture = None;
        self.wiring.work.card(card);
        let flow = self.publish("warning", json!({ "code": code, "text": text }));
        self.said = text;
        flow
    }

    fn show(&mut self, now: Time, picture: Ready, due: Option<Time>) {
        self.handed += 1;
        self.no_picture = None;
        self.playing.iter_mut().for_each(|playing| playing.shown = true);
        self.wiring.recordings.show(&picture);
        let superseded = self.wiring.work.show(Show { picture, due, handed: now, undecodable: 0 });
        self.superseded(now, superseded);
        if self.options.frames.is_some_and(|frames| self.handed >= frames) {
            // The receiver says goodbye by itself.
            self.limits.end(End::Limit);
        }
    }

    fn collect(&mut self) {
        self.wiring.figures.try_iter().for_each(|shown| self.figures.take(shown));
        for Saved { canvas, id, still } in self.wiring.stills.try_iter() {
            let title = self.playing.as_ref().map_or("", |playing| &playing.description.title);
            self.screen.save(&mut self.savers, canvas, title.to_owned(), id, still);
        }
    }

    fn toggle_recording(&mut self) {
        let position = self.figures.position(self.description());
        let title = self.playing.as_ref().map_or("", |playing| &playing.description.title);
        let position = position.map_or(Duration::ZERO, |position| position.position);
        self.wiring.recordings.toggle(title, position, (&self.output, &self.screen));
    }

    fn act(&mut self, now: Time, receiver: &mut Receiver, act: Act) {
        match act {
            // What is shown smaller than it is, the decoder has in full.
            Act::Snapshot { canvas, still, .. } if canvas.scale() != Eighths::FULL => self.wiring.work.still(still),
            Act::Snapshot { canvas, id, still } => {
                let title = self.description().map_or_else(String::new, |description| description.title.clone());
                self.screen.save(&mut self.savers, canvas, title, id, still);
            }
            Act::Say(text) => self.say(now, receiver, &text),
            Act::Wish(Wish::Record) => self.toggle_recording(),
            Act::Wish(Wish::Mute) => self.screen.notice(&self.wiring.hearing.mute()),
            Act::Wish(Wish::Film(wish)) => self.film_wish(now, receiver, wish),
            Act::Wish(Wish::Streams(turn)) => {
                let doing = self.streams.turn(now, turn);
                self.obey(now, receiver, doing);
            }
            Act::Wish(wish @ (Wish::Louder | Wish::Quieter)) => {
                self.screen.notice(&self.wiring.hearing.turn(wish == Wish::Louder));
            }
        }
    }

    /// The server does not take us there; what plays goes on.
    fn kept(&mut self, card: &Card) -> Flow {
        self.streams.kept();
        let text = trouble::sentence(card);
        self.screen.notice(&text);
        self.output.warn(&text);
        self.publish("warning", json!({ "code": "refused", "text": text }))
    }

    /// The server does not take us.
    fn refused(&mut self, now: Time, receiver: &mut Receiver, code: RefuseCode, sentence: &str) -> Flow {
        self.limits.refuse();
        let (seen, leaves) = (self.playing.is_some(), !receiver.is_staying());
        let end = ending::after_refusal(code, seen, self.options.headless, leaves);
        let (server, by_code) = (self.subject.server(), self.subject.target.code.is_some());
        let flow = match (code, end) {
            (_, Some(End::Over)) => {
                self.output.say(sentence);
                Flow::Continue
            }
            // The goodbye said so, and why.
            (RefuseCode::ENDED, None) if self.parted => Flow::Continue,
            (RefuseCode::ENDED, None) if seen => self.trouble("over", trouble::over(Over::Ended, sentence, server)),
            (RefuseCode::GUARDED, _) if self.subject.secret.is_none() => {
                self.trouble("refused", trouble::guarded(sentence, server))
            }
            _ => self.trouble("refused", trouble::refused(code, sentence, server, by_code, end.is_none())),
        };
        if let Some(end) = end {
            self.stop(now, receiver, end);
        }
        flow
    }

    fn too_large(&mut self, now: Time, receiver: &mut Receiver, card: Card) -> Flow {
        self.limits.detach();
        let flow = self.trouble("too_large", card);
        if self.options.headless {
            self.stop(now, receiver, End::Failed);
        }
        flow
    }

    /// The server said goodbye.
    fn over(&mut self, now: Time, why: Over, sentence: &str, staying: bool) {
        self.limits.detach();
        self.parted = true;
        if staying {
            // The last picture has its time on the screen first; that of a film has had it.
            let live = self.description().filter(|stream| stream.live);
            let time = live.map_or(Duration::ZERO, |stream| stream.rate.interval());
            self.parting = Some((now + time, trouble::over(why, sentence, self.subject.server())));
        } else if why == Over::Failed {
            self.limits.end(End::Failed);
            self.output.warn(&format!("error: {sentence}"));
        } else {
            self.limits.end(End::Over);
            self.output.say(sentence);
        }
    }
}

impl App<Receiver> for Watching {
    fn event(&mut self, now: Time, receiver: &mut Receiver, event: Event) -> Flow {
        match event {
            Event::Playing { description, stream, name, rejoined, .. } => {
                return self.stream_begins(now, receiver, (description, stream, name), rejoined);
            }
            Event::Slice(slice) => {
                self.wiring.recordings.slice(&slice);
                let superseded = self.wiring.work.slice(slice);
                self.superseded(now, superseded);
            }
            Event::Sound { first, piece } => {
                let heard = self.unpacking.take(first, piece);
                // What was lost becomes silence there.
                if let Heard::Whole(frames) = &heard {
                    self.wiring.recordings.sound(frames, first);
                }
                self.wiring.hearing.put(first, &heard);
            }
            Event::SoundOver => self.wiring.hearing.finish(),
            Event::SoundTiming(timing) => self.wiring.hearing.set_timing(timing),
            Event::Played(played) => self.film_played(now, receiver, played),
            Event::Show { picture, due } => {
                self.film_shown(now, receiver, picture.media_time);
                self.show(now, picture, due);
            }
            Event::Refused { sentence, kept: true, .. } => return self.kept(&trouble::not_switched(&sentence)),
            Event::Refused { code, sentence, kept: false } => return self.refused(now, receiver, code, &sentence),
            Event::TooLarge(size) => {
                let card = trouble::too_large(size, self.subject.server());
                return self.too_large(now, receiver, card);
            }
            Event::Listing(entries) => {
                let doing = self.streams.listed(now, entries);
                self.obey(now, receiver, doing);
            }
            Event::ListFailed(_) => {
                let doing = self.streams.failed();
                self.obey(now, receiver, doing);
            }
            // Its name has no address yet, which has been said.
            Event::Trouble(_) if self.wiring.finder.is_some() => {}
            Event::Trouble(why) => {
                // Where watching ends with this silence, its end says so.
                self.check_limits(now, receiver);
                if self.limits.is_over() {
                    return Flow::Continue;
                }
                self.limits.detach();
                return self.trouble("lost", self.silence(why));
            }
            Event::AnotherSender(address) => return self.another_sender(address),
            Event::Repairs { server, are_had } => return self.repairs(server, are_had),
            Event::Talk(news) => return self.talk(news),
            Event::Over { why, sentence } => self.over(now, why, &sentence, receiver.is_staying()),
            Event::Finished => return Flow::Stop,
        }
        Flow::Continue
    }

    fn turn(&mut self, now: Time, receiver: &mut Receiver) -> Flow {
        self.collect();
        if self.listen(now, receiver) == Flow::Stop {
            return Flow::Stop;
        }
        self.wiring.recordings.tell((&self.output, &self.screen));
        self.say_typed(now, receiver);
        while let Ok(act) = self.wiring.acts.try_recv() {
            self.act(now, receiver, act);
        }
        if self.leave(now, receiver) == Flow::Stop || self.find(now, receiver) == Flow::Stop {
            return Flow::Stop;
        }
        self.follow(now, receiver);
        self.wish(now, receiver);
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
        if self.limits.is_over() {
            return self.next_tick;
        }
        let parting = self.parting.as_ref().map(|(at, _)| *at);
        [self.limits.next(), self.no_picture, parting, self.wishes.deadline()]
            .into_iter()
            .flatten()
            .fold(self.next_tick, Time::min)
    }

    fn signal(&mut self, now: Time, receiver: &mut Receiver, _signal: i32) -> Flow {
        self.interrupt(now, receiver)
    }
}
