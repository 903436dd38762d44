//! File descriptors: as many as the system allows, and a bounded part of them for the HTTP server.
//!
//! Records need descriptors for brokers, destinations and files. Whoever opens connections to the
//! server must not take those.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The part of all descriptors that connections to the server may take.
const SERVER_SHARE: u64 = 8;
/// Connections to the server, at least and at most.
const SERVER: std::ops::RangeInclusive<u64> = 4..=512;

/// Raises the limit of the process to what the system allows it.
pub(crate) fn raise() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return;
    }
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}

/// Connections that the server may hold at once; further ones wait until one ends.
pub(crate) fn for_server() -> usize {
    of(getrlimit(Resource::Nofile).current)
}

fn of(descriptors: Option<u64>) -> usize {
    let share = descriptors.map_or(*SERVER.end(), |all| all / SERVER_SHARE);
    let share = share.clamp(*SERVER.start(), *SERVER.end());
    usize::try_from(share).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_takes_a_bounded_part() {
        assert_eq!(of(Some(64)), 8);
        assert_eq!(of(Some(1024)), 128);
        assert_eq!(of(Some(1 << 30)), 512);
        assert_eq!(of(Some(8)), 4);
        assert_eq!(of(None), 512);
    }
}
