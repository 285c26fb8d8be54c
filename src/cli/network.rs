//! What `serve` and `relay` can be told of the network, but for the port, whose default differs.

use std::net::{Ipv6Addr, SocketAddr};

use clap::Args;
use udpstream::app::address::{self, Address, Origins, Target};
use udpstream::app::announcing::{self, AnnounceOptions};
use udpstream::app::ports::Transports;
use udpstream::net::Marks;
use udpstream::proto::Transport;
use udpstream::wire::Ecn;

use super::help::NETWORK;
use super::values::{Datagram, EcnParser, datagram, dscp, number};

/// `None` where nothing was said.
#[derive(Args, Clone, Debug, Default)]
pub struct NetworkChoices {
    /// UDP port for sound, 0 to 65535; 0 takes a free one [default: the one below --port].
    #[arg(long, value_name = "PORT", value_parser = number(0_u16, u16::MAX), help_heading = NETWORK)]
    pub audio_port: Option<u16>,
    /// Listen on this address only, link-local ones as ADDR%INTERFACE [default: all, IPv6 and IPv4].
    #[arg(long, value_name = "ADDR", value_parser = address::local, help_heading = NETWORK)]
    pub bind: Option<SocketAddr>,
    /// Largest UDP payload in bytes, 1200 to 65488; auto finds it for each watcher [default: auto].
    #[arg(long, value_name = "auto|BYTES", value_parser = datagram, help_heading = NETWORK)]
    pub datagram: Option<Datagram>,
    /// Let routers mark datagrams instead of dropping them: ect0 marks as TCP would be marked (RFC 3168), ect1 early and often,
    /// where routers know L4S (RFC 9331); --ecn alone is ect0 [default: off].
    #[arg(long, value_name = "off|ect0|ect1", value_parser = EcnParser, num_args = 0..=1, require_equals = true,
        default_missing_value = "ect0", hide_possible_values = true, help_heading = NETWORK)]
    pub ecn: Option<Ecn>,
    /// Differentiated services code point of all datagrams, 0 to 63 or a name such as af41, cs5 or ef [default: 0].
    #[arg(long, value_name = "N|NAME", value_parser = dscp, help_heading = NETWORK)]
    pub dscp: Option<u8>,
    /// Let nobody come by TCP [default: watchers who get nothing over UDP may come by TCP, on the same port number].
    #[arg(long, action = clap::ArgAction::SetTrue, conflicts_with = "no_udp", help_heading = NETWORK)]
    pub no_tcp: Option<bool>,
    /// Let nobody come by UDP, only by TCP [default: both].
    #[arg(long, action = clap::ArgAction::SetTrue, help_heading = NETWORK)]
    pub no_udp: Option<bool>,
    /// Say nothing of this server on the local network; not with --announce-name [default: announce it by multicast DNS; streams
    /// that have a code or a password are not named there].
    #[arg(long, action = clap::ArgAction::SetTrue, conflicts_with = "announce_name", help_heading = NETWORK)]
    pub no_announce: Option<bool>,
    /// What this server is called on the local network (not with --no-announce), in any script, 63 bytes at most [default: its
    /// stream's title and this machine's name].
    #[arg(long, value_name = "NAME", value_parser = announcing::name, help_heading = NETWORK)]
    pub announce_name: Option<String>,
}

/// What a server is reached by.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct TransportArgs {
    /// What datagrams travel by: udp, tcp, or auto, which is UDP, and TCP where UDP brings nothing for 1.5 s; then UDP is tried again
    /// now and then. tcp+udp is a TCP connection for what must arrive, and UDP for pictures and sound beside it. udp://HOST and
    /// tcp://HOST say it of one server [default: auto].
    #[arg(long, value_name = "auto|udp|tcp|tcp+udp", value_parser = transport, help_heading = NETWORK)]
    pub transport: Option<Transport>,
}

fn transport(text: &str) -> Result<Transport, String> {
    match text {
        "auto" => Ok(Transport::Auto),
        "udp" => Ok(Transport::Udp),
        "tcp" => Ok(Transport::Tcp),
        "tcp+udp" => Ok(Transport::Both),
        _ => Err("write auto, udp, tcp or tcp+udp".to_owned()),
    }
}

impl TransportArgs {
    /// A server that says nothing of this itself.
    pub fn of(self, server: Address) -> Address {
        Address { transport: server.transport.or(self.transport), ..server }
    }

    /// What was said twice must be the same; the error is one sentence with advice.
    pub fn check(self, server: &Address) -> Result<(), String> {
        match (server.transport, self.transport) {
            (Some(own), Some(other)) if own != other => {
                let (own, other) = (own.name(), other.name());
                Err(format!(
                    "{server} is by {own} alone, and --transport {other} says otherwise: leave one of them out"
                ))
            }
            _ => Ok(()),
        }
    }

    pub fn of_target(self, target: Target) -> Target {
        Target { address: self.of(target.address), ..target }
    }

    pub fn of_all(self, origins: Origins) -> Origins {
        Origins { addresses: origins.addresses.into_iter().map(|server| self.of(server)).collect(), ..origins }
    }
}

impl NetworkChoices {
    /// These, and `others` where nothing was said.
    pub fn or(self, others: Self) -> Self {
        Self {
            audio_port: self.audio_port.or(others.audio_port),
            bind: self.bind.or(others.bind),
            datagram: self.datagram.or(others.datagram),
            ecn: self.ecn.or(others.ecn),
            dscp: self.dscp.or(others.dscp),
            no_tcp: self.no_tcp.filter(|on| *on).or(others.no_tcp),
            no_udp: self.no_udp.filter(|on| *on).or(others.no_udp),
            // A flag that is not on the command line says nothing, and a name there counts for more than a flag of the file.
            no_announce: self
                .no_announce
                .filter(|off| *off)
                .or(others.no_announce.filter(|_| self.announce_name.is_none())),
            announce_name: self.announce_name.or(others.announce_name),
        }
    }

    /// What the local network is told.
    pub fn announce(&self) -> AnnounceOptions {
        AnnounceOptions { off: self.no_announce.unwrap_or(false), name: self.announce_name.clone() }
    }

    /// What watchers may come by.
    pub fn transports(&self) -> Transports {
        Transports { udp: !self.no_udp.unwrap_or(false), tcp: !self.no_tcp.unwrap_or(false) }
    }

    /// What all datagrams bear.
    pub fn marks(&self) -> Marks {
        Marks { ecn: self.ecn.unwrap_or_default(), dscp: self.dscp.unwrap_or(0) }
    }

    /// Where it listens with this port.
    pub fn address(&self, port: u16) -> SocketAddr {
        let mut bind = self.bind.unwrap_or_else(|| (Ipv6Addr::UNSPECIFIED, 0).into());
        bind.set_port(port);
        bind
    }
}
