//! The wire formats, as far as payloads are built and ids are found in them: protobuf messages
//! derived by hand from the public field tables, and Thrift binary.
//!
//! Deliberately independent of the router's own codecs, so that a mistake there shows here. Line
//! protocol is the exception: its one parser is that of `kafkamq-point`.

#[expect(
    missing_docs,
    reason = "fields carry the names of the protocol definitions"
)]
pub mod jaeger;
#[expect(
    missing_docs,
    reason = "fields carry the names of the protocol definitions"
)]
pub mod otlp;
pub(crate) mod point;
#[expect(
    missing_docs,
    reason = "fields carry the names of the protocol definitions"
)]
pub mod skywalking;
pub mod thrift;
