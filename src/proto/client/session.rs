//! A session that a server has accepted.

use std::time::Duration;

use super::wishes::Wanting;
use crate::proto::reception::Reception;
use crate::units::{MediaTime, Speed, Time, Timing};
use crate::wire::StreamName;
use crate::wire::message::{InForce, Jump, Message, RelayHop, State, Timeline, hops};
use crate::wire::tlv::{Tlvs, kind, printable};

/// A server speaks at least four times a second, to a thousand watchers twice. After this much silence it is asked
/// whether it is there, or a new one in its place; nothing is said about that yet.
const SUSPECT_AFTER: Duration = Duration::from_millis(500);

/// How a film on demand is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Played {
    /// Rises whenever anything of this changes.
    pub generation: u32,
    /// Another one than before: the film goes on somewhere else.
    pub jump: u32,
    /// The number of the last order that was obeyed.
    pub obeyed: u32,
    pub state: State,
    /// Where it stands or, while it is played, where it was at some moment.
    pub media: MediaTime,
    /// When that was due, in our clock; `None`: it is not known yet.
    pub at: Option<Time>,
    pub speed: Speed,
}

pub struct Session {
    pub reception: Reception,
    /// Of the stream, as Accept told it.
    pub name: Option<StreamName>,
    /// Where its sound is; 0: nowhere.
    pub sound_port: u16,
    /// Its Description has come: without one there is nothing to show.
    pub described: bool,
    /// It was made by a switch to another stream.
    pub switched: bool,
    /// What media time means on the server's clock. May come before the Description.
    pub timeline: Option<Timeline>,
    /// Which place of a film on demand is sent.
    pub jump: Option<Jump>,
    /// It is another one than before, which is to be told.
    pub jumped: bool,
    pub wanting: Wanting,
    /// What the server sends at present.
    pub in_force: Option<InForce>,
    /// Relays above, the nearest to the origin first.
    pub hops: Vec<RelayHop>,
    /// Of a group: where its sender can be asked, as it says.
    pub unicast: Option<u16>,
    /// The server's goodbye: its code and sentence.
    pub bye: Option<(u16, String)>,
}

impl Session {
    /// Nothing was told in it yet.
    pub const fn new(reception: Reception, wanting: Wanting) -> Self {
        Self {
            reception,
            name: None,
            sound_port: 0,
            described: false,
            switched: false,
            timeline: None,
            jump: None,
            jumped: false,
            wanting,
            in_force: None,
            hops: Vec::new(),
            unicast: None,
            bye: None,
        }
    }

    /// When silence becomes suspicious: never before the server was to speak.
    pub fn suspect_at(&self) -> Time {
        self.reception.heard() + SUSPECT_AFTER.max(self.reception.report_interval())
    }

    /// Heeds what is said in the session, beside what its reception has heeded.
    pub fn heed(&mut self, message: &Message<'_>) {
        match message {
            Message::Update { tlvs, .. } => self.heed_update(*tlvs),
            Message::Bye { session, code, sentence } if *session == self.reception.id() => self.end(*code, sentence),
            _ => {}
        }
    }

    /// The other end has said goodbye.
    pub fn end(&mut self, code: u16, sentence: &str) {
        self.bye = Some((code, printable(sentence)));
    }

    fn heed_update(&mut self, tlvs: Tlvs<'_>) {
        if let Some(Ok(timeline)) = tlvs.find(kind::TIMELINE).map(Timeline::parse)
            && self.timeline.is_none_or(|old| timeline.generation >= old.generation)
        {
            self.timeline = Some(timeline);
        }
        if let Some(Ok(jump)) = tlvs.find(kind::JUMP).map(Jump::parse) {
            self.heed_jump(jump);
        }
        if let Some(Ok(in_force)) = tlvs.find(kind::THINNING).map(InForce::parse) {
            self.in_force = Some(in_force);
        }
        if tlvs.find(kind::HOPS).is_some() {
            self.hops = hops(tlvs);
        }
        if let Some(&[high, low]) = tlvs.find(kind::UNICAST) {
            self.unicast = Some(u16::from_be_bytes([high, low])).filter(|port| *port > 0);
        }
        if let Some(name) = tlvs.text(kind::STREAM).and_then(|name| StreamName::parse(name).ok()) {
            self.name = Some(name);
        }
        if let Some(number) = tlvs.find(kind::WANTED).and_then(|number| number.try_into().ok()) {
            self.wanting.obeyed(u32::from_be_bytes(number));
        }
    }

    fn heed_jump(&mut self, jump: Jump) {
        let ahead = self.jump.map_or(1, |before| jump.number.wrapping_sub(before.number).cast_signed());
        if ahead < 0 {
            return;
        }
        self.jump = Some(jump);
        if ahead > 0 {
            self.jumped = true;
            self.reception.begin_at(jump.from);
        }
    }

    /// When the moments of the stream are due at the server, in our clock.
    pub fn timing(&self) -> Option<Timing> {
        let timeline = self.timeline.filter(|timeline| timeline.state != State::Waiting)?;
        let at = self.reception.clock().local(timeline.clock)?;
        Some(Timing::through(timeline.media, at, timeline.speed))
    }

    /// How a film on demand is played.
    pub fn played(&self) -> Option<Played> {
        let (jump, timeline) = (self.jump?, self.timeline?);
        let at = self.timing().map(|timing| timing.at(timeline.media));
        let Timeline { generation, state, media, speed, .. } = timeline;
        Some(Played { generation, jump: jump.number, obeyed: jump.obeyed, state, media, at, speed })
    }
}
