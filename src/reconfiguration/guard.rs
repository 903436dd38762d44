//! What no change may take away: that callers have to say who they are.

use super::{ConfigurationOrigin, Finding};
use kafkamq_settings::ServerSettings;

/// Why a change may not go from `running` to `wanted`; `in_force` is `wanted` without the keys that
/// wait for the next start.
///
/// Whoever may change the configuration over HTTP must not be able to open it to everyone else, by
/// a slip in a merge patch least of all: only files can. And where other machines reach the server,
/// not even files can while it runs, since the address stays the same until the next start.
pub(super) fn opened(
    running: &ServerSettings,
    wanted: &ServerSettings,
    in_force: &ServerSettings,
    origin: ConfigurationOrigin,
) -> Option<Finding> {
    let (key, message, hint) = if in_force.is_restricted() {
        return None;
    } else if !running.listen.ip().is_loopback() {
        let message = format!(
            "{} can be reached from other machines until the next start, and anyone could change the \
             configuration there",
            running.listen
        );
        let hint = if wanted.is_restricted() {
            "keep one of `server.tokens` until the service was started with `client_ca`"
        } else {
            "keep one of `server.tokens` until the service was started with the new `server.listen`"
        };
        ("/server/tokens", message, hint)
    } else if running.is_restricted() && origin.is_run_time() {
        let message = "no token would be asked for any more, and a change over HTTP may not open the \
                       interface to everyone";
        let hint = "leave one of `server.tokens` (a mask keeps it), or remove them from the file";
        ("/server/tokens", message.to_owned(), hint)
    } else {
        return None;
    };
    let mut finding = Finding::error("access", message);
    finding.pointer = Some(key.to_owned());
    finding.hint = Some(hint.to_owned());
    Some(finding)
}
