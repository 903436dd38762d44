//! Which targets scripts may reach.

use std::net::IpAddr;

use ipnet::IpNet;

/// Which hosts and addresses requests of scripts may reach.
///
/// A host in `hosts` is allowed. Otherwise its addresses in `networks` are. Otherwise, if either
/// list has entries, it is refused. With both lists empty every public address is allowed, and
/// internal ones only with `internal`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HttpPolicy {
    /// Exact host names or addresses that are allowed whatever they resolve to.
    pub hosts: Vec<String>,
    /// Networks whose addresses are allowed.
    pub networks: Vec<IpNet>,
    /// Whether loopback, link-local, private and other addresses that are not public are allowed.
    pub internal: bool,
}

impl HttpPolicy {
    /// The addresses of a host that may be connected to.
    ///
    /// A name that resolves to a public and an internal address is refused as a whole: nobody has
    /// that by accident.
    #[must_use]
    pub(crate) fn allowed<'a>(
        &self,
        host: &str,
        addresses: impl IntoIterator<Item = &'a IpAddr>,
    ) -> Vec<IpAddr> {
        let addresses: Vec<IpAddr> = addresses.into_iter().copied().collect();
        let name = host.trim_start_matches('[').trim_end_matches(']');
        if self
            .hosts
            .iter()
            .any(|allowed| allowed.eq_ignore_ascii_case(name))
        {
            return addresses;
        }
        if !self.hosts.is_empty() || !self.networks.is_empty() {
            let listed = |address: &IpAddr| {
                let address = embedded(*address);
                self.networks
                    .iter()
                    .any(|network| network.contains(&address))
            };
            return addresses.into_iter().filter(listed).collect();
        }
        if !self.internal && addresses.iter().any(|address| is_internal(*address)) {
            return Vec::new();
        }
        addresses
    }
}

/// The IPv4 address inside an IPv6 one that only wraps it.
fn embedded(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else {
        return address;
    };
    if let Some(v4) = v6.to_ipv4_mapped() {
        return v4.into();
    }
    // NAT64 and 6to4 carry the real target in fixed places.
    match (v6.segments(), v6.octets()) {
        ([0x64, 0xff9b, 0, 0, 0, 0, ..], octets) => {
            let [.., a, b, c, d] = octets;
            IpAddr::from([a, b, c, d])
        }
        ([0x2002, ..], [_, _, a, b, c, d, ..]) => IpAddr::from([a, b, c, d]),
        _ => address,
    }
}

/// Whether an address is not one of the public internet.
fn is_internal(address: IpAddr) -> bool {
    match embedded(address) {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            v4.is_loopback()
                || v4.is_private()
                || v4.is_link_local()
                || v4.is_broadcast()
                || v4.is_multicast()
                || v4.is_documentation()
                || a == 0
                // Shared address space of carriers, benchmarking, reserved.
                || (a == 100 && (64..128).contains(&b))
                || (a == 198 && (18..20).contains(&b))
                || a >= 240
        }
        IpAddr::V6(v6) => {
            let [first, ..] = v6.segments();
            v6.is_loopback()
                || v6.is_unspecified()
                || v6.is_multicast()
                || v6.is_unique_local()
                || v6.is_unicast_link_local()
                // Deprecated site-local addresses.
                || first & 0xffc0 == 0xfec0
                // Deprecated addresses that end in an IPv4 one.
                || v6.to_ipv4().is_some()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(policy: &HttpPolicy, host: &str, addresses: &[&str]) -> Vec<String> {
        let addresses: Vec<IpAddr> = addresses.iter().map(|a| a.parse().unwrap()).collect();
        policy
            .allowed(host, &addresses)
            .iter()
            .map(IpAddr::to_string)
            .collect()
    }

    #[test]
    fn internal_addresses_are_refused_by_default() {
        let policy = HttpPolicy::default();
        for address in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "0.0.0.0",
            "100.64.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "fd12::1",
            "::ffff:127.0.0.1",
            "::127.0.0.1",
            "64:ff9b::a00:1",
            "2002:7f00:1::",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(allowed(&policy, "h", &[address]).is_empty(), "{address}");
        }
        for address in [
            "1.1.1.1",
            "100.128.0.1",
            "2606:4700::1111",
            "::ffff:1.1.1.1",
        ] {
            assert_eq!(allowed(&policy, "h", &[address]), [address], "{address}");
        }
        assert!(allowed(&policy, "h", &["1.1.1.1", "10.0.0.1"]).is_empty());
        let open = HttpPolicy {
            internal: true,
            ..HttpPolicy::default()
        };
        assert_eq!(allowed(&open, "h", &["127.0.0.1"]), ["127.0.0.1"]);
    }

    #[test]
    fn lists_decide_alone() {
        let policy = HttpPolicy {
            hosts: vec!["api.internal".into(), "::1".into()],
            networks: vec!["10.1.0.0/16".parse().unwrap()],
            internal: false,
        };
        assert_eq!(
            allowed(&policy, "API.internal", &["192.168.0.1"]),
            ["192.168.0.1"]
        );
        assert_eq!(allowed(&policy, "[::1]", &["::1"]), ["::1"]);
        assert_eq!(
            allowed(&policy, "h", &["10.1.2.3", "10.2.0.1"]),
            ["10.1.2.3"]
        );
        assert!(allowed(&policy, "example.org", &["1.1.1.1"]).is_empty());
    }
}
