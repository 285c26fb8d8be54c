//! What the network of this machine grants: buffers, the port, loopback, datagrams in one piece.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::super::address::DEFAULT_PORT;
use super::Check;
use crate::net::{Options, Socket, probe};
use crate::wire::SizeClass;

pub fn checks() -> Vec<Check> {
    let mut checks = buffers();
    checks.extend([port(), loopback()]);
    checks.extend(interfaces());
    checks
}

fn buffers() -> Vec<Check> {
    let open = || -> io::Result<(usize, usize)> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let socket = Socket::bind(Options::on(address))?;
        Ok((socket.receive_buffer()?, socket.send_buffer()?))
    };
    let Ok((receive, send)) = open() else {
        return vec![Check::problem(
            "sockets",
            "no UDP socket can be opened",
            "see what forbids it: a sandbox, perhaps",
        )];
    };
    // Linux counts its own book-keeping and tells twice what was asked for.
    let halves = if cfg!(target_os = "linux") { 2 } else { 1 };
    vec![buffer("receive buffer", "rmem", receive / halves), buffer("send buffer", "wmem", send / halves)]
}

/// A buffer as it was granted; `setting` is how the system calls its kind.
fn buffer(name: &'static str, setting: &str, granted: usize) -> Check {
    let default = fs::read_to_string(format!("/proc/sys/net/core/{setting}_default")).ok();
    let default = default.and_then(|text| text.trim().parse().ok());
    let default = default.map_or(String::new(), |bytes| format!("; the system's default is {}", size_text(bytes)));
    if granted >= WANTED {
        return Check::ok(name, format!("{} granted{default}", size_text(granted)));
    }
    let text = format!("only {} of {} granted{default}", size_text(granted), size_text(WANTED));
    let assignment = format!("net.core.{setting}_max={WANTED}");
    let keep = format!("echo {assignment} | sudo tee /etc/sysctl.d/90-udpstream.conf");
    Check::warning(name, text, format!("sudo sysctl -w {assignment}   (to keep it: {keep})"))
}

fn port() -> Check {
    let bind = |ip: IpAddr| {
        let address = SocketAddr::new(ip, DEFAULT_PORT);
        Socket::bind(Options::on(address)).map(drop)
    };
    let (v6, v4) = (bind(Ipv6Addr::UNSPECIFIED.into()), bind(Ipv4Addr::UNSPECIFIED.into()));
    match v6.and(v4) {
        Ok(()) => Check::ok("port", format!("UDP {DEFAULT_PORT} is free, {}", families())),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            let text = format!("UDP {DEFAULT_PORT} is taken, perhaps by another `udpstream serve`");
            Check::warning("port", text, "stop it (`ss -lunp` says what it is), or choose another with `serve --port`")
        }
        Err(error) => {
            let text = format!("UDP {DEFAULT_PORT} cannot be listened on ({error})");
            Check::warning("port", text, "choose another with `serve --port`")
        }
    }
}

fn families() -> &'static str {
    let v6 = Socket::bind(Options::on(SocketAddr::from((Ipv6Addr::LOCALHOST, 0))));
    if v6.is_ok() { "IPv6 and IPv4" } else { "IPv4 only: this machine has no IPv6" }
}

fn loopback() -> Check {
    let trips = match probe::round_trips(TRIPS, SizeClass::ANY.datagram()).map(|trips| trips.block(1.0)) {
        Ok(Some(trips)) => trips,
        Ok(None) | Err(_) => {
            let advice = "switch `lo` on (`sudo ip link set lo up`), and let UDP through the firewall there";
            return Check::problem("loopback", "no datagram comes back from 127.0.0.1", advice);
        }
    };
    let text = format!("there and back in {:.0} µs (half), {:.0} µs (99 %)", trips.p50, trips.p99);
    let largest = SizeClass::LOOPBACK.datagram();
    match probe::round_trips(1, largest) {
        Ok(_) => Check::ok("loopback", format!("{text}; {largest} bytes in one datagram")),
        Err(_) => {
            let advice = "sudo ip link set lo mtu 65536; until then pictures travel in smaller pieces";
            Check::warning("loopback", format!("{text}; {largest} bytes do not pass in one datagram"), advice)
        }
    }
}

/// An interface that is up, and the largest packet it takes.
#[derive(Debug, PartialEq, Eq)]
struct Interface {
    name: String,
    mtu: usize,
}

/// Nothing where the system does not list its interfaces under /sys.
fn interfaces() -> Option<Check> {
    let folders = fs::read_dir("/sys/class/net").ok()?;
    let mut all: Vec<Interface> = folders.flatten().filter_map(|entry| interface(&entry.path())).collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    Some(judge(&all))
}

fn interface(folder: &std::path::Path) -> Option<Interface> {
    let read = |name| fs::read_to_string(folder.join(name)).ok();
    let up = read("operstate").is_some_and(|state| matches!(state.trim(), "up" | "unknown"));
    let mtu = read("mtu")?.trim().parse().ok()?;
    let name = folder.file_name()?.to_str()?.to_owned();
    (up && name != "lo").then_some(Interface { name, mtu })
}

fn judge(all: &[Interface]) -> Check {
    if all.is_empty() {
        let advice = "connect it if others are to watch; on this machine alone everything works";
        return Check::warning("network", "no interface is up but loopback", advice);
    }
    let class = |mtu: usize| SizeClass::ALL.into_iter().find(|class| class.datagram() + HEADERS <= mtu);
    let describe = |Interface { name, mtu }: &Interface| match class(*mtu) {
        Some(class) => format!("{name} MTU {mtu}: datagrams of {}", class.datagram()),
        None => format!("{name} MTU {mtu}: too small"),
    };
    let mut text = all.iter().take(LISTED).map(describe).collect::<Vec<_>>().join(", ");
    if all.len() > LISTED {
        text.push_str(&format!(" and {} more", all.len() - LISTED));
    }
    match all.iter().find(|interface| class(interface.mtu).is_none()) {
        Some(Interface { name, .. }) => {
            Check::warning("network", text, format!("sudo ip link set {name} mtu 1280, or nobody can watch over it"))
        }
        None => Check::ok("network", text),
    }
}

/// Bytes as people write them.
fn size_text(bytes: usize) -> String {
    match bytes {
        _ if bytes >= 1 << 20 && bytes.is_multiple_of(1 << 20) => format!("{} MiB", bytes >> 20),
        _ if bytes >= 1 << 20 => format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20)),
        _ => format!("{} KiB", bytes >> 10),
    }
}

/// What `serve` and `watch` ask for.
const WANTED: usize = 4 << 20;
const TRIPS: u32 = 100;
/// IPv6 (40) and UDP (8) in front of every datagram.
const HEADERS: usize = 48;
/// A machine with containers has dozens.
const LISTED: usize = 4;

#[cfg(test)]
mod tests {
    use super::super::Mark;
    use super::*;

    fn up(name: &str, mtu: usize) -> Interface {
        Interface { name: name.to_owned(), mtu }
    }

    #[test]
    fn interfaces_and_their_datagrams() {
        let check = judge(&[up("eth0", 1_500), up("wg0", 1_420), up("fast0", 9_000)]);
        let expected =
            "eth0 MTU 1500: datagrams of 1452, wg0 MTU 1420: datagrams of 1200, fast0 MTU 9000: datagrams of 8952";
        assert_eq!((check.mark, check.text.as_str()), (Mark::Ok, expected));
        assert_eq!(judge(&[up("odd0", 576)]).mark, Mark::Warning);
        assert_eq!(judge(&[]).mark, Mark::Warning);
        let many: Vec<_> = (0..9).map(|n| up(&format!("veth{n}"), 1_500)).collect();
        assert!(judge(&many).text.ends_with("and 5 more"));
    }

    #[test]
    fn a_small_buffer_comes_with_the_command_that_mends_it() {
        let check = buffer("receive buffer", "rmem", 212_992);
        assert!(check.text.starts_with("only 208 KiB of 4 MiB granted"), "{check:?}");
        assert!(check.advice.is_some_and(|advice| advice.contains("sysctl -w net.core.rmem_max=4194304")));
        assert_eq!(buffer("receive buffer", "rmem", 4 << 20).mark, Mark::Ok);
        assert_eq!(size_text(3 << 19), "1.5 MiB");
    }
}
