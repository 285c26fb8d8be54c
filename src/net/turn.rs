//! One turn of sending: everything that a machine wants to do now, within a time budget, so that reading and signals are
//! never held up by a machine that has more to send than fits. It knows no sockets, so its rules are tested without any.

use std::io;
use std::time::Duration;

use super::connections::Sent;
use super::{App, Flow};
use crate::proto::{ConnectionState, Input, Machine, Output, Peer, SendFailure, Transmit};
use crate::units::Time;

/// A machine is asked for no longer than this before sockets are read again. Reports come fifty milliseconds apart, and
/// a signal should feel immediate; a thousand small datagrams leave in this time.
pub const BUDGET: Duration = Duration::from_millis(5);

/// How a turn ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turned {
    /// Nothing is to be done until then.
    Idle(Time),
    /// There is more to do, but it is time to read.
    Busy,
    /// A socket is full, and not a group's: nothing is done until it is writable again.
    Blocked,
    /// The app wants to stop.
    Stop,
}

/// What is to be sent as soon as its socket takes it.
#[derive(Default)]
pub struct Sending {
    waiting: Option<Transmit>,
}

impl Sending {
    /// Does what the machine wants. A datagram that does not go out yet is kept, and nothing else is asked of the machine
    /// until it has gone. `send` hands one to its socket.
    pub fn turn<M: Machine>(
        &mut self,
        machine: &mut M,
        app: &mut impl App<M>,
        clock: impl Fn() -> Time,
        mut send: impl FnMut(&Transmit) -> io::Result<Sent>,
    ) -> Turned {
        let until = clock() + BUDGET;
        if let Some(transmit) = self.waiting.take()
            && !self.hand_over(machine, clock(), transmit, &mut send)
        {
            return Turned::Blocked;
        }
        loop {
            let now = clock();
            if now >= until {
                return Turned::Busy;
            }
            match machine.poll(now) {
                Output::Send(transmit) => {
                    if !self.hand_over(machine, now, transmit, &mut send) {
                        return Turned::Blocked;
                    }
                }
                Output::Event(event) => {
                    if app.event(now, machine, event) == Flow::Stop {
                        return Turned::Stop;
                    }
                }
                Output::Wait(at, _) => return Turned::Idle(at),
            }
        }
    }

    /// False if the socket is full: the transmit waits.
    fn hand_over<M: Machine>(
        &mut self,
        machine: &mut M,
        now: Time,
        transmit: Transmit,
        send: &mut impl FnMut(&Transmit) -> io::Result<Sent>,
    ) -> bool {
        match send(&transmit) {
            Ok(Sent::Taken) => true,
            Ok(Sent::Full) => {
                let peer = Peer { port: transmit.port, address: transmit.to };
                machine.handle(now, Input::Connection(peer, ConnectionState::Full));
                true
            }
            // A group's datagram is lost then, as one may be anywhere on its way: who is sent to by himself waits for no group.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && !transmit.port.is_group() => {
                self.waiting = Some(transmit);
                false
            }
            Err(error) => {
                let too_large = rustix::io::Errno::from_io_error(&error) == Some(rustix::io::Errno::MSGSIZE);
                let failure = if too_large { SendFailure::TooLarge } else { SendFailure::Unreachable };
                machine.handle(now, Input::NotSent(transmit.port, transmit.to, failure));
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::proto::{Port, Reason};
    use crate::wire::HOP_LEN;

    /// Wants to send so many numbered datagrams, to two ports in turn.
    struct Talker {
        next: u8,
        count: u8,
        second: Port,
        failures: Vec<SendFailure>,
    }

    impl Machine for Talker {
        type Local = ();
        type Event = u8;

        fn handle(&mut self, _now: Time, input: Input<'_, ()>) {
            if let Input::NotSent(_, _, failure) = input {
                self.failures.push(failure);
            }
        }

        fn poll(&mut self, _now: Time) -> Output<u8> {
            if self.next == self.count {
                return Output::Wait(Time::NEVER, Reason::Idle);
            }
            let port = if self.next.is_multiple_of(2) { Port::PICTURES } else { self.second };
            let to = ([127, 0, 0, 1], 1).into();
            let transmit = Transmit { port, to, from: None, hop: [0; HOP_LEN], body: vec![self.next].into() };
            self.next += 1;
            Output::Send(transmit)
        }
    }

    fn talker(count: u8) -> Talker {
        Talker { next: 0, count, second: Port::SOUND, failures: Vec::new() }
    }

    fn ignore() -> impl App<Talker> {
        |_: Time, _: &mut Talker, _: u8| Flow::Continue
    }

    #[test]
    fn a_machine_that_never_waits_is_left_after_its_budget() {
        let (mut machine, ticks, mut sent) = (talker(255), Cell::new(0), 0);
        // Each look at the clock is a fifth of a millisecond later.
        let clock = || {
            ticks.set(ticks.get() + 1);
            Time::from_micros(200 * ticks.get())
        };
        let turned = Sending::default().turn(&mut machine, &mut ignore(), clock, |_| {
            sent += 1;
            Ok(Sent::Taken)
        });
        assert_eq!((turned, sent), (Turned::Busy, BUDGET.as_micros() as u32 / 200 - 1));
    }

    #[test]
    fn a_full_socket_loses_nothing_and_keeps_the_order_of_both() {
        let (mut machine, mut sending) = (talker(100), Sending::default());
        let (mut sent, mut tries, mut blocked) = (Vec::new(), 0, 0);
        loop {
            let turned = sending.turn(
                &mut machine,
                &mut ignore(),
                || Time::ZERO,
                |transmit| {
                    tries += 1;
                    // The second socket is full two times out of three.
                    if transmit.port == Port(1) && tries % 3 != 0 {
                        return Err(io::ErrorKind::WouldBlock.into());
                    }
                    sent.push(transmit.body.bytes()[0]);
                    Ok(Sent::Taken)
                },
            );
            match turned {
                Turned::Blocked => blocked += 1,
                Turned::Idle(Time::NEVER) => break,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(sent, (0..100).collect::<Vec<u8>>());
        assert!(blocked >= 50, "the regime: it was full {blocked} times");
    }

    #[test]
    fn a_full_socket_of_a_group_holds_nobody_up() {
        let (mut machine, mut sent) = (talker(10), Vec::new());
        machine.second = Port::GROUP;
        let turned = Sending::default().turn(
            &mut machine,
            &mut ignore(),
            || Time::ZERO,
            |transmit| {
                if transmit.port.is_group() {
                    return Err(io::ErrorKind::WouldBlock.into());
                }
                sent.push(transmit.body.bytes()[0]);
                Ok(Sent::Taken)
            },
        );
        assert_eq!((turned, sent), (Turned::Idle(Time::NEVER), vec![0, 2, 4, 6, 8]));
        assert_eq!(machine.failures, [SendFailure::Unreachable; 5]);
    }

    #[test]
    fn what_cannot_be_sent_is_told_before_the_next_poll() {
        let mut machine = talker(3);
        let mut tries = 0;
        let turned = Sending::default().turn(
            &mut machine,
            &mut ignore(),
            || Time::ZERO,
            |_| {
                tries += 1;
                match tries {
                    1 => Err(rustix::io::Errno::MSGSIZE.into()),
                    2 => Err(rustix::io::Errno::NETUNREACH.into()),
                    _ => Ok(Sent::Taken),
                }
            },
        );
        assert_eq!(turned, Turned::Idle(Time::NEVER));
        assert_eq!(machine.failures, [SendFailure::TooLarge, SendFailure::Unreachable]);
    }
}
