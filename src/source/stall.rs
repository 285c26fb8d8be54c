//! Films that come through a network and stall on the way: the stall is reported.

use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::News;
use super::pass::Pass;
use crate::clock;
use crate::ffmpeg::Control;

/// Waits for pictures, and tells when that takes long.
pub(super) struct Patience {
    name: String,
    tell: Sender<News>,
    /// That nothing comes has been told.
    stalled: bool,
}

impl Patience {
    /// For the film of this name; what is told comes out of the receiver.
    pub fn new(name: &str) -> (Self, Receiver<News>) {
        let (tell, news) = bounded(NEWS);
        (Self { name: name.to_owned(), tell, stalled: false }, news)
    }

    /// Until there is something of `pass` to read, or its end, or `control` was stopped.
    pub fn wait(&mut self, pass: &mut Pass, control: &Control) {
        if !self.stalled && !pass.ready(clock::now() + SILENCE) && !control.stopped() {
            self.stalled = true;
            self.tell.try_send(News::Stalled { name: self.name.clone(), seconds: SILENCE.as_secs() }).ok();
        }
    }

    /// A picture came.
    pub fn came(&mut self) {
        if std::mem::take(&mut self.stalled) {
            self.tell.try_send(News::Resumed(self.name.clone())).ok();
        }
    }
}

/// Longer than a film that is read ahead ever waits.
const SILENCE: Duration = Duration::from_secs(5);
/// More than happens between two looks.
const NEWS: usize = 8;
