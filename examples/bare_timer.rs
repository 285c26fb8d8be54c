//! The floor to compare with: how late a bare timerfd loop wakes up on this machine, now. With an address it also sends
//! one datagram each time, for a sampler outside. `bare_timer [FPS] [SECONDS] [ADDRESS BYTES]`
#![expect(clippy::disallowed_types, reason = "nothing of the program may take part in the floor")]

use std::net::UdpSocket;

use rustix::time::{
    ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, clock_gettime, timerfd_create,
    timerfd_settime,
};
use udpstream::stats::Samples;
use udpstream::units::Rate;

fn nanos() -> i64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec * 1_000_000_000 + now.tv_nsec
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let argument = |n| std::env::args().nth(n).and_then(|text| text.parse::<f64>().ok());
    let rate = argument(1).and_then(Rate::from_fps).or(Rate::new(30, 1)).ok_or("no such rate")?;
    let target = match (std::env::args().nth(3), argument(4)) {
        (Some(address), Some(bytes)) => Some((UdpSocket::bind("127.0.0.1:0")?, address, vec![0_u8; bytes as usize])),
        _ => None,
    };
    let wakes = (argument(2).unwrap_or(10.0) * rate.fps()) as u64;
    let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC)?;
    let (start, mut before) = (nanos() + 1_000_000, None);
    let (mut late, mut interval) = (Samples::default(), Samples::default());
    for n in 0..wakes {
        let due = start + rate.at(n).as_nanos() as i64;
        let it_value = Timespec { tv_sec: due / 1_000_000_000, tv_nsec: due % 1_000_000_000 };
        let it_interval = Timespec { tv_sec: 0, tv_nsec: 0 };
        timerfd_settime(&timer, TimerfdTimerFlags::ABSTIME, &Itimerspec { it_interval, it_value })?;
        rustix::io::read(&timer, &mut [0_u8; 8])?;
        let now = nanos();
        if let Some((socket, address, datagram)) = &target {
            socket.send_to(datagram, address.as_str())?;
        }
        late.record((now - due) as f64 / 1e3);
        if let Some(before) = before.replace(now) {
            interval.record((now - before) as f64 / 1e3);
        }
    }
    for (name, samples) in [("late", late), ("interval", interval)] {
        if let Some(b) = samples.block(1.0) {
            println!("{name} us: p50 {:.0} p99 {:.0} stdev {:.0} max {:.0}", b.p50, b.p99, b.stdev, b.max);
        }
    }
    Ok(())
}
