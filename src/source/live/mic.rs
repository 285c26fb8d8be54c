//! Microphones: one run of ffmpeg at a time, watched over, and silence where it is away. `mic:` is the sound server's
//! default or else ALSA's, `mic:hw:1` a device of ALSA, any other name a source of the sound server.
//!
//! `mic:lavfi:GRAPH` stands in for a microphone, for tests and for people without one, such as `mic:lavfi:sine=440`.

use std::time::Duration;

use crossbeam_channel::Sender;

use super::arguments::{self, MicAddress, System};
use super::feed::{Feed, Starting, Who};
use super::line::{Closed, IDLE, Line, span};
use super::meter::{Card, Shown};
use super::stamps::CaptureClock;
use super::trouble::{DeviceKind, Trouble};
use super::{Device, Ear, FIRST_PAUSE, LAST_PAUSE, News};
use crate::clock;
use crate::ffmpeg::Control;
use crate::media::nut::Stream;
use crate::media::sound::{self, Chunk, RATE};
use crate::queue::{Producer, Watched};
use crate::source::{Input, Options, SoundOptions, SourceError};
use crate::units::Time;

pub(in crate::source) fn ear(device: &str, options: SoundOptions) -> Box<dyn Ear> {
    Box::new(Microphone { device: device.to_owned(), options, shown: None })
}

/// A card with a meter for a microphone alone, and its ear.
pub(in crate::source) fn card(device: &str, sound: SoundOptions, options: &Options) -> (Box<dyn Device>, Box<dyn Ear>) {
    let shown = Shown::default();
    let ear = Microphone { device: device.to_owned(), options: sound, shown: Some(shown.clone()) };
    (Box::new(Card::new(ear.name(), options, shown)), Box::new(ear))
}

/// A microphone that is opened anew each time.
struct Microphone {
    device: String,
    options: SoundOptions,
    /// Where a meter finds what was heard.
    shown: Option<Shown>,
}

/// Why a microphone is left.
enum End {
    Closed,
    Failed(SourceError),
}

impl From<Closed> for End {
    fn from(Closed: Closed) -> Self {
        Self::Closed
    }
}

impl From<SourceError> for End {
    fn from(error: SourceError) -> Self {
        Self::Failed(error)
    }
}

impl Ear for Microphone {
    fn details(&self) -> String {
        let mono = if self.options.mono { " in mono" } else { "" };
        format!("{}{mono}", self.name())
    }

    fn hear(&mut self, control: &Control, zero: &Watched<Option<Time>>, out: Producer<Chunk>, news: &Sender<News>) {
        let Some(mut line) = Line::new(control, zero, out, LATEST, self.shown.clone()) else { return };
        let (mut pause, mut told) = (FIRST_PAUSE, false);
        loop {
            let mut opened = || {
                pause = FIRST_PAUSE;
                self.tell(None);
                if std::mem::take(&mut told) {
                    news.try_send(News::Back(self.name())).ok();
                }
            };
            match self.listen(&mut line, &mut opened) {
                End::Closed => return,
                End::Failed(error) => {
                    self.tell(Some(error.to_string()));
                    if !told {
                        news.try_send(News::Lost(error.to_string())).ok();
                    }
                }
            }
            told = true;
            let until = clock::now() + pause;
            pause = (pause * 2).min(LAST_PAUSE);
            while clock::now() < until {
                if !line.control.sleep_until(clock::now() + IDLE) || line.idle().is_err() {
                    return;
                }
            }
        }
    }
}

impl Microphone {
    fn name(&self) -> String {
        Input::Mic(self.device.clone()).name()
    }

    /// Tells the card that shows the microphone, if there is one.
    fn tell(&self, why: Option<String>) {
        if let Some(shown) = &self.shown {
            shown.away(why);
        }
    }

    /// Listens to the first of its places that answers until that fails.
    fn listen(&self, line: &mut Line<'_>, opened: &mut impl FnMut()) -> End {
        let mut end = End::Failed(SourceError::NotHeard(self.name()));
        for place in places(System::here(), &self.device) {
            let mut answered = false;
            let mut open = || {
                answered = true;
                opened();
            };
            let Err(why) = self.listen_at(&place, line, &mut open);
            end = why;
            if answered || matches!(end, End::Closed) {
                return end;
            }
        }
        end
    }

    fn listen_at(
        &self,
        place: &MicAddress,
        line: &mut Line<'_>,
        opened: &mut impl FnMut(),
    ) -> Result<std::convert::Infallible, End> {
        let mut arguments = arguments::microphone(place);
        arguments.extend(arguments::sound(&self.options));
        arguments.extend(arguments::out());
        let who = Who { name: self.name(), address: place.address().to_owned(), kind: DeviceKind::Sound };
        let starting = Starting::new(&arguments, &who, line.control)?;
        wait(line, &who, FIRST_SOUND, |until| starting.ready(until))?;
        let mut feed = starting.open(PATIENCE)?;
        let &Stream::Sound { rate: RATE, channels: 2 } = feed.stream() else {
            return Err(who.trouble(Trouble::Unknown("not the sound that was asked for".to_owned())).into());
        };
        line.placer.interrupted();
        let (mut stamps, mut body, mut frames) = (CaptureClock::default(), Vec::new(), Vec::new());
        loop {
            wait(line, &who, PATIENCE, |until| feed.ready(until))?;
            let first = next(&mut feed, &mut stamps, &mut body)?;
            opened();
            frames.clear();
            frames.extend(body.as_chunks::<4>().0.iter().map(|&[a, b, c, d]| {
                let frame = [i16::from_le_bytes([a, b]), i16::from_le_bytes([c, d])];
                if self.options.mono { sound::mono(frame) } else { frame }
            }));
            line.put(&frames, first)?;
        }
    }
}

/// Waits for `ready` and keeps silence meanwhile.
fn wait(line: &mut Line<'_>, who: &Who, patience: Duration, ready: impl Fn(Time) -> bool) -> Result<(), End> {
    let patient = clock::now() + patience;
    while !ready(clock::now() + IDLE) {
        line.idle()?;
        if clock::now() >= patient {
            return Err(who.trouble(Trouble::Silent(patience.as_secs())).into());
        }
    }
    Ok(line.open()?)
}

/// The next packet in `body`, and when its first frame was heard. It is the last frame that is here soonest.
fn next(feed: &mut Feed, stamps: &mut CaptureClock, body: &mut Vec<u8>) -> Result<Time, SourceError> {
    let stamp = feed.next(body, PATIENCE)?;
    let length = span((body.len() / 4) as i64);
    let end = stamps.captured(stamp.saturating_add(length), clock::now(), clock::wall_ahead());
    Ok(end.offset(-length))
}

/// Where to look for a microphone, the likeliest first.
fn places(system: System, device: &str) -> Vec<MicAddress> {
    if let Some(graph) = device.strip_prefix("lavfi:") {
        return vec![MicAddress::Graph(graph.to_owned())];
    }
    let name = |default: &str| if device.is_empty() { default } else { device }.to_owned();
    match system {
        System::Linux if device.contains(':') => vec![MicAddress::Alsa(device.to_owned())],
        System::Linux => vec![MicAddress::Pulse(name("default")), MicAddress::Alsa(name("default"))],
        System::MacOs => vec![MicAddress::AvFoundation(name("default"))],
        System::Windows => vec![MicAddress::DirectShow(name("default"))],
    }
}

impl MicAddress {
    /// By ffmpeg's name.
    fn address(&self) -> &str {
        match self {
            Self::Pulse(name) | Self::Alsa(name) | Self::AvFoundation(name) => name,
            Self::DirectShow(name) | Self::Graph(name) => name,
        }
    }
}

/// Microphones begin in a fraction of a second; those that another machine has take longer.
const FIRST_SOUND: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(2);
/// Sound that has not come by then is taken to be none.
const LATEST: Duration = Duration::from_millis(60);

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::media::sound::FRAMES;
    use crate::queue::{Consumer, Pop, WhenFull, bounded};

    #[test]
    fn a_name_is_looked_for_where_it_is_likeliest() {
        let pulse = |name: &str| MicAddress::Pulse(name.to_owned());
        let alsa = |name: &str| MicAddress::Alsa(name.to_owned());
        for (device, expected) in [
            ("", vec![pulse("default"), alsa("default")]),
            ("hw:1", vec![alsa("hw:1")]),
            ("null.monitor", vec![pulse("null.monitor"), alsa("null.monitor")]),
            ("lavfi:sine=440", vec![MicAddress::Graph("sine=440".to_owned())]),
        ] {
            assert_eq!(places(System::Linux, device), expected);
        }
        assert_eq!(places(System::MacOs, "1"), [MicAddress::AvFoundation("1".to_owned())]);
        assert_eq!(places(System::Windows, "A Mic"), [MicAddress::DirectShow("A Mic".to_owned())]);
    }

    fn chunks(consumer: &Consumer<Chunk>, count: usize) -> Vec<Chunk> {
        (0..count)
            .map(|_| match consumer.pop_timeout(Duration::from_secs(20)) {
                Pop::Item(chunk) => chunk,
                other => panic!("{other:?} instead of a chunk"),
            })
            .collect()
    }

    fn is_loud(chunk: &Chunk) -> bool {
        chunk.frames.iter().any(|[left, _]| left.unsigned_abs() > 1_000)
    }

    #[test]
    fn a_stand_in_is_heard_lost_and_heard_again_without_a_gap_in_its_numbers() {
        let control = Control::new().expect("a control");
        let (out, consumer) = bounded(4_000, WhenFull::DropOldest, None);
        let (tell, news) = crossbeam_channel::bounded(8);
        let (zero, hearing) = (Arc::new(Watched::new(Some(clock::now()))), control.clone());
        let mut ear = super::ear("lavfi:sine=440:sample_rate=48000", SoundOptions::default());
        let thread = std::thread::spawn(move || ear.hear(&hearing, &zero, out, &tell));
        let mut number = 0;
        let mut until = |wanted: bool| {
            for _ in 0..2_000 {
                let chunk = chunks(&consumer, 1).remove(0);
                assert_eq!((chunk.number, chunk.frames.len()), (number, FRAMES));
                assert!(chunk.captured <= clock::now());
                number += 1;
                if is_loud(&chunk) == wanted {
                    return;
                }
            }
            panic!("never {wanted}");
        };
        until(true);
        control.children().into_iter().for_each(|child| control.kill(child));
        until(false);
        until(true);
        control.stop();
        thread.join().expect("no panic");
        let news: Vec<_> = news.try_iter().collect();
        assert!(matches!(&news[..], [News::Lost(why), News::Back(_)] if why.contains("lost")), "{news:?}");
    }

    #[test]
    fn a_microphone_that_is_not_there_is_silence_and_told_once() {
        let control = Control::new().expect("a control");
        let (out, consumer) = bounded(4_000, WhenFull::DropOldest, None);
        let (tell, news) = crossbeam_channel::bounded(8);
        let (zero, hearing) = (Arc::new(Watched::new(Some(clock::now()))), control.clone());
        let mut ear = super::ear("hw:987", SoundOptions::default());
        let thread = std::thread::spawn(move || ear.hear(&hearing, &zero, out, &tell));
        // A busy machine takes its time to find out.
        let told = news.recv_timeout(Duration::from_secs(20));
        assert!(matches!(told, Ok(News::Lost(_))), "{told:?}");
        let heard = chunks(&consumer, 300);
        assert!(!heard.iter().any(is_loud));
        drop(consumer);
        thread.join().expect("no panic");
        assert_eq!(news.try_iter().count(), 0, "it is told once");
        assert_eq!(control.children(), [0_u32; 0]);
    }
}
