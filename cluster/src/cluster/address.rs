//! The address to advertise when the configuration names none and the socket listens on all.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use crate::discovery::Seed;

/// Addresses for documentation (RFC 5737, RFC 3849): nobody is there, but the default route leads to them.
const FAR: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1))];

/// The address by which this machine would send to the first seed, or to the rest of the world. Sends nothing.
pub(super) fn guess(listen: SocketAddr, seeds: &[Seed]) -> Option<SocketAddr> {
    if !listen.ip().is_unspecified() || listen.port() == 0 {
        return None;
    }
    let near = seeds.iter().filter_map(|seed| match seed {
        Seed::Static { host, .. } if host.eq_ignore_ascii_case("localhost") => Some(Ipv4Addr::LOCALHOST.into()),
        Seed::Static { host, .. } => host.parse().ok(),
        _ => None,
    });
    let source = near.chain(FAR).filter(|there| there.is_ipv4() || listen.is_ipv6()).find_map(source_towards);
    let ip = source.unwrap_or(Ipv4Addr::LOCALHOST.into());
    tracing::info!(address = %SocketAddr::new(ip, listen.port()), "peers are told to dial this address; cluster.advertise sets another");
    Some(SocketAddr::new(ip, listen.port()))
}

fn source_towards(there: IpAddr) -> Option<IpAddr> {
    let any: IpAddr = if there.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect((there, 9)).ok()?;
    Some(socket.local_addr().ok()?.ip()).filter(|ip| !ip.is_unspecified())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_socket_on_all_addresses_needs_a_guess() {
        let seeds = ["127.0.0.1:7946".parse().unwrap()];
        assert_eq!(guess("10.1.2.3:7946".parse().unwrap(), &seeds), None);
        let guessed = guess("0.0.0.0:7946".parse().unwrap(), &seeds);
        assert_eq!(guessed, Some("127.0.0.1:7946".parse().unwrap()), "the first seed is on this machine");
        let alone = guess("0.0.0.0:7946".parse().unwrap(), &[]).unwrap();
        assert!(!alone.ip().is_unspecified());
    }
}
