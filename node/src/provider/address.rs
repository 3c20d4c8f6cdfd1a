//! Which addresses an upstream may live at. A gateway that can be talked into calling loopback, a cloud's metadata
//! service or the office network hands its callers that network.
//!
//! Source: the IANA IPv4 and IPv6 special-purpose address registries.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// From where an address can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// From the public internet.
    Public,
    /// From this machine or network, if the operator allows it.
    Private,
    /// No provider lives there, so it is not allowed to anybody: link-local and multicast addresses, and those at which
    /// clouds hand out the machine's credentials.
    Never,
}

/// Judges one address; an IPv6 address that stands for an IPv4 address is judged as that.
pub fn reach(address: IpAddr) -> Reach {
    let v4 = match address {
        IpAddr::V4(v4) => v4,
        IpAddr::V6(v6) => match embedded_v4(v6) {
            Some(v4) => v4,
            None if is_never_v6(v6) => return Reach::Never,
            None if is_public_v6(v6) => return Reach::Public,
            None => return Reach::Private,
        },
    };
    match v4.octets() {
        [169, 254, ..] | [224..=255, ..] => Reach::Never,
        // Alibaba's, Oracle's, and Azure's, which is no address of the registries.
        [100, 100, 100, 200] | [192, 0, 0, 192] | [168, 63, 129, 16] => Reach::Never,
        _ if is_public_v4(v4) => Reach::Public,
        _ => Reach::Private,
    }
}

/// Whether the address is reachable on the public internet.
pub fn is_public(address: IpAddr) -> bool {
    reach(address) == Reach::Public
}

/// Link-local and multicast; `fd00:ec2::/32` and `fd20:ce::/32` are where AWS and Google have their metadata.
fn is_never_v6(v6: Ipv6Addr) -> bool {
    let s = v6.segments();
    s[0] & 0xffc0 == 0xfe80 || s[0] & 0xff00 == 0xff00 || matches!((s[0], s[1]), (0xfd00, 0x0ec2) | (0xfd20, 0x00ce))
}

fn is_public_v4(v4: Ipv4Addr) -> bool {
    let [a, b, c, _] = v4.octets();
    !matches!(
        (a, b, c),
        (0 | 10 | 127 | 224.., _, _)
            | (100, 64..=127, _)
            | (169, 254, _)
            | (172, 16..=31, _)
            | (192, 0, 0 | 2)
            | (192, 88, 99)
            | (192, 168, _)
            | (198, 18 | 19, _)
            | (198, 51, 100)
            | (203, 0, 113)
    )
}

/// Addresses that carry an IPv4 address to which the packet finally goes: mapped, NAT64 and 6to4.
fn embedded_v4(v6: Ipv6Addr) -> Option<Ipv4Addr> {
    let s = v6.segments();
    let low = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Ipv4Addr::new(a, b, c, d)
    };
    match s {
        [0, 0, 0, 0, 0, 0xffff, high, lower] => Some(low(high, lower)),
        [0x64, 0xff9b, 0, 0, 0, 0, high, lower] => Some(low(high, lower)),
        [0x2002, high, lower, ..] => Some(low(high, lower)),
        _ => None,
    }
}

fn is_public_v6(v6: Ipv6Addr) -> bool {
    // Global unicast is 2000::/3; inside it these are special.
    let s = v6.segments();
    let global = s[0] & 0xe000 == 0x2000;
    let special = matches!((s[0], s[1]), (0x2001, ..0x0200 | 0x0db8) | (0x3fff, _));
    global && !special
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn special_purpose_addresses_are_not_public() {
        for address in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "172.31.0.1",
            "192.0.0.8",
            "192.168.1.1",
            "198.19.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "2002:7f00:1::",
            "2001::1",
            "2001:db8::1",
            "fc00::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "100::1",
        ] {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn the_internet_is_public() {
        for address in ["8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "::ffff:8.8.8.8", "2002:808:808::"] {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
    }

    /// The special-purpose registries as blocks, written down apart from the code above.
    const SPECIAL: [&str; 16] = [
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "255.255.255.255/32",
    ];

    fn block(text: &str) -> (u32, u32) {
        let (base, bits) = text.split_once('/').unwrap();
        let base = u32::from(base.parse::<Ipv4Addr>().unwrap());
        (base, base | (u32::MAX.checked_shr(bits.parse().unwrap()).unwrap_or(0)))
    }

    fn is_special(v4: u32) -> bool {
        SPECIAL.iter().map(|text| block(text)).any(|(first, last)| (first..=last).contains(&v4))
    }

    #[test]
    fn blocks_end_where_the_registries_say() {
        for (first, last) in SPECIAL.iter().map(|text| block(text)) {
            for v4 in [first.wrapping_sub(1), first, last, last.wrapping_add(1)] {
                let address = Ipv4Addr::from(v4);
                assert_eq!(is_public(address.into()), !is_special(v4), "{address}");
            }
        }
    }

    #[test]
    fn what_no_provider_lives_at_is_never_allowed() {
        for address in [
            "169.254.169.254",
            "100.100.100.200",
            "168.63.129.16",
            "192.0.0.192",
            "fd00:ec2::254",
            "fd20:ce::254",
            "fe80::1",
        ] {
            assert_eq!(reach(address.parse().unwrap()), Reach::Never, "{address}");
        }
        for address in
            ["::ffff:169.254.169.254", "64:ff9b::169.254.169.254", "2002:a9fe:a9fe::", "ff02::1", "224.0.0.1"]
        {
            assert_eq!(reach(address.parse().unwrap()), Reach::Never, "{address}");
        }
        for address in ["127.0.0.1", "10.0.0.1", "::1", "fd12::1", "0.0.0.0"] {
            assert_eq!(reach(address.parse().unwrap()), Reach::Private, "{address}");
        }
    }

    proptest! {
        #[test]
        fn v4_is_public_outside_the_registries(v4: u32) {
            prop_assert_eq!(is_public(Ipv4Addr::from(v4).into()), !is_special(v4) && v4 != 0xa83f_8110);
        }

        #[test]
        fn v4_inside_v6_is_judged_as_v4(v4: u32, low: u64) {
            let (address, v4) = (Ipv4Addr::from(v4), u128::from(v4));
            let expected = reach(address.into());
            prop_assert_eq!(reach(address.to_ipv6_mapped().into()), expected);
            prop_assert_eq!(reach(Ipv6Addr::from(0x0064_ff9b_u128 << 96 | v4).into()), expected);
            prop_assert_eq!(reach(Ipv6Addr::from(0x2002_u128 << 112 | v4 << 80 | u128::from(low)).into()), expected);
        }

        #[test]
        fn v6_is_public_only_as_global_unicast(v6: u128) {
            let address = Ipv6Addr::from(v6);
            if is_public(address.into()) && embedded_v4(address).is_none() {
                prop_assert_eq!(v6 >> 125, 1);
                prop_assert_ne!(v6 >> 105, 0x2001_0000_u128 >> 9);
            }
        }
    }
}
