//! The thread "audio": opens the device, watches over it, and tries again when it is not there or fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
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
    Open,
    Lost,
}

/// Why a device is closed.
enum End {
    /// The speaker is dropped.
    Stopped,
    /// This machine is too busy to serve it so often.
    Crackles,
    Failed(String),
    /// It plays nothing, and as fast as it is fed.
    Null,
}

impl Supervisor {
    pub fn run(self) {
        // A frame passes through several threads, of cpal and of the sound server's library, each of which is woken.
        #[cfg(target_os = "linux")]
        crate::net::slice::shorten_with_children();
        let (mut told, mut pause, mut period) = (Told::Nothing, FIRST_PAUSE, self.settings.period);
        loop {
            let (broken, trouble) = bounded(1);
            match self.open(period, &broken) {
                // Closing a device in trouble may take its time; it is told before.
                Ok(_opened) => {
                    self.is_open(&mut told);
                    match self.watch(&trouble, period, &mut pause) {
                        End::Stopped => return,
                        End::Crackles => {
                            period *= 2;
                            continue;
                        }
                        End::Failed(why) => self.is_gone(&mut told, why),
                        End::Null => {
                            self.is_gone(&mut told, NULL.to_owned());
                            break;
                        }
                    }
                }
                Err(why) => self.is_gone(&mut told, why),
            }
            if self.stop.recv_timeout(pause) == Err(RecvTimeoutError::Disconnected) {
                return;
            }
            pause = (pause * 2).min(LAST_PAUSE);
        }
        // It would be the same again and again.
        self.stop.recv().ok();
    }

    fn is_open(&self, told: &mut Told) {
        self.shared.open.store(true, Ordering::Relaxed);
        match std::mem::replace(told, Told::Open) {
            Told::Nothing | Told::Missing => self.tell(Happened::Opened),
            Told::Lost => self.tell(Happened::Back),
            // It was only opened anew.
            Told::Open => {}
        }
    }

    fn is_gone(&self, told: &mut Told, why: String) {
        self.shared.open.store(false, Ordering::Relaxed);
        match told {
            Told::Nothing => {
                *told = Told::Missing;
                self.tell(Happened::Missing(why));
            }
            Told::Open => {
                *told = Told::Lost;
                self.tell(Happened::Lost(why));
            }
            // Once is enough.
            Told::Missing | Told::Lost => {}
        }
    }

    fn tell(&self, happened: Happened) {
        // The speaker is gone, or has not looked for a long time: nobody is left to hear it.
        self.news.try_send(happened).ok();
        (self.waker)();
    }

    fn open(&self, period: u32, broken: &Sender<String>) -> Result<Opened, String> {
        let chosen = device::choose(period)?;
        let (blocks, frames) = RingBuffer::new(BLOCKS);
        let (figures, skews) = RingBuffer::new(SKEWS);
        let player = Player::new(chosen.rate(), frames, figures, Arc::clone(&self.shared));
        let player = player.map_err(|error| format!("the sound device's rate cannot be reached ({error})"))?;
        let lines = Lines { device: chosen.name.clone(), blocks, skews };
        let opened = chosen.open(player, &self.shared, broken)?;
        // Nobody takes them if the speaker was dropped meanwhile.
        self.lines.send(lines).ok();
        Ok(opened)
    }

    /// Watches over an open device until it has to be closed.
    fn watch(&self, trouble: &Receiver<String>, period: u32, pause: &mut Duration) -> End {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (mut asked, mut idle, mut dry) = (count(&self.shared.asked), 0, 0.0);
        let mut ran_dry = count(&self.shared.device_underruns);
        loop {
            select! {
                recv(self.stop) -> _ => return End::Stopped,
                recv(trouble) -> why => return End::Failed(why.unwrap_or_else(|_| STUCK.to_owned())),
                default(LOOK) => {}
            }
            let before = std::mem::replace(&mut asked, count(&self.shared.asked));
            idle = if before == asked { idle + 1 } else { 0 };
            if asked - before > TOO_FAST {
                return End::Null;
            }
            let before = std::mem::replace(&mut ran_dry, count(&self.shared.device_underruns));
            dry = dry * FORGET + (ran_dry - before) as f64;
            if idle >= PATIENCE {
                return End::Failed(STUCK.to_owned());
            }
            if dry > TOO_OFTEN && period < LONGEST_PERIOD {
                return End::Crackles;
            }
            // It works: the next failure is news of its own.
            *pause = FIRST_PAUSE;
        }
    }
}

const STUCK: &str = "the sound device takes no more sound; unplug it and plug it in again, or restart the sound server";
const NULL: &str = "the sound device takes sound faster than it can be played, as ALSA's null device does; have another \
                    one as the default and start again";
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LAST_PAUSE: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_secs(1);
/// How often a device may ask between two looks: once for 20 frames.
const TOO_FAST: u64 = 2_205;
/// Looks in a row at which the device has not asked for sound.
const PATIENCE: u32 = 5;
/// Underruns are forgotten within some ten seconds; more than this many is a device that crackles.
const FORGET: f64 = 0.9;
const TOO_OFTEN: f64 = 2.5;
/// Then it is asked for twice as many frames at a time, but not for more than this: 23 ms.
const LONGEST_PERIOD: u32 = 1_024;
/// 11.9 s of sound: more than the longest latency.
const BLOCKS: usize = 2_048;
/// Some seconds of figures, if nobody takes them.
const SKEWS: usize = 1_024;
