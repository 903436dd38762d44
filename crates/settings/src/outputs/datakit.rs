//! `kind = "datakit"`: the write interface of an agent.

use kafkamq_point::codec::Encoding;

use super::{KindOfOutput, OutputKind, http};
use crate::Compression;
use crate::keys::Group;
use crate::reader::Section;

pub(super) const DATAKIT: KindOfOutput = KindOfOutput {
    word: "datakit",
    keys: Group::own(&[]),
    encodings: &Encoding::ALL,
    read,
};

/// Where an agent listens on the same machine.
const LOCAL_AGENT: &str = "http://localhost:9529";

fn read(section: &Section<'_>) -> Option<OutputKind> {
    let endpoint = http::endpoint(section, Some(LOCAL_AGENT))?;
    let http = http::requests(section, endpoint, Compression::None);
    if section.secret("token").is_some() {
        section
            .reader()
            .note_key(section.warning("token", "`datakit` takes no token, the agent has its own"));
    }
    Some(OutputKind::Datakit(Box::new(http)))
}
