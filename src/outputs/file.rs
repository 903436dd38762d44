//! Files on this machine, one folder a category, a line a point.

use std::sync::Arc;

use kafkamq_point::codec::Encoding;

use super::{Carrier, CarrierError, Compiled, Reach, Reachable, Trial, Wanted, local};
use kafkamq_delivery::endpoint::EndpointError;
use kafkamq_delivery::local::{FileOptions, Files, LocalWriter};
use kafkamq_settings::outputs::FileOutput;

pub(super) fn compile(files: &FileOutput, wanted: &Wanted<'_>) -> Result<Compiled, EndpointError> {
    Ok(Compiled {
        reach: Reach::Files(FileOptions {
            folder: files.path.clone(),
            extension: match wanted.output.encoding {
                Encoding::LineProtocol => "lp",
                _ => "ndjson",
            },
            rotate_bytes: files.rotate_bytes,
            keep: files.keep,
        }),
        delivery: local::delivery(wanted.limits(local::WRITER_REQUESTS)),
        endpoints: wanted.named(|category| category.name().to_owned())?,
    })
}

impl Reachable for FileOptions {
    fn shown_url(&self) -> String {
        format!("file:{}", self.folder.display())
    }

    fn verb(&self) -> &'static str {
        "append"
    }

    fn carrier(&self) -> Result<Arc<dyn Carrier>, CarrierError> {
        let writer = LocalWriter::start("files", Files::new(self.clone()))?;
        Ok(Arc::new(writer))
    }

    fn is_carried_like(&self, other: &Reach) -> bool {
        matches!(other, Reach::Files(other) if other == self)
    }

    fn trial(&self) -> Trial<'_> {
        Trial::Folder(&self.folder)
    }
}
