//! When watching ends, and what is said then.

use std::thread::JoinHandle;
use std::time::Duration;

use super::{Options, TICK, Watching};
use crate::app::Exit;
use crate::app::watch::{trouble, words};
use crate::net::Flow;
use crate::proto::receiver::{Local, Receiver};
use crate::proto::{Input, Machine};
use crate::units::Time;
use crate::wire::message::RefuseCode;

/// Without a window nobody sees that nothing comes: give up after this time unless told otherwise.
const HEADLESS_TIMEOUT: Duration = Duration::from_secs(30);

/// Why watching ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Over,
    Interrupted,
    Limit,
    Unreachable,
    Refused,
    Failed,
}

impl End {
    const fn name(self) -> &'static str {
        match self {
            Self::Over => "end",
            Self::Interrupted => "interrupted",
            Self::Limit => "limit",
            Self::Unreachable => "unreachable",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

/// How long it may go on, and whether it is over.
pub struct Limits {
    /// When the time is over that was asked for.
    until: Option<Time>,
    /// The longest silence.
    timeout: Option<Duration>,
    end: Option<End>,
    killed: bool,
    /// A stream plays. Only then a datagram counts as heard: a server that merely refuses is as good as silent.
    attached: bool,
    /// It was refused since a stream played.
    refused: bool,
    /// Datagrams so far, when the last of a stream came, and when somebody looked.
    datagrams: u64,
    heard: Time,
    looked: Time,
}

impl Limits {
    pub fn new(options: &Options, start: Time) -> Self {
        Self {
            until: options.duration.map(|limit| start + limit),
            timeout: options.timeout.or(options.headless.then_some(HEADLESS_TIMEOUT)),
            end: None,
            killed: false,
            attached: false,
            refused: false,
            datagrams: 0,
            heard: start,
            looked: start,
        }
    }

    /// It ends, for the first reason that is told.
    pub fn end(&mut self, end: End) {
        self.end.get_or_insert(end);
    }

    pub const fn is_over(&self) -> bool {
        self.end.is_some()
    }

    /// A stream plays from now on.
    pub const fn attach(&mut self, now: Time) {
        (self.attached, self.refused, self.heard) = (true, false, now);
    }

    /// No stream plays any more.
    pub const fn detach(&mut self) {
        self.attached = false;
    }

    /// Nor is one to be had just now.
    pub const fn refuse(&mut self) {
        (self.attached, self.refused) = (false, true);
    }

    pub const fn is_attached(&self) -> bool {
        self.attached
    }

    /// When a limit may be reached.
    pub fn next(&self) -> Option<Time> {
        [self.until, self.timeout.map(|limit| self.heard + limit)].into_iter().flatten().min()
    }

    fn look(&mut self, now: Time, datagrams: u64) {
        // Time in which this program stood still (stopped, or a frozen machine) is no silence of the server's.
        let halted = now.since(std::mem::replace(&mut self.looked, now));
        if halted > 2 * TICK {
            self.heard += halted;
        }
        if std::mem::replace(&mut self.datagrams, datagrams) != datagrams && self.attached {
            self.heard = now;
        }
    }
}

/// Which end a refusal is; `None`: the server is asked again. `seen`: a stream has played before. `leaves`: watching ends
/// with the stream.
pub fn after_refusal(code: RefuseCode, seen: bool, headless: bool, leaves: bool) -> Option<End> {
    match code {
        RefuseCode::ENDED if seen && leaves => Some(End::Over),
        RefuseCode::NO_SUCH_STREAM if headless || seen && leaves => Some(End::Refused),
        // It is a matter of a moment; how long is for --timeout.
        RefuseCode::BUSY => None,
        _ if headless && !seen => Some(End::Refused),
        _ => None,
    }
}

impl Watching {
    pub(super) fn stop(&mut self, now: Time, receiver: &mut Receiver, end: End) {
        self.limits.end(end);
        receiver.handle(now, Input::Local(Local::Stop));
    }

    /// Somebody wants the end; the second time at once.
    pub(super) fn interrupt(&mut self, now: Time, receiver: &mut Receiver) -> Flow {
        if self.limits.end == Some(End::Interrupted) {
            self.limits.killed = true;
            return Flow::Stop;
        }
        self.limits.end = None;
        self.stop(now, receiver, End::Interrupted);
        Flow::Continue
    }

    /// Does what the window and Ctrl-C ask for.
    pub(super) fn leave(&mut self, now: Time, receiver: &mut Receiver) -> Flow {
        if self.wiring.attention.take_quit() {
            self.stop(now, receiver, End::Interrupted);
        }
        let interrupts = self.wiring.attention.take_interrupts();
        let flows = (0..interrupts).map(|_| self.interrupt(now, receiver));
        if flows.last() == Some(Flow::Stop) { Flow::Stop } else { Flow::Continue }
    }

    pub(super) fn check_limits(&mut self, now: Time, receiver: &mut Receiver) {
        self.limits.look(now, receiver.counts().traffic.datagrams);
        if self.limits.is_over() {
            return;
        }
        let Limits { until, timeout, heard, .. } = self.limits;
        if until.is_some_and(|until| now >= until) {
            self.stop(now, receiver, End::Limit);
        } else if timeout.is_some_and(|limit| now >= heard + limit) {
            let (seconds, server) = (now.since(heard).as_secs_f64(), self.subject.server());
            self.output.warn(&if self.subject.target.group.is_some() {
                format!(
                    "error: nothing was heard on {server} for {seconds:.0} s: check that the sender runs, its --ttl, and that \
                     switches and routers let IGMP or MLD through"
                )
            } else if self.limits.refused {
                format!("error: {server} has not let anybody in here for {seconds:.0} s; it says why above")
            } else {
                format!(
                    "error: nothing was heard from {server} for {seconds:.0} s: check that `udpstream serve` runs there, its \
                     port, and firewalls in between"
                )
            });
            self.stop(now, receiver, End::Unreachable);
        } else if self.no_picture.is_some_and(|at| now >= at) {
            self.no_picture = None;
            // A tile that nobody sees gets no pictures on purpose; it waits anew once it is seen.
            if !self.wishes.is_paused() {
                self.wiring.work.card(trouble::waiting(self.subject.server()));
            }
        }
    }

    /// Ends the decoder and says the last word.
    pub fn finish(mut self, receiver: &Receiver, decoder: JoinHandle<Result<(), String>>) -> Exit {
        self.wiring.work.close();
        let decoded = decoder.join().unwrap_or_else(|_| Err("the decoder's thread died: this is a bug".to_owned()));
        let killed = self.limits.killed;
        if killed {
            self.wiring.recordings.abandon();
        }
        self.wiring.recordings.finish((&self.output, &self.screen));
        if let Some(text) = self.wiring.remembering.leave(crate::clock::now()) {
            self.output.warn(&text);
        }
        self.collect();
        self.savers.drain(..).for_each(|saver| drop(saver.join()));
        if let Err(sentence) = &decoded {
            self.output.warn(&format!("error: {sentence}"));
        }
        let end = self.limits.end.unwrap_or(End::Interrupted);
        let figures = self.sum(crate::clock::now(), receiver, true);
        let nothing = receiver.counts().pictures.shown == 0;
        // What failed has been said.
        let failed = nothing && matches!(end, End::Unreachable | End::Refused | End::Failed);
        if failed {
            // The line would stand below the sentence that says why, and tell of nothing.
            self.output.status(&[]);
        }
        if !killed && !failed {
            self.output.conclude(&words::last(self.output.elapsed(), &figures));
        }
        let mut summary = figures.json();
        summary["end"] = end.name().into();
        summary["recorded"] = self.wiring.recordings.json();
        self.output.summary(summary);
        match end {
            _ if killed => Exit::Killed,
            End::Unreachable | End::Refused => Exit::Unreachable,
            End::Limit if nothing => Exit::Unreachable,
            End::Failed => Exit::Failed,
            _ if decoded.is_err() || self.wiring.recordings.failed() => Exit::Failed,
            _ => Exit::Done,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_that_no_later_try_changes_ends_it() {
        use RefuseCode as Code;
        let headless = |code, seen| after_refusal(code, seen, true, true);
        assert_eq!([Code::ENDED, Code::NO_SUCH_STREAM].map(|code| headless(code, false)), [Some(End::Refused); 2]);
        assert_eq!(headless(Code::ENDED, true), Some(End::Over));
        assert_eq!(headless(Code::NO_SUCH_STREAM, true), Some(End::Refused));
        assert_eq!([Code::FULL, Code::BUSY].map(|code| headless(code, true)), [None; 2], "asked again");
        assert_eq!([Code::FULL, Code::BUSY].map(|code| headless(code, false)), [Some(End::Refused), None]);
        let autoexit = |code, seen| after_refusal(code, seen, false, true);
        assert_eq!([Code::ENDED, Code::NO_SUCH_STREAM].map(|code| autoexit(code, false)), [None; 2]);
        assert_eq!(autoexit(Code::ENDED, true), Some(End::Over));
        assert_eq!(after_refusal(Code::ENDED, true, false, false), None, "a window waits for the next one");
    }

    #[test]
    fn only_a_stream_that_plays_is_heard() {
        let at = Time::from_millis;
        let mut limits = Limits {
            until: None,
            timeout: Some(Duration::from_secs(3)),
            end: None,
            killed: false,
            attached: false,
            refused: false,
            datagrams: 0,
            heard: at(0),
            looked: at(0),
        };
        limits.look(at(1_000), 5);
        assert_eq!(limits.next(), Some(at(3_000)), "challenges and refusals");
        limits.attach(at(1_500));
        limits.look(at(2_000), 6);
        assert_eq!(limits.next(), Some(at(5_000)));
        limits.detach();
        limits.look(at(3_000), 7);
        assert_eq!(limits.next(), Some(at(5_000)));
    }
}
