//! The way that sound comes: in a session of its own on the server's sound port, or, where nobody answers there (a firewall),
//! in that of the pictures.

use std::net::SocketAddr;
use std::time::Duration;

use super::Receiver;
use crate::proto::client::{self, Client};
use crate::proto::{Port, Reason, Received, Soonest};
use crate::units::Time;
use crate::wire::ObjectView;
use crate::wire::message::Place;

/// Nobody has answered on the sound port for so long: sound is asked for on the other.
const SOUND_PATIENCE: Duration = Duration::from_millis(600);

/// The session of pictures that a way was chosen for, and the way.
#[derive(Default)]
pub struct SoundPath {
    chosen_for: Option<u64>,
    way: SoundWay,
}

#[derive(Default)]
enum SoundWay {
    /// No sound in this session: none is wanted, or none is there.
    #[default]
    None,
    /// A session of its own, being looked for since then, or in use.
    Session(Box<Client>, Time),
    /// In the session of the pictures.
    Here,
}

impl SoundPath {
    pub fn client(&self) -> Option<&Client> {
        match &self.way {
            SoundWay::Session(client, _) => Some(client),
            SoundWay::None | SoundWay::Here => None,
        }
    }

    pub fn client_mut(&mut self) -> Option<&mut Client> {
        match &mut self.way {
            SoundWay::Session(client, _) => Some(client),
            SoundWay::None | SoundWay::Here => None,
        }
    }

    pub const fn is_here(&self) -> bool {
        matches!(self.way, SoundWay::Here)
    }

    /// The way is to be chosen anew, of the same session of pictures.
    pub const fn choose_again(&mut self) {
        self.chosen_for = None;
    }

    /// When nobody has answered on the sound port for too long.
    fn patience(&self) -> Option<Time> {
        match &self.way {
            SoundWay::Session(client, since) if !client.is_joined() => Some(*since + SOUND_PATIENCE),
            _ => None,
        }
    }
}

impl Receiver {
    /// Opens, drops or moves the session for sound as that of the pictures asks for it.
    pub(super) fn tend_sound_path(&mut self, now: Time) {
        if let Some((id, server, port)) = self.client.session() {
            if self.sound_path.chosen_for != Some(id) {
                self.choose_sound_path(now, id, (server, port));
            }
            if self.sound_path.patience().is_some_and(|until| now >= until) {
                self.ask_for_sound_here(now);
            }
        }
        self.tend_sound_session(now);
    }

    fn choose_sound_path(&mut self, now: Time, id: u64, (mut server, port): (SocketAddr, u16)) {
        self.leave_sound_session(now);
        self.sound_path.chosen_for = Some(id);
        let there = self.client.stream().is_some_and(|stream| stream.description.sound);
        match port {
            _ if !there || self.wanted.sound.is_none() => {}
            // A watcher that joined the sound port itself is sent sound without asking.
            _ if server.port() == port => {}
            0 => self.ask_for_sound_here(now),
            _ => {
                server.set_port(port);
                let client = self.sound_client(now, id, server);
                self.sound_path.way = SoundWay::Session(Box::new(client), now);
            }
        }
        self.tell_wishes(now);
    }

    fn sound_client(&mut self, now: Time, with: u64, server: SocketAddr) -> Client {
        let wishes = self.wanted.wishes(Place::SoundPort).of_sound();
        let (servers, port, with_session) = (vec![server].into(), Port::SOUND, Some(with));
        let config = client::Config { servers, port, wishes, with_session, ..self.client.config().clone() };
        Client::new(config, &self.random.seed(), now)
    }

    /// What the session for sound says concerns nobody else; without it, sound comes in that of the pictures.
    fn tend_sound_session(&mut self, now: Time) {
        let Some(client) = self.sound_path.client_mut() else { return };
        let player = &self.player;
        client.set_patience(Duration::ZERO);
        client.tend(now, Duration::ZERO, &|kind, rendition, unit| player.in_time(kind, rendition, unit));
        let (mut lost, mut jumped) = (false, false);
        while let Some(event) = client.event() {
            lost |= matches!(event, client::Event::Refused { .. } | client::Event::Trouble(_));
            jumped |= event == client::Event::Jumped;
        }
        // The session of the pictures may hear of it later.
        let jump = client.jump().filter(|_| jumped);
        if client.goodbye().is_some() {
            client.close(now);
        }
        let ahead = |jump: u32| self.player.jump().is_some_and(|own| jump.wrapping_sub(own).cast_signed() > 0);
        if jump.is_some_and(ahead) {
            self.player.jump_to(jump);
        }
        if lost {
            self.ask_for_sound_here(now);
        }
    }

    fn ask_for_sound_here(&mut self, now: Time) {
        self.leave_sound_session(now);
        self.sound_path.way = SoundWay::Here;
        self.tell_wishes(now);
    }

    /// Says goodbye on the sound port, where a session may be.
    pub(super) fn leave_sound_session(&mut self, now: Time) {
        if let SoundWay::Session(mut client, _) = std::mem::take(&mut self.sound_path.way) {
            client.close(now);
            self.out.extend(std::iter::from_fn(|| client.transmit()));
            self.gone.add(client.traffic());
        }
    }

    pub(super) fn sound_datagram(&mut self, now: Time, datagram: Received<'_>) {
        let Some(client) = self.sound_path.client_mut() else {
            // Nothing is expected there: it is for nobody, as if it had come from a stranger.
            return;
        };
        let object = client.datagram(now, datagram);
        if client.jump() != self.player.jump() {
            while client.rebuilt(now).is_some() {}
            return;
        }
        self.player.set_timing(self.client.timing());
        if let Some((came, object)) = object
            && !self.player.sound_object(came, &object)
        {
            client.reject();
        }
        while let Some((came, object)) = client.rebuilt(now) {
            let taken = ObjectView::parse(object.bytes()).map(|object| self.player.sound_object(came, &object));
            if taken != Ok(true) {
                client.reject();
            }
        }
    }

    /// When the way of sound is to be looked at next.
    pub(super) fn sound_path_soonest(&self) -> Soonest {
        let session = self.sound_path.client().map_or_else(Soonest::new, Client::soonest);
        // Without a session of pictures there is nobody to ask.
        let patience = self.sound_path.patience().filter(|_| self.client.is_joined());
        session.or(patience, Reason::Retry)
    }
}
