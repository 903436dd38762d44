//! `kind = "dataway"`: the centre behind the agents.

use kafkamq_point::codec::Encoding;
use url::Url;

use super::{KindOfOutput, OutputKind, http};
use crate::keys::Group;
use crate::reader::Section;
use crate::{Compression, HttpSettings, Secret};

pub(super) const DATAWAY: KindOfOutput = KindOfOutput {
    word: "dataway",
    keys: Group::own(&[]),
    encodings: &[
        Encoding::Protobuf,
        Encoding::LineProtocol,
        Encoding::Json,
        Encoding::PbJson,
    ],
    read,
};

/// The centre as an output.
#[derive(Debug, Clone, PartialEq)]
pub struct DatawayOutput {
    /// Address and delivery rules.
    pub http: HttpSettings,
    /// Workspace token; sent as the query argument `token`.
    pub token: Secret,
}

fn read(section: &Section<'_>) -> Option<OutputKind> {
    let mut endpoint = http::endpoint(section, None)?;
    // Agents write the token into the address; there it would be shown with the address.
    let in_address = take_token(&mut endpoint);
    let token = section.secret("token").or(in_address);
    let http = http::requests(section, endpoint, Compression::Gzip);
    if token.is_none() && !section.has_file("token") {
        section.missing("token", "`dataway` needs `token` or `token_file`");
    }
    Some(OutputKind::Dataway(Box::new(DatawayOutput {
        http,
        token: token.unwrap_or_default(),
    })))
}

fn take_token(endpoint: &mut Url) -> Option<Secret> {
    let pairs: Vec<(String, String)> = endpoint
        .query_pairs()
        .map(|(key, value)| (key.into_owned(), value.into_owned()))
        .collect();
    let token = pairs
        .iter()
        .find(|(key, _)| key == "token")
        .map(|(_, value)| Secret::new(value.as_str()))?;
    let rest: Vec<_> = pairs
        .into_iter()
        .filter(|(key, _)| key != "token")
        .collect();
    if rest.is_empty() {
        endpoint.set_query(None);
    } else {
        endpoint.query_pairs_mut().clear().extend_pairs(rest);
    }
    Some(token)
}
