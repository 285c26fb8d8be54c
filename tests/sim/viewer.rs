//! What a viewer may wish: another stream, a pause, sound or none, a list. The server is written by hand.

use std::time::Duration;

use udpstream::media::sound::Rendition;
use udpstream::proto::lister::{self, Lister};
use udpstream::proto::receiver::{Event, ListFailure, Local};
use udpstream::proto::{Input, Machine, Output, Port, Received};
use udpstream::units::{Rate, Size, Time};
use udpstream::wire::message::{Entry, List, Listing, Message, RefuseCode, State};
use udpstream::wire::tlv::Tlvs;
use udpstream::wire::{Description, Ecn, Hop, Kind};

use crate::net::{address, ms, seconds};
use crate::told::{COOKIE, Told, and_repair, name};

/// Names that were told as playing, and whether as after a loss.
fn playing(told: &Told) -> Vec<(String, bool)> {
    let playing = |event: &Event| match event {
        Event::Playing { name, rejoined, .. } => {
            Some((name.as_ref().map(ToString::to_string).unwrap_or_default(), *rejoined))
        }
        _ => None,
    };
    told.events.iter().filter_map(playing).collect()
}

/// Whether what was refused left something playing.
fn refusals(told: &Told) -> Vec<bool> {
    let refused = |event: &Event| match event {
        Event::Refused { kept, .. } => Some(*kept),
        _ => None,
    };
    told.events.iter().filter_map(refused).collect()
}

/// A watcher of stream "a", session 1.
fn at_a() -> Told {
    let mut told = Told::with(|config| (config.stream, config.stay) = (Some(name("a")), true));
    let nonce = told.hello();
    told.challenge(nonce);
    assert_eq!(told.last_join().0.as_deref(), Some("a"));
    told.accept_stream(nonce, 1, "a", 1);
    told.picture(1, 1, 0);
    assert_eq!((playing(&told), told.shown.len()), (vec![("a".to_owned(), false)], 1));
    told
}

#[test]
fn a_switch_asks_the_server_that_plays_and_of_a_silent_one_all_its_addresses() {
    for (silence, addresses) in [(0, 1), (3_000, 2)] {
        let mut told = Told::with(|config| {
            (config.stream, config.stay) = (Some(name("a")), true);
            config.servers.udp.push(address(99, 9_688));
        });
        let nonce = told.hello();
        told.challenge(nonce);
        told.accept_stream(nonce, 1, "a", 1);
        told.picture(1, 1, 0);
        told.wait(silence);
        told.sent.clear();
        told.tell(Local::Switch(Some(name("b"))));
        told.wait(300);
        // After 0, 50 and 150 ms.
        assert_eq!(told.count(Kind::HELLO), 3 * addresses, "silent for {silence} ms");
    }
}

#[test]
fn the_old_stream_plays_until_the_new_one_is_there() {
    let mut told = at_a();
    told.tell(Local::Switch(Some(name("b"))));
    let nonce = told.hello();
    told.picture(1, 1, 1);
    told.challenge(nonce);
    assert_eq!(told.last_join().0.as_deref(), Some("b"), "a Challenge is taken at once");
    told.picture(1, 1, 2);
    assert_eq!(told.shown.len(), 3, "meanwhile the old one goes on");
    assert!(told.answers(1));
    told.accept_stream(nonce, 2, "b", 2);
    assert!(told.answers(2) && !told.answers(1));
    told.picture(2, 2, 40);
    assert_eq!(told.shown.last(), Some(&(40, 0)));
    assert_eq!(playing(&told), [("a".to_owned(), false), ("b".to_owned(), false)]);
    assert_eq!(told.machine.counts().reconnects, 0, "nothing was lost");
    // After a silence it is the stream last seen that is asked for.
    told.wait(700);
    let nonce = told.hello();
    told.challenge(nonce);
    assert_eq!(told.last_join().0.as_deref(), Some("b"));
    told.accept_stream(nonce, 3, "b", 3);
    assert_eq!(playing(&told).last(), Some(&("b".to_owned(), true)));
    assert_eq!(told.machine.counts().reconnects, 1);
}

#[test]
fn a_refused_switch_leaves_everything_as_it_is() {
    for code in [RefuseCode::NO_SUCH_STREAM, RefuseCode::ENDED, RefuseCode::FULL] {
        let mut told = at_a();
        told.tell(Local::Switch(Some(name("nowhere"))));
        let nonce = told.hello();
        told.challenge(nonce);
        told.refuse(nonce, code);
        assert_eq!(refusals(&told), [true]);
        told.picture(1, 1, 1);
        assert!(told.answers(1) && told.shown.len() == 2);
        told.accept_stream(nonce, 2, "nowhere", 2);
        assert!(told.answers(1) && !told.answers(2), "what was refused is not accepted");
        told.wait(400);
        assert_eq!(told.count(Kind::HELLO), 0, "and is not asked for again");
        // Of a server that has gone, the old stream is asked for.
        told.wait(700);
        let nonce = told.hello();
        told.challenge(nonce);
        assert_eq!(told.last_join().0.as_deref(), Some("a"));
    }
}

#[test]
fn a_switch_replaces_one_that_is_on_its_way() {
    let mut told = at_a();
    told.tell(Local::Switch(Some(name("b"))));
    let first = told.hello();
    told.challenge(first);
    told.tell(Local::Switch(Some(name("c"))));
    let second = told.hello();
    assert_ne!(first, second);
    // The server has obeyed both, one after the other.
    told.accept_stream(first, 2, "b", 2);
    assert!(told.answers(2), "that is the session which the server knows");
    told.challenge(second);
    told.accept_stream(second, 3, "c", 3);
    assert!(told.answers(3));
    assert_eq!(playing(&told).last(), Some(&("c".to_owned(), false)));
    told.accept_stream(first, 4, "b", 2);
    assert!(told.answers(3), "what is over stays over");

    // One that the server knows nothing of is taken back without a word.
    told.tell(Local::Switch(Some(name("d"))));
    told.tell(Local::Switch(Some(name("c"))));
    told.sent.clear();
    told.wait(400);
    assert_eq!(told.count(Kind::HELLO), 0);
}

#[test]
fn the_second_of_two_switches_is_refused() {
    let mut told = at_a();
    told.tell(Local::Switch(Some(name("b"))));
    let first = told.hello();
    told.challenge(first);
    told.tell(Local::Switch(Some(name("c"))));
    let second = told.hello();
    told.challenge(second);
    told.accept_stream(first, 2, "b", 2);
    told.refuse(second, RefuseCode::NO_SUCH_STREAM);
    assert_eq!(refusals(&told), [true]);
    told.picture(2, 2, 0);
    assert!(told.answers(2), "the first was granted");
    told.wait(700);
    let nonce = told.hello();
    told.challenge(nonce);
    assert_eq!(told.last_join().0.as_deref(), Some("b"));
}

#[test]
fn who_was_refused_at_first_may_choose_another_at_once() {
    let mut told = Told::with(|config| config.stream = Some(name("lobyy")));
    let nonce = told.hello();
    told.challenge(nonce);
    told.refuse(nonce, RefuseCode::NO_SUCH_STREAM);
    assert_eq!(refusals(&told), [false]);
    told.sent.clear();
    told.tell(Local::Switch(Some(name("lobby"))));
    let nonce = told.hello();
    told.challenge(nonce);
    assert_eq!(told.last_join().0.as_deref(), Some("lobby"));
    told.accept_stream(nonce, 1, "lobby", 1);
    assert_eq!(playing(&told), [("lobby".to_owned(), false)]);
}

#[test]
fn a_pause_is_told_until_it_is_heard_and_is_no_trouble() {
    let mut told = at_a();
    told.tell(Local::Pause(true));
    told.wait(350);
    let sound_off_and_pause = and_repair(&[0, 35, 0, 3, 0, 0, 0, 0, 36, 0, 0]);
    assert_eq!(told.wants(), vec![(1, sound_off_and_pause); 4]);
    told.obey(1, 1);
    for _ in 0..100 {
        told.wait(250);
        told.obey(1, 1);
    }
    assert_eq!(told.wants().len(), 4, "heard");
    assert!(told.events.iter().all(|event| !matches!(event, Event::Trouble(_))), "{:?}", told.events);
    told.tell(Local::Pause(false));
    assert_eq!(told.wants().last(), Some(&(2, and_repair(&[0, 35, 0, 3, 0, 0, 0, 0, 37, 0, 0]))));
    // A datagram was lost meanwhile: of pictures that were not sent nothing was.
    told.sequence += 1;
    told.picture(1, 1, 900);
    assert_eq!(told.shown.last(), Some(&(900, 0)));
    assert_eq!((told.machine.counts().pictures.lost, told.machine.counts().pictures.thinned), (0, 899));
}

#[test]
fn who_is_paused_stays_paused_over_a_rejoin() {
    let mut told = at_a();
    told.tell(Local::Pause(true));
    told.obey(1, 1);
    told.wait(700);
    let nonce = told.hello();
    told.challenge(nonce);
    assert_eq!(told.last_join(), (Some("a".to_owned()), and_repair(&[0, 36, 0, 0])));
    // What is wished after the Join has left is told as soon as there is a session.
    told.tell(Local::Pause(false));
    told.sent.clear();
    told.accept_stream(nonce, 2, "a", 1);
    assert_eq!(told.wants(), [(1, and_repair(&[0, 35, 0, 3, 0, 0, 0, 0, 37, 0, 0]))]);
}

#[test]
fn the_picture_that_stands_is_not_late_when_it_comes_again() {
    let mut told = at_a();
    told.tell(Local::Pause(true));
    told.obey(1, 1);
    told.tell(Local::Pause(false));
    told.picture(1, 1, 0);
    let counts = told.machine.counts();
    assert_eq!((counts.pictures.shown, counts.pictures.slices_late, counts.duplicates()), (1, 0, 1));
}

#[test]
fn sound_is_wished_and_not_wished() {
    let mut told = at_a();
    told.tell(Local::Sound(Some(Rendition::Mono)));
    assert_eq!(told.wants(), [(1, and_repair(&[0, 35, 0, 3, 2, 1, 2]))], "on the sound port, mono");
    told.tell(Local::Sound(None));
    assert_eq!(told.wants().last(), Some(&(2, and_repair(&[0, 35, 0, 3, 0, 0, 0]))));
    told.tell(Local::Sound(None));
    assert_eq!(told.wants().len(), 2, "that is known");
}

fn description() -> Description {
    let (size, rate) = (Size::new(64, 48), Rate::new(25, 1).expect("25 fps"));
    let title = "A stream".to_owned();
    let (smaller, length, ended, sound_ended) = (Default::default(), None, None, None);
    Description { title, size, smaller, rate, length, live: true, sound: false, ended, sound_ended, film: None }
}

fn entry(n: u16) -> Entry {
    let (name, state, guarded) = (name(&format!("stream-{n}")), State::Playing, false);
    Entry { name, state, watchers: n.into(), guarded, description: description() }
}

/// A page of a list of so many.
fn page(nonce: u64, total: u16, first: u16, count: u16) -> Vec<u8> {
    let mut tlvs = Vec::new();
    (first..first + count).for_each(|n| entry(n).put(&mut tlvs));
    let mut body = Vec::new();
    Message::Listing(Listing { nonce, total, first, tlvs: Tlvs::trusted(&tlvs) }).emit(&mut body);
    body
}

/// The last List that was sent: nonce and first stream wanted.
fn asked(sent: &[(Kind, Vec<u8>)]) -> Option<(u64, u16)> {
    let (kind, body) = sent.iter().rfind(|(kind, _)| *kind == Kind::LIST)?;
    match Message::parse(*kind, body) {
        Ok(Message::List(List { nonce, cookie: COOKIE, first })) => Some((nonce, first)),
        other => panic!("{other:?}"),
    }
}

fn lists(told: &Told) -> Vec<Result<usize, ListFailure>> {
    let list = |event: &Event| match event {
        Event::Listing(entries) => Some(Ok(entries.len())),
        Event::ListFailed(failure) => Some(Err(failure.clone())),
        _ => None,
    };
    told.events.iter().filter_map(list).collect()
}

/// A watcher that has asked for a list and was challenged.
fn listing() -> Told {
    let mut told = at_a();
    told.tell(Local::List);
    let nonce = told.hello();
    told.challenge(nonce);
    told
}

#[test]
fn a_list_is_fetched_page_by_page_beside_the_session() {
    let mut told = listing();
    for first in (0..40).step_by(8) {
        let (nonce, wanted) = asked(&told.sent).expect("asked");
        assert_eq!(wanted, first);
        if first == 16 {
            // A page is lost, and one comes twice.
            told.wait(60);
            told.datagram(Kind::LISTING, 0, 0, &page(nonce, 40, 8, 8));
            assert_eq!(asked(&told.sent), Some((nonce, 16)));
        }
        told.datagram(Kind::LISTING, 0, 0, &page(nonce, 40, first, 8));
        told.picture(1, 1, 1 + u32::from(first));
    }
    assert_eq!(lists(&told), [Ok(40)]);
    let Some(Event::Listing(entries)) = told.events.last() else { panic!("{:?}", told.events) };
    assert_eq!(*entries, (0..40).map(entry).collect::<Vec<_>>());
    assert_eq!((told.shown.len(), playing(&told).len(), told.count(Kind::JOIN)), (6, 1, 1), "the session goes on");
    told.sent.clear();
    told.wait(400);
    assert_eq!(told.count(Kind::LIST), 0);
}

#[test]
fn a_list_that_changes_is_asked_for_again_three_times() {
    let mut told = listing();
    for round in 0..4 {
        let (nonce, first) = asked(&told.sent).expect("asked");
        assert_eq!(first, 0, "round {round}");
        told.datagram(Kind::LISTING, 0, 0, &page(nonce, 10 + 2 * round, 0, 5));
        told.datagram(Kind::LISTING, 0, 0, &page(nonce, 11 + 2 * round, 5, 5));
    }
    assert_eq!(lists(&told), [Err(ListFailure::Changing)]);
    // And so is one whose pages are empty before their time.
    let mut told = listing();
    for _ in 0..4 {
        let (nonce, _) = asked(&told.sent).expect("asked");
        told.datagram(Kind::LISTING, 0, 0, &page(nonce, 10, 0, 0));
    }
    assert_eq!(lists(&told), [Err(ListFailure::Changing)]);
}

#[test]
fn a_list_is_bounded_and_may_be_empty() {
    let mut told = listing();
    for first in (0..1_024).step_by(16) {
        let (nonce, wanted) = asked(&told.sent).expect("asked");
        assert_eq!(wanted, first);
        told.datagram(Kind::LISTING, 0, 0, &page(nonce, u16::MAX, first, 16));
    }
    assert_eq!(lists(&told), [Ok(1_024)]);
    let mut told = listing();
    let (nonce, _) = asked(&told.sent).expect("asked");
    told.datagram(Kind::LISTING, 0, 0, &page(nonce, 0, 0, 0));
    assert_eq!(lists(&told), [Ok(0)]);
}

#[test]
fn who_gets_no_list_is_told() {
    let mut told = at_a();
    told.tell(Local::List);
    told.tell(Local::List);
    for _ in 0..60 {
        told.wait(100);
        told.obey(1, 0);
    }
    assert_eq!(lists(&told), [Err(ListFailure::Nobody)]);
    let mut told = listing();
    let nonce = asked(&told.sent).expect("asked").0;
    told.refuse(nonce, RefuseCode::BUSY);
    let refused = ListFailure::Refused { code: RefuseCode::BUSY, sentence: "No.".to_owned() };
    assert_eq!(lists(&told), [Err(refused)]);
}

/// A lister, and what it sends and says.
struct Asking {
    machine: Lister,
    now: Time,
    sent: Vec<(Kind, Vec<u8>)>,
    events: Vec<lister::Event>,
}

impl Asking {
    fn new(limit: Duration) -> Self {
        let servers = vec![address(1, 9_688), address(2, 9_688)];
        let machine = Lister::new(lister::Config { seed: [5; 32], servers: servers.into(), limit }, Time::ZERO);
        let mut asking = Self { machine, now: Time::ZERO, sent: Vec::new(), events: Vec::new() };
        asking.wait(Duration::ZERO);
        asking
    }

    fn wait(&mut self, time: Duration) {
        let until = self.now + time;
        loop {
            match self.machine.poll(self.now) {
                Output::Send(transmit) => {
                    let (hop, _) = Hop::parse(&transmit.hop).expect("a hop header");
                    assert_eq!(hop.tag, 0);
                    self.sent.push((hop.kind, transmit.body.bytes().to_vec()));
                }
                Output::Event(event) => self.events.push(event),
                Output::Wait(at, _) if at < until => self.now = at.max(self.now),
                Output::Wait(..) => break self.now = until,
            }
        }
    }

    fn hear(&mut self, host: u8, kind: Kind, body: &[u8]) {
        let bytes = [&Hop::unsequenced(kind, 0, 0).to_bytes()[..], body].concat();
        let from = address(host, 9_688);
        self.machine.handle(
            self.now,
            Input::Datagram(Received { port: Port(0), from, local: None, ecn: Ecn::Not, bytes: &bytes }),
        );
        self.wait(Duration::ZERO);
    }

    fn challenge(&mut self, host: u8) {
        let hello = self.sent.iter().rfind(|(kind, _)| *kind == Kind::HELLO).expect("a Hello");
        let Ok(Message::Hello { nonce, .. }) = Message::parse(hello.0, &hello.1) else { panic!("{hello:?}") };
        let mut body = Vec::new();
        Message::Challenge { nonce, cookie: COOKIE, server_nonce: 0, publish_key: None }.emit(&mut body);
        self.hear(host, Kind::CHALLENGE, &body);
    }
}

#[test]
fn a_lister_asks_without_joining() {
    let mut asking = Asking::new(seconds(2));
    asking.challenge(2);
    let (nonce, _) = asked(&asking.sent).expect("asked");
    asking.hear(1, Kind::LISTING, &page(nonce, 2, 0, 2));
    assert_eq!(asking.events, [], "that is not the one that was asked");
    asking.hear(2, Kind::LISTING, &page(nonce, 3, 0, 2));
    assert_eq!(asked(&asking.sent), Some((nonce, 2)));
    asking.hear(2, Kind::LISTING, &page(nonce, 3, 2, 1));
    let entries = (0..3).map(entry).collect();
    assert_eq!(asking.events, [lister::Event::Listing(address(2, 9_688), entries), lister::Event::Finished]);
    asking.wait(seconds(60));
    assert_eq!(asking.events.len(), 2);
}

#[test]
fn a_lister_gives_up_when_it_is_told_to() {
    let mut asking = Asking::new(seconds(1));
    asking.wait(ms(999));
    let hellos = asking.sent.iter().filter(|(kind, _)| *kind == Kind::HELLO).count();
    assert_eq!((hellos, asking.events.len()), (2 * 6, 0), "0, 50, 150, 350, 600, 850 ms");
    asking.wait(ms(1));
    asking.wait(ms(1));
    assert_eq!(asking.events, [lister::Event::Failed(ListFailure::Nobody), lister::Event::Finished]);
    // A cookie that is not good any more is not repeated for ever.
    let mut asking = Asking::new(seconds(5));
    asking.challenge(1);
    let nonce = asked(&asking.sent).expect("asked").0;
    asking.wait(seconds(3));
    asking.challenge(1);
    assert_ne!(asked(&asking.sent).expect("asked").0, nonce);
}
