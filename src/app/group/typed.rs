//! Groups as people type them, and as they are shown again.

use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};

use super::{GroupError, wants_source};
use crate::app::address::DEFAULT_PORT;
use crate::net::interface::Interface;

/// Whether this is an address that no server has.
pub fn is_surely(host: &str) -> bool {
    match host.split('%').next().unwrap_or(host).parse() {
        Ok(IpAddr::V4(v4)) => v4.is_multicast() || v4.is_broadcast(),
        Ok(IpAddr::V6(v6)) => v6.is_multicast(),
        Err(_) => false,
    }
}

/// The name of the interface that an address bears the number of; the number itself, if that is gone.
pub fn scope(address: SocketAddr) -> Option<String> {
    let SocketAddr::V6(address) = address else { return None };
    let index = Some(address.scope_id()).filter(|index| *index > 0)?;
    Some(Interface::at(index).map_or_else(|| index.to_string(), |interface| interface.name))
}

/// The group without its port, as people write it.
pub fn host(group: SocketAddr) -> String {
    scope(group).map_or_else(|| group.ip().to_string(), |scope| format!("{}%{scope}", group.ip()))
}

pub fn typed(group: SocketAddr) -> String {
    if group.is_ipv6() { format!("[{}]:{}", host(group), group.port()) } else { group.to_string() }
}

/// `[GROUP%INTERFACE]` with what follows: that without the interface, and the interface.
fn scoped(text: &str) -> Option<(String, &str)> {
    let (host, rest) = text.strip_prefix('[')?.split_once(']')?;
    let (ip, scope) = host.split_once('%')?;
    Some((format!("[{ip}]{rest}"), scope))
}

/// `GROUP[:PORT]`, or a broadcast address; whether that is one, only the interfaces tell. One of IPv6 may name its interface, of
/// which the address then bears the number.
pub fn address(text: &str) -> Result<SocketAddr, GroupError> {
    let Some((plain, scope)) = scoped(text) else { return unscoped(text) };
    let whole = |error| if matches!(error, GroupError::Text(_)) { GroupError::Text(text.to_owned()) } else { error };
    let SocketAddr::V6(group) = unscoped(&plain).map_err(whole)? else {
        return Err(GroupError::Text(text.to_owned()));
    };
    let interface = Interface::of_scope(scope).map_err(GroupError::NoInterface)?;
    Ok(SocketAddrV6::new(*group.ip(), group.port(), 0, interface.index).into())
}

fn unscoped(text: &str) -> Result<SocketAddr, GroupError> {
    if let Ok(v6) = text.parse::<Ipv6Addr>() {
        return Err(if v6.is_multicast() { GroupError::Bare(v6) } else { GroupError::Unicast(v6.into()) });
    }
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let ip = bare.parse().map(|ip: IpAddr| SocketAddr::new(ip, DEFAULT_PORT));
    let address = ip.or_else(|_| text.parse()).map_err(|_| GroupError::Text(text.to_owned()))?;
    match address.ip() {
        _ if address.port() == 0 => Err(GroupError::Text(text.to_owned())),
        IpAddr::V4(v4) if v4.octets()[..3] == [224, 0, 0] => Err(GroupError::Control),
        IpAddr::V6(v6) if !v6.is_multicast() => Err(GroupError::Unicast(v6.into())),
        _ => Ok(address),
    }
}

/// `[SOURCE]@GROUP[:PORT]`: the group, and whose datagrams alone are meant.
pub fn with_source(source: &str, group: &str) -> Result<(SocketAddr, Option<IpAddr>), GroupError> {
    let (group, name) = group.split_once('/').unwrap_or((group, ""));
    if !name.is_empty() {
        return Err(GroupError::Stream(name.to_owned()));
    }
    let address = address(group)?;
    if source.is_empty() {
        if wants_source(address.ip()) {
            return Err(GroupError::NoSource(address));
        }
        return Ok((address, None));
    }
    let bare = source.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(source);
    let source: IpAddr = bare.parse().map_err(|_| GroupError::Source(source.to_owned()))?;
    let fits = source.is_ipv4() == address.is_ipv4() && address.ip().is_multicast();
    if fits { Ok((address, Some(source))) } else { Err(GroupError::Families(source, address.ip())) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::group::GroupChoice;

    #[test]
    fn groups_as_people_type_them() {
        let at = |text: &str| text.parse::<SocketAddr>().map(GroupChoice::At).expect("an address");
        for (text, meant) in [
            ("auto", GroupChoice::Auto),
            ("239.1.2.3", at("239.1.2.3:9688")),
            ("239.1.2.3:7", at("239.1.2.3:7")),
            ("[ff15::7]", at("[ff15::7]:9688")),
            ("[ff15::7]:9", at("[ff15::7]:9")),
            ("255.255.255.255", at("255.255.255.255:9688")),
        ] {
            assert_eq!(text.parse(), Ok(meant), "{text}");
        }
        for bad in
            ["", "robot", "239.1.2.3:0", "239.1.2", "fe80::1", "224.0.0.5", "[ff15::7", "ff15::7", "ff15::7:9", "Auto"]
        {
            assert!(bad.parse::<GroupChoice>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_source_stands_before_the_group() {
        let group: SocketAddr = "239.1.2.3:9688".parse().expect("an address");
        let source = IpAddr::from([192, 0, 2, 7]);
        assert_eq!(with_source("", "239.1.2.3"), Ok((group, None)));
        assert_eq!(with_source("192.0.2.7", "239.1.2.3:9688"), Ok((group, Some(source))));
        assert!(with_source("[2001:db8::7]", "[ff35::1]:9").is_ok_and(|(_, source)| source.is_some()));
        for (source, group) in [
            ("robot", "239.1.2.3"),
            ("::1", "239.1.2.3"),
            ("192.0.2.7", "255.255.255.255"),
            ("", "239.1.2.3/lobby"),
            ("", "232.1.2.3"),
        ] {
            assert!(with_source(source, group).is_err(), "{source}@{group}");
        }
    }
}
