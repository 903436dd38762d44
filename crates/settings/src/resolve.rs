//! From a merged document to [`Settings`]: every table read, every rule between keys checked.

pub(crate) mod http;
mod input;
mod route;
pub(crate) mod security;

use super::Settings;
use super::change::ChangeBy;
use std::path::PathBuf;

use super::diagnostic::{Diagnostic, Diagnostics, Severity};
use super::document::Document;
use super::keys::ROOT;
use super::outputs;
use super::reader::Reader;
use super::sources::Sources;
use super::tables;

/// An accepted configuration.
#[derive(Clone)]
pub struct Loaded {
    /// What the service runs with.
    pub settings: Settings,
    /// What the operator should know all the same.
    pub warnings: Diagnostics,
    /// What the operator wrote, merged; for showing (masked) and for changing.
    pub document: Document,
}

impl std::fmt::Debug for Loaded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The document holds secrets in clear.
        f.debug_struct("Loaded")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// Reads, merges and checks all sources.
///
/// # Errors
///
/// All findings, warnings included, if at least one is an error.
pub fn load(sources: &Sources) -> Result<Loaded, Diagnostics> {
    let (document, found) = Document::read(sources);
    resolved(document, found)
}

/// Reads and checks a change of `running`: masks in it keep the secrets of `running`, and the
/// environment of `sources` has the last word.
///
/// # Errors
///
/// All findings, warnings included, if at least one is an error.
pub fn load_change(
    sources: &Sources,
    running: &Document,
    by: ChangeBy,
) -> Result<Loaded, Diagnostics> {
    let (document, found) = Document::read_change(sources, running, by);
    // What is refused is not read either: a message about a file would tell of its content.
    if by == ChangeBy::Caller && found.iter().any(|one| one.severity == Severity::Error) {
        return Err(Diagnostics(found));
    }
    resolved(document, found)
}

fn resolved(document: Document, found: Vec<Diagnostic>) -> Result<Loaded, Diagnostics> {
    let reader = Reader::new(&document, found);
    let settings = resolve(&reader);
    let found = reader.into_found();
    let failed = found.iter().any(|found| found.severity == Severity::Error);
    match settings {
        Some(settings) if !failed => Ok(Loaded {
            settings,
            warnings: Diagnostics(found),
            document,
        }),
        _ => Err(Diagnostics(found)),
    }
}

/// The folder of scripts that `sources` name, also when something else in them is wrong.
#[must_use]
pub fn scripts_folder(sources: &Sources) -> PathBuf {
    let (document, _) = Document::read(sources);
    let reader = Reader::new(&document, Vec::new());
    let root = reader.root(&ROOT);
    root.section_or_default("pipeline")
        .map(|section| tables::pipeline::read(&section).path)
        .unwrap_or_default()
}

fn resolve(reader: &Reader<'_>) -> Option<Settings> {
    let root = reader.root(&ROOT);
    root.check_keys();
    let inputs = root.section_or_default("inputs").map(|inputs| {
        let sections = inputs.sections("kafkamq");
        input::inputs(&sections)
    });
    let outputs = outputs::read(&root);
    let server = root
        .section_or_default("server")
        .map(|section| tables::server::read(&section));
    let pipeline = root
        .section_or_default("pipeline")
        .map(|section| tables::pipeline::read(&section));
    let dead_letter = root
        .section_or_default("dead_letter")
        .map(|section| tables::dead_letter::read(&section));
    let recorder = root
        .section_or_default("recorder")
        .map(|section| tables::recorder::read(&section));
    let limits = root.section_or_default("limits").map(|section| {
        let limits = tables::limits::read(&section);
        outputs::check_backlogs(&section, &outputs, &limits);
        limits
    });
    let log = root
        .section_or_default("log")
        .map(|section| tables::log::read(&section));
    Some(Settings {
        inputs: inputs?,
        server: server??,
        outputs,
        pipeline: pipeline?,
        dead_letter: dead_letter??,
        recorder: recorder?,
        limits: limits?,
        log: log?,
    })
}
