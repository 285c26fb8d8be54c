//! What a relay shows of its own: films out of the cache, cards; and what of films it lends to relays below.

use super::{CHUNKS, PICTURES, Playing, Relaying, why};
use crate::app::relay::card::{self, Shown};
use crate::app::relay::keeper::{Keeper, Order};
use crate::media::coded::Object;
use crate::proto::relay::{Above, Local, Relay};
use crate::proto::server::{self, Adoption, Feed, StreamKey};
use crate::proto::{Input, Machine};
use crate::units::Time;
use crate::wire::message::NameRange;

impl Relaying {
    /// Nothing comes: what is kept is played, or else a card says why.
    pub(super) fn away(&mut self, now: Time, relay: &mut Relay, key: StreamKey) {
        let Some(stage) = self.stages.get_mut(&key) else { return };
        if stage.plays.is_some() || stage.asked {
            return;
        }
        if matches!(stage.above, Above::Away(_)) {
            self.output.warn(&format!("warning: {}: {}", stage.name, why(&stage.above, &self.options)));
        }
        let order = Order::Play(key, stage.name.clone(), stage.next);
        match &self.keeper {
            Some(keeper) => {
                keeper.tell(order);
                stage.asked = true;
            }
            None => self.show_card(now, relay, key),
        }
    }

    pub(super) fn show_card(&mut self, now: Time, relay: &mut Relay, key: StreamKey) {
        let Some(stage) = self.stages.get_mut(&key) else { return };
        let why = why(&stage.above, &self.options);
        if stage.card.as_ref().is_some_and(|card| card.why == why) {
            return;
        }
        let Some(like) = relay.server().description(key).cloned() else { return };
        let title = format!("{} is away", stage.name);
        let description = card::description(&title, &like);
        match Shown::new(now, &title, why, like.size) {
            Ok(card) => {
                stage.card = Some(card);
                let adoption = Adoption { id: 0, description, object: None, ended: None, prompt: true };
                relay.handle(now, Input::Local(Local::Show(key, adoption)));
            }
            Err(error) => tracing::warn!(%error, "no card could be drawn"),
        }
    }

    /// The keeper has looked for a film.
    pub(super) fn plays(&mut self, now: Time, relay: &mut Relay, key: StreamKey, adoption: Option<Adoption>) {
        let Some(stage) = self.stages.get_mut(&key) else { return };
        stage.asked = false;
        let away = matches!(stage.above, Above::Away(_));
        let asked = stage.above == Above::Asked && self.unlisted;
        match adoption {
            Some(adoption) if away || asked => {
                (stage.plays, stage.card) = (Some(Playing::default()), None);
                self.output.say(&format!("{}: it plays out of the cache.", stage.name));
                relay.handle(now, Input::Local(Local::Play(key, adoption)));
            }
            Some(_) => self.order(Order::Stop(key)),
            None if away => self.show_card(now, relay, key),
            None => {}
        }
    }

    /// Hands over what plays out of the cache, and cards, as far as their moment has come.
    pub(super) fn feed_all(&mut self, now: Time, relay: &mut Relay) {
        let keys: Vec<StreamKey> = self.stages.keys().copied().collect();
        for key in keys {
            self.feed_film(now, relay, key);
            let card = self.stages.get_mut(&key).and_then(|stage| stage.card.as_mut());
            if let Some(picture) = card.and_then(|card| card.picture(now)) {
                self.feed(now, relay, key, Feed::Picture(picture));
            }
        }
    }

    pub(super) fn feed_film(&mut self, now: Time, relay: &mut Relay, key: StreamKey) {
        let Some(playing) = self.stages.get_mut(&key).and_then(|stage| stage.plays.as_mut()) else { return };
        let mut feeds = Vec::new();
        if relay.server().wants_picture(key)
            && let Some(picture) = playing.pictures.pop_front()
        {
            playing.over.0 |= picture.is_err();
            feeds.push(picture.map_or_else(|end| Feed::Ended(Some(end)), Feed::Passed));
        }
        while relay.server().wants_sound(key)
            && let Some(sound) = playing.sounds.pop_front()
        {
            playing.over.1 |= sound.is_none();
            let feed = sound.map_or(Feed::SoundEnded, Feed::PassedSound);
            relay.handle(now, Input::Local(Local::Server(server::Local::Stream(key, feed))));
        }
        let mut orders = (0, 0);
        while !playing.over.0 && playing.pictures.len() + playing.asked.0 < PICTURES {
            (playing.asked.0, orders.0) = (playing.asked.0 + 1, orders.0 + 1);
        }
        while !playing.over.1 && playing.sounds.len() + playing.asked.1 < CHUNKS {
            (playing.asked.1, orders.1) = (playing.asked.1 + 1, orders.1 + 1);
        }
        (0..orders.0).for_each(|_| self.order(Order::Picture(key)));
        (0..orders.1).for_each(|_| self.order(Order::Sound(key)));
        feeds.into_iter().for_each(|feed| self.feed(now, relay, key, feed));
    }

    /// Relays below are given what they ask for, as far as what they were given before has left.
    pub(super) fn lend(&mut self, relay: &Relay) {
        let Some(keeper) = &self.keeper else { return };
        self.lending.retain(|id, _| relay.server().has_session(*id));
        for (id, lending) in &mut self.lending {
            if !lending.is_busy && relay.server().supply_room(*id) > 0 {
                let range = lending.asked.pop_front();
                lending.is_busy = range.is_some();
                range.into_iter().for_each(|range| keeper.tell(Order::Lend(*id, range)));
            }
        }
    }

    pub(super) fn lent(&mut self, now: Time, relay: &mut Relay, id: u64, range: NameRange, objects: Vec<Object>) {
        self.lending.entry(id).or_default().is_busy = false;
        let local =
            if objects.is_empty() { server::Local::Gone(id, range) } else { server::Local::Supply(id, objects) };
        relay.handle(now, Input::Local(Local::Server(local)));
    }

    /// A thread that has died keeps nothing, and brings nothing to those who wait for it.
    pub(super) fn mourn(&mut self, now: Time, relay: &mut Relay) {
        if !self.keeper.as_ref().is_some_and(Keeper::is_dead) {
            return;
        }
        self.output.warn(
            "error: the thread that keeps films died, which is a bug; films are neither kept nor played any more",
        );
        self.keeper = None;
        let keys: Vec<StreamKey> = self.stages.keys().copied().collect();
        for key in keys {
            let Some(stage) = self.stages.get_mut(&key) else { continue };
            let waits = std::mem::take(&mut stage.asked);
            if stage.plays.take().is_some() {
                self.feed(now, relay, key, Feed::Failed("The film could not be read on.".to_owned()));
            } else if waits {
                self.show_card(now, relay, key);
            }
        }
    }
}
