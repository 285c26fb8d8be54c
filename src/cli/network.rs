//! What `serve` and `relay` can be told of the network, but for the port, whose default differs.

use std::net::{Ipv6Addr, SocketAddr};

use clap::Args;
use udpstream::app::address;
use udpstream::app::announcing::{self, AnnounceOptions};
use udpstream::net::Marks;
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
    /// Say nothing of this server on the local network [default: announce it by multicast DNS; streams that have a code or a
    /// password are not named there].
    #[arg(long, action = clap::ArgAction::SetTrue, conflicts_with = "announce_name", help_heading = NETWORK)]
    pub no_announce: Option<bool>,
    /// What this server is called on the local network, in any script, 63 bytes at most [default: its stream's title and this
    /// machine's name].
    #[arg(long, value_name = "NAME", value_parser = announcing::name, help_heading = NETWORK)]
    pub announce_name: Option<String>,
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
