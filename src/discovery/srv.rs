//! Where a name's servers are, as SRV records of `_udpstream._udp.NAME` and `_udpstream._tcp.NAME` tell it (RFC 2782).

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use simple_dns::rdata::RData;
use simple_dns::{CLASS, Name, Packet, PacketFlag, QCLASS, QTYPE, Question, RCODE, TYPE};

use crate::net::question;
use crate::seal::{self, Random};

/// One record.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Service {
    /// Those with the lowest are meant; others stand in for them.
    pub priority: u16,
    pub weight: u16,
    pub port: u16,
    pub host: String,
}

/// What a name's records say, each list in the order in which it is to be tried.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Services {
    pub udp: Vec<Service>,
    pub tcp: Vec<Service>,
}

impl Services {
    pub const fn is_empty(&self) -> bool {
        self.udp.is_empty() && self.tcp.is_empty()
    }
}

/// The name servers of this machine (resolv.conf); none where there is no such file.
pub fn name_servers() -> Vec<SocketAddr> {
    fs::read_to_string("/etc/resolv.conf").map_or_else(|_| Vec::new(), |text| listed(&text))
}

/// As many as the system itself asks (resolv.conf(5)).
fn listed(text: &str) -> Vec<SocketAddr> {
    let servers = text.lines().filter_map(|line| line.trim().strip_prefix("nameserver"));
    let servers = servers.filter_map(|rest| rest.trim().parse::<IpAddr>().ok());
    servers.map(|server| SocketAddr::new(server, 53)).take(3).collect()
}

/// Whether a name may have such records: literal addresses and names of the local network have none, and what has no dot is
/// completed by the system in ways that are its own.
pub fn may_have(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let local = ["local", "localhost", "internal"];
    let last = name.rsplit('.').next().unwrap_or(name).to_ascii_lowercase();
    let is_number = last.bytes().all(|byte| byte.is_ascii_digit());
    name.is_ascii() && name.contains('.') && !name.contains([':', '%']) && !is_number && !local.contains(&&*last)
}

/// Asks `servers` one after another, until one knows. Takes no longer than [`LIMIT`] for each of them.
pub fn look_up(name: &str, servers: &[SocketAddr]) -> Services {
    let name = name.strip_suffix('.').unwrap_or(name);
    let Some(seed) = seal::system_seed() else { return Services::default() };
    let mut random = Random::new(&seed);
    servers.iter().find_map(|server| ask(name, *server, &mut random)).unwrap_or_default()
}

/// What this server says; `None` if it does not answer, or cannot.
fn ask(name: &str, server: SocketAddr, random: &mut Random) -> Option<Services> {
    let ids = [random.u64() as u16, random.u64() as u16];
    let questions = ["udp", "tcp"].iter().zip(ids).map(|(way, id)| query(id, &format!("_udpstream._{way}.{name}")));
    let questions: Vec<Vec<u8>> = questions.collect::<Option<_>>()?;
    let mut answers = [None, None];
    let asked = question::ask(server, &questions, LIMIT, |bytes| {
        for (answer, id) in answers.iter_mut().zip(ids) {
            *answer = answer.take().or_else(|| read(bytes, id));
        }
        answers.iter().all(Option::is_some)
    });
    if let (Err(_), [None, None]) = (asked, &answers) {
        return None;
    }
    let [udp, tcp] = answers.map(|answer| answer.unwrap_or(Answer::Failed));
    match (udp, tcp) {
        (Answer::Failed, Answer::Failed) => None,
        (udp, tcp) => Some(Services { udp: udp.services(), tcp: tcp.services() }),
    }
}

/// What came back.
enum Answer {
    /// The server can or may not tell.
    Failed,
    Told(Vec<Service>),
}

impl Answer {
    fn services(self) -> Vec<Service> {
        match self {
            Self::Failed => Vec::new(),
            Self::Told(services) => services,
        }
    }
}

fn query(id: u16, name: &str) -> Option<Vec<u8>> {
    let mut packet = Packet::new_query(id);
    packet.set_flags(PacketFlag::RECURSION_DESIRED);
    let name = Name::new(name).ok()?;
    packet.questions.push(Question::new(name, QTYPE::TYPE(TYPE::SRV), QCLASS::CLASS(CLASS::IN), false));
    packet.build_bytes_vec().ok()
}

/// The answer to the question with this number, if that is one.
fn read(bytes: &[u8], id: u16) -> Option<Answer> {
    let packet = Packet::parse(bytes).ok()?;
    if packet.id() != id || !packet.has_flags(PacketFlag::RESPONSE) {
        return None;
    }
    if !matches!(packet.rcode(), RCODE::NoError | RCODE::NameError) {
        return Some(Answer::Failed);
    }
    let record = |data: &RData<'_>| match data {
        RData::SRV(record) => Some(Service {
            priority: record.priority,
            weight: record.weight,
            port: record.port,
            host: record.target.to_string(),
        }),
        _ => None,
    };
    // A lone dot says that there is no such service; nothing can be sent to port 0.
    let real = |service: &Service| service.port != 0 && !matches!(&*service.host, "" | ".");
    let mut services: Vec<Service> =
        packet.answers.iter().filter_map(|answer| record(&answer.rdata)).filter(real).take(MOST).collect();
    services.sort_by_key(|service| (service.priority, u16::MAX - service.weight));
    Some(Answer::Told(services))
}

/// A name server that is there answers sooner, or has to ask others that are slow.
const LIMIT: Duration = Duration::from_secs(2);
/// Records that are looked at.
const MOST: usize = 16;

#[cfg(test)]
mod tests {
    use simple_dns::ResourceRecord;
    use simple_dns::rdata::SRV;

    use super::*;

    fn answer(id: u16, records: &[(u16, u16, u16, &str)], rcode: RCODE) -> Vec<u8> {
        let mut packet = Packet::new_reply(id);
        *packet.rcode_mut() = rcode;
        for (priority, weight, port, host) in records {
            let (owner, target) = (Name::new_unchecked("_udpstream._udp.example.org"), Name::new_unchecked(host));
            let data = RData::SRV(SRV { priority: *priority, weight: *weight, port: *port, target });
            packet.answers.push(ResourceRecord::new(owner, CLASS::IN, 60, data));
        }
        packet.build_bytes_vec().expect("it is short")
    }

    fn services(bytes: &[u8]) -> Option<Vec<(u16, String)>> {
        let Answer::Told(services) = read(bytes, 7)? else { return None };
        Some(services.into_iter().map(|service| (service.port, service.host)).collect())
    }

    #[test]
    fn records_stand_in_the_order_in_which_they_are_tried() {
        let records = [(2, 0, 3, "c.example.org"), (1, 5, 2, "b.example.org"), (1, 60, 1, "a.example.org")];
        let found = services(&answer(7, &records, RCODE::NoError)).expect("an answer");
        assert_eq!(found.iter().map(|(port, _)| *port).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(found[0].1, "a.example.org");
        assert_eq!(services(&answer(7, &[(0, 0, 9, ""), (0, 0, 0, "a.b")], RCODE::NoError)), Some(vec![]));
        assert_eq!(services(&answer(7, &[], RCODE::NameError)), Some(vec![]));
        assert!(matches!(read(&answer(7, &[], RCODE::ServerFailure), 7), Some(Answer::Failed)));
    }

    #[test]
    fn what_is_no_answer_is_passed_over() {
        let right = answer(7, &[(1, 1, 1, "a.example.org")], RCODE::NoError);
        assert!(services(&answer(8, &[], RCODE::NoError)).is_none(), "another question's");
        assert!(services(&query(7, "_udpstream._udp.example.org").expect("a question")).is_none(), "a question");
        for end in 0..right.len() {
            assert!(services(&right[..end]).is_none(), "cut off at {end}");
        }
        assert!(query(7, &format!("{}.org", "x".repeat(80))).is_none(), "labels have 63 bytes");
    }

    #[test]
    fn only_names_of_the_domain_name_system_are_asked_for() {
        for (name, may) in [
            ("streams.example.org", true),
            ("streams.example.org.", true),
            ("robot", false),
            ("robot.local", false),
            ("robot.LOCAL.", false),
            ("192.0.2.7", false),
            ("2001:db8::7", false),
            ("fe80::1%eth0", false),
            ("дом.рф", false),
        ] {
            assert_eq!(may_have(name), may, "{name}");
        }
        let text =
            "# nameserver 9.9.9.9\nsearch x\nnameserver 192.0.2.1\n nameserver\t2001:db8::1\nnameserver fe80::1%eth0\n";
        assert_eq!(listed(text), ["192.0.2.1:53", "[2001:db8::1]:53"].map(|server| server.parse().expect("one")));
    }
}
