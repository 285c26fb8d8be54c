//! The running server without sockets: in virtual time, with a source and an encoder that are real.

use std::collections::VecDeque;
use std::net::{Ipv6Addr, SocketAddr};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use super::serving::Serving;
use super::tap::{Tap, Taps};
use super::{Options, StreamOptions, channel};
use crate::app::StatsFormat;
use crate::app::announcing::AnnounceOptions;
use crate::app::figures::Output;
use crate::app::ports::Transports;
use crate::app::preview::Preview;
use crate::app::recording::Recordings;
use crate::app::secrets::GuardChoice;
use crate::app::talk::TalkOptions;
use crate::clock;
use crate::media::coded::CodedPicture;
use crate::net::{App, Flow, Marks};
use crate::proto::server::{Config, Event, Guard, Server, TalkRules};
use crate::proto::{self, Machine};
use crate::queue::Waker;
use crate::source::{self, Input, Stopper};
use crate::units::{Rate, Size};
use crate::wire::StreamName;

/// Pictures are made although nobody watches.
struct Onlooker;

impl Tap for Onlooker {
    fn picture(&mut self, _picture: &CodedPicture) {}

    fn wants_pictures(&self) -> bool {
        true
    }
}

fn stream(name: &str) -> StreamOptions {
    let rate = Rate::new(25, 1).expect("a rate");
    StreamOptions {
        name: StreamName::parse(name).expect("a name"),
        title: None,
        input: Input::Test { size: Size::new(64, 48), rate },
        ear: None,
        source: source::Options::default(),
        quality: 80,
        least_quality: 1,
        max_rate: None,
        adapt: true,
        no_wait: true,
        on_demand: false,
        queue: 10,
        record: None,
        group: None,
        guard: GuardChoice::Everybody,
    }
}

fn options(streams: &[&str], frames: u64) -> Options {
    Options {
        streams: streams.iter().map(|name| stream(name)).collect(),
        bind: SocketAddr::from((Ipv6Addr::LOCALHOST, 0)),
        marks: Marks::default(),
        audio_port: None,
        transports: Transports::default(),
        announce: AnnounceOptions::default(),
        datagram: None,
        frames: Some(frames),
        duration: None,
        force: false,
        preview: false,
        publishers: None,
        library: None,
        talk: TalkOptions::default(),
        rules: TalkRules::OPEN,
        check: None,
        stats: StatsFormat::Text,
        quiet: true,
    }
}

/// Runs to the end, and tells of each departure only after five turns more; how many there were.
fn departures(options: Options) -> usize {
    let (woken, wake_ups) = mpsc::channel();
    let waker: Waker = Arc::new(move || {
        woken.send(()).ok();
    });
    let (mut server, output) = (Server::new(Config::new([0; 32])), Output::new(StatsFormat::Text, true).expect("text"));
    let (mut channels, stopper) = (Vec::new(), Stopper::new().expect("a pipe"));
    for stream in &options.streams {
        let source = source::open(&stream.input, None, &stream.source, &stopper).expect("a test card");
        let mut taps = Taps::new(Recordings::new(Arc::clone(&waker)), false);
        taps.add(Onlooker);
        let place = (Arc::clone(&waker), output.clone());
        let opened = channel(&mut server, (stream.clone(), Guard::Open), source, taps, place);
        channels.push(opened.expect("a channel"));
    }
    let mut app = Serving::new(options, channels, output, Preview::default());
    let (mut now, mut events, mut departed) = (clock::now(), VecDeque::new(), 0);
    for _ in 0..2_000 {
        now += Duration::from_millis(10);
        if app.turn(now, &mut server) == Flow::Stop {
            break;
        }
        loop {
            match server.poll(now) {
                proto::Output::Send(_) => {}
                proto::Output::Event(event) => {
                    departed += usize::from(matches!(event, Event::Departed { .. }));
                    events.push_back((now + Duration::from_millis(50), event));
                }
                proto::Output::Wait(..) => break,
            }
        }
        while events.front().is_some_and(|(due, _)| *due <= now) {
            let (_, event) = events.pop_front().expect("one that is due");
            if app.event(now, &mut server, event) == Flow::Stop {
                app.finish(&server);
                return departed;
            }
        }
        wake_ups.recv_timeout(Duration::from_millis(5)).ok();
    }
    panic!("{departed} pictures have departed, and there is no end");
}

#[test]
fn no_more_pictures_depart_than_are_wanted_however_late_the_program_hears_of_them() {
    assert_eq!(departures(options(&["one"], 5)), 5);
    assert_eq!(departures(options(&["one", "other"], 7)), 7);
}
