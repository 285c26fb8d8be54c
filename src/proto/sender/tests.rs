//! Tests: counts of what reports tell.

use super::*;
use crate::proto::Port;
use crate::wire::Report;
use crate::wire::report::{Arrival, Ecn};

fn sender() -> MediaSender {
    let peer = Peer { port: Port::PICTURES, address: ([127, 0, 0, 1], 1).into() };
    MediaSender::new(Route { peer, local: None }, 1, PathSize::new(SizeClass::LOOPBACK, Time::ZERO))
}

fn reported(sender: &mut MediaSender, number: u32, fates: &[bool]) -> (u64, u64) {
    let fate = |received: &bool| if *received { Arrival::received(Duration::ZERO, Ecn::Not, 0) } else { Arrival::LOST };
    let report = Report { number, arrivals: fates.iter().map(fate).collect(), ..Report::default() };
    assert!(sender.report(Time::ZERO, &report).is_some());
    (sender.stats.reported, sender.stats.lost)
}

#[test]
fn a_loss_is_taken_back_when_the_straggler_is_told_of_and_an_arrival_never_is() {
    let mut sender = sender();
    for _ in 0..3 {
        let _sent = sender.transmit(Time::ZERO, Kind::OBJECT, Cargo::Body, vec![0; 1_000].into());
    }
    assert_eq!(reported(&mut sender, 1, &[true, false, true]), (3, 1));
    assert_eq!(reported(&mut sender, 2, &[false, false, true]), (3, 1), "the same again says nothing new");
    assert_eq!(reported(&mut sender, 3, &[true, true]), (3, 0));
    assert_eq!(reported(&mut sender, 4, &[false, false, false]), (3, 0));
}

#[test]
fn a_report_that_echoes_what_was_never_sent_changes_nothing() {
    let mut sender = sender();
    let now = Time::from_millis(1_000);
    let _sent = sender.transmit(now, Kind::OBJECT, Cargo::Body, vec![0; 1_000].into());
    let echo = now.wire_micros();
    let later = now + Duration::from_millis(10);
    for (number, echo, held) in [(1, echo + 1, 0), (2, echo - 1, 0), (3, echo, 10_001)] {
        let report = Report { number, echo, held, ..Report::default() };
        assert!(sender.report(later, &report).is_none(), "{echo} {held}");
    }
    let report = Report { number: 1, echo, held: 4_000, ..Report::default() };
    assert!(sender.report(later, &report).is_some());
    assert_eq!(sender.stats.rtt, Some(Duration::from_millis(6)));
}
