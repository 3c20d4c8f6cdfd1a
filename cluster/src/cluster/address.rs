//! The address to advertise when the configuration names none and the socket listens on all.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use crate::discovery::Seed;

/// The address by which this machine would send to the first seed that is given as an address: on a machine with
/// several networks, peers are on the one of the seeds. Asks the routing table and sends nothing.
pub(super) fn towards_seeds(listen: SocketAddr, seeds: &[Seed]) -> Option<SocketAddr> {
    if !listen.ip().is_unspecified() {
        return None;
    }
    let near = seeds.iter().filter_map(|seed| match seed {
        Seed::Static { host, .. } if host.eq_ignore_ascii_case("localhost") => Some(Ipv4Addr::LOCALHOST.into()),
        Seed::Static { host, .. } => host.parse().ok(),
        _ => None,
    });
    let ip = near.filter(|there: &IpAddr| there.is_ipv4() || listen.is_ipv6()).find_map(source_towards)?;
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
    fn only_a_socket_on_all_addresses_needs_one() {
        let seeds = ["name:7946".parse().unwrap(), "127.0.0.1:7946".parse().unwrap()];
        assert_eq!(towards_seeds("10.1.2.3:7946".parse().unwrap(), &seeds), None);
        let found = towards_seeds("0.0.0.0:7946".parse().unwrap(), &seeds);
        assert_eq!(found, Some("127.0.0.1:7946".parse().unwrap()), "the seeds are on this machine");
        assert_eq!(towards_seeds("0.0.0.0:7946".parse().unwrap(), &seeds[..1]), None);
    }
}
