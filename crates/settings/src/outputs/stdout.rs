//! `kind = "stdout"`: standard output.

use kafkamq_point::codec::Encoding;

use super::{KindOfOutput, OutputKind};
use crate::keys::Group;

pub(super) const STDOUT: KindOfOutput = KindOfOutput {
    word: "stdout",
    keys: Group::own(&[]),
    encodings: &[Encoding::LineProtocol, Encoding::Json, Encoding::PbJson],
    read: |_| Some(OutputKind::Stdout),
};
