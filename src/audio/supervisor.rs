//! The thread "audio": opens the device, watches over it, and tries again when it is not there or fails.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, select};
use rtrb::{Consumer, Producer, RingBuffer};

use super::device::{self, Opened};
use super::player::Player;
use super::shared::{Block, Shared};
use super::{Happened, Settings};
use crate::queue::Waker;

/// The event loop's ends of what leads to an open device and back.
pub struct Lines {
    pub device: String,
    pub blocks: Producer<Block>,
    pub skews: Consumer<f32>,
}

pub struct Supervisor {
    pub settings: Settings,
    pub shared: Arc<Shared>,
    pub lines: Sender<Lines>,
    pub news: Sender<Happened>,
    pub waker: Waker,
    /// Disconnects when the speaker is dropped.
    pub stop: Receiver<()>,
}

/// What the event loop's thread was told last.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    Nothing,
    Missing,
    Lost,
}

impl Supervisor {
    pub fn run(self) {
        let (mut told, mut pause) = (Told::Nothing, FIRST_PAUSE);
        loop {
            let (broken, trouble) = bounded(1);
            match self.open(&broken) {
                Ok(opened) => {
                    self.tell(if told == Told::Lost { Happened::Back } else { Happened::Opened });
                    let Some(why) = self.watch(&trouble, &mut pause) else { return };
                    self.shared.open.store(false, Ordering::Relaxed);
                    self.tell(Happened::Lost(why));
                    told = Told::Lost;
                    // Closing a device in trouble may take its time.
                    drop(opened);
                }
                Err(why) if told == Told::Nothing => {
                    self.tell(Happened::Missing(why));
                    told = Told::Missing;
                }
                Err(_) => {}
            }
            if self.stop.recv_timeout(pause) == Err(RecvTimeoutError::Disconnected) {
                return;
            }
            pause = (pause * 2).min(LAST_PAUSE);
        }
    }

    fn tell(&self, happened: Happened) {
        // The speaker is gone, or has not looked for a long time: nobody is left to hear it.
        self.news.try_send(happened).ok();
        (self.waker)();
    }

    fn open(&self, broken: &Sender<String>) -> Result<Opened, String> {
        let chosen = device::choose(self.settings.period)?;
        let (blocks, frames) = RingBuffer::new(BLOCKS);
        let (figures, skews) = RingBuffer::new(SKEWS);
        let player = Player::new(chosen.rate(), frames, figures, Arc::clone(&self.shared));
        let player = player.map_err(|error| format!("the sound device's rate cannot be reached ({error})"))?;
        let lines = Lines { device: chosen.name.clone(), blocks, skews };
        let opened = chosen.open(player, &self.shared, broken)?;
        self.lines.send(lines).ok();
        self.shared.open.store(true, Ordering::Relaxed);
        Ok(opened)
    }

    /// Until the device fails: why; `None` when the speaker is dropped.
    fn watch(&self, trouble: &Receiver<String>, pause: &mut Duration) -> Option<String> {
        let (mut asked, mut idle) = (self.shared.asked.load(Ordering::Relaxed), 0);
        loop {
            select! {
                recv(self.stop) -> _ => return None,
                recv(trouble) -> why => return Some(why.unwrap_or_else(|_| STUCK.to_owned())),
                default(LOOK) => {}
            }
            let before = std::mem::replace(&mut asked, self.shared.asked.load(Ordering::Relaxed));
            idle = if before == asked { idle + 1 } else { 0 };
            if idle >= PATIENCE {
                return Some(STUCK.to_owned());
            }
            // It works: the next failure is news of its own.
            *pause = FIRST_PAUSE;
        }
    }
}

const STUCK: &str = "the sound device takes no more sound; unplug it and plug it in again, or restart the sound server";
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LAST_PAUSE: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_secs(1);
/// Looks in a row at which the device has not asked for sound.
const PATIENCE: u32 = 5;
/// 0.74 s of sound: more than anybody should put ahead.
const BLOCKS: usize = 128;
/// Some seconds of figures, if nobody takes them.
const SKEWS: usize = 1_024;
