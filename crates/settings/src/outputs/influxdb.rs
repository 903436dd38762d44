//! `kind = "influxdb"`: any receiver of line protocol.

use kafkamq_point::codec::Encoding;

use super::{KindOfOutput, OutputKind, http};
use crate::Compression;
use crate::keys::Group;
use crate::reader::Section;

pub(super) const INFLUXDB: KindOfOutput = KindOfOutput {
    word: "influxdb",
    keys: Group::own(&[]),
    encodings: &[Encoding::LineProtocol],
    read,
};

fn read(section: &Section<'_>) -> Option<OutputKind> {
    let endpoint = http::endpoint(section, None)?;
    let mut http = http::requests(section, endpoint, Compression::None);
    http::authorize_by_token(section, &mut http);
    Some(OutputKind::Influxdb(Box::new(http)))
}
