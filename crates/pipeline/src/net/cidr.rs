//! Whether an address lies in a network.

use std::net::{IpAddr, Ipv6Addr};

/// Whether `ip` is an address inside `network`, written as address, slash and prefix length (host bits
/// are ignored). False for anything that is neither, for an address with a zone, and for IPv4 against IPv6.
pub(crate) fn contains(network: &str, ip: &str) -> bool {
    let Some((base, length)) = network.split_once('/') else {
        return false;
    };
    let plain = length.bytes().all(|byte| byte.is_ascii_digit());
    let padded = length.len() > 1 && length.starts_with('0');
    let (Ok(base), Ok(ip), Ok(length)) = (base.parse(), ip.parse(), length.parse::<u32>()) else {
        return false;
    };
    if !plain || padded {
        return false;
    }
    let (base, ip, bits) = match (base, ip) {
        (IpAddr::V4(base), IpAddr::V4(ip)) => {
            (u128::from(u32::from(base)), u32::from(ip).into(), 32)
        }
        (IpAddr::V6(base), IpAddr::V6(ip)) => (number(base), number(ip), 128),
        _ => return false,
    };
    match u32::checked_sub(bits, length) {
        Some(128) => true,
        Some(host) => base >> host == ip >> host,
        None => false,
    }
}

const fn number(address: Ipv6Addr) -> u128 {
    u128::from_be_bytes(address.octets())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks() {
        for (network, ip) in [
            ("10.0.0.0/8", "10.9.8.7"),
            ("10.1.2.3/8", "10.0.0.0"),
            ("0.0.0.0/0", "255.255.255.255"),
            ("1.2.3.4/32", "1.2.3.4"),
            ("::/0", "fe80::1"),
            ("fe80::/10", "FE80:0::1"),
            ("::ffff:10.0.0.0/104", "::ffff:10.1.2.3"),
        ] {
            assert!(contains(network, ip), "{network} {ip}");
        }
        for (network, ip) in [
            ("10.0.0.0/8", "11.0.0.0"),
            ("10.0.0.0/33", "10.0.0.0"),
            ("10.0.0.0/08", "10.0.0.0"),
            ("10.0.0.0/+8", "10.0.0.0"),
            ("10.0.0.0/", "10.0.0.0"),
            ("10.0.0.0", "10.0.0.0"),
            ("010.0.0.0/8", "10.0.0.0"),
            ("::ffff:10.0.0.0/104", "10.1.2.3"),
            ("10.0.0.0/8", "::ffff:10.1.2.3"),
            ("fe80::/10", "fe80::1%eth0"),
            ("::/0", ""),
        ] {
            assert!(!contains(network, ip), "{network} {ip}");
        }
    }
}
